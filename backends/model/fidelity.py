"""The model's measured error by class of kernel, from the packaged result of comparing it with published times."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

_FILE = "fidelity.json"


def class_error_percent(kernel_class: str) -> float | None:
    """Mean absolute error of the modelled time, in percent, over published measurements of this class.

    None where there is no measurement of the class, or where no comparison is packaged.
    """
    found = _packaged().get("classes", {}).get(kernel_class, {}).get("mean_absolute_error_percent")
    return None if found is None else float(found)


@cache
def _packaged() -> dict[str, Any]:
    """`{"classes": {NAME: {"mean_absolute_error_percent": NUMBER, "cases": COUNT}}}`, {} where there is no file."""
    file = files("backends.model") / _FILE
    if not file.is_file():
        return {}
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document
