"""The model's measured error by class of kernel, from the packaged result of comparing it with published times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_FILE = "fidelity.json"


@dataclass(frozen=True)
class ClassError:
    """Absolute errors of modelled times of one class of kernels: mean, 90th percentile and worst, over measurements."""

    error_percent: float
    p90_percent: float
    worst_percent: float
    measurements: int


def class_error(kernel_class: str) -> ClassError | None:
    """The error for a class; None where no published measurement is of it, or where no comparison is packaged."""
    return read_error(_packaged(), kernel_class)


def read_error(document: Mapping[str, Any], kernel_class: str) -> ClassError | None:
    """The error for a class in a document as `bench/fidelity.py` writes it: `classes`, by name.

    >>> known = {"error_percent": 12.5, "p90_percent": 30.0, "worst_percent": 41.0, "measurements": 20}
    >>> read_error({"classes": {"plain": known}}, "plain").error_percent, read_error({}, "plain")
    (12.5, None)
    """
    found = document.get("classes", {}).get(kernel_class)
    if found is None:
        return None
    names = ("error_percent", "p90_percent", "worst_percent", "measurements")
    return ClassError(*(found[name] for name in names))


@cache
def _packaged() -> dict[str, Any]:
    file = files("backends.model") / _FILE
    if not file.is_file():
        return {}
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document
