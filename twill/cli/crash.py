"""Report a defect of this program: a reproducer file with command line, versions, traceback and instance."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("twill-optiml", "triton", "torch", "ortools", "z3-solver", "pysmt", "networkx", "pydantic")


def report_crash(error: Exception) -> str:
    """Write the reproducer and return the message that names it."""
    record: dict[str, Any] = {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "traceback": traceback.format_exception(error),
    }
    if hasattr(error, "schedule"):
        from ir.serialize import schedule_document

        record["schedule"] = schedule_document(error.schedule)
    with tempfile.NamedTemporaryFile("w", prefix="twill-crash-", suffix=".json", delete=False) as file:
        json.dump(record, file, indent=1)
    return f"internal error: {error}\nThis is a defect in twill. The reproducer is in {Path(file.name)}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
