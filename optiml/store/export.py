"""A program of a run as a folder that is a task: kernel, task file, reference."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail
from ir.task import load_task
from optiml.candidate import SUFFIXES, settings
from optiml.store.reading import Reading
from optiml.store.toml import toml_text


def export_task(reading: Reading, key: str, folder: Path) -> tuple[Path, ...]:
    """Write the files and return them. Raises UserError: folder-exists; what loading the task raises."""
    if folder.exists():
        raise fail("folder-exists", "the folder is there already", Location(str(folder)), "name one that is not")
    candidate, chosen = reading.candidates[key], reading.settings
    task = load_task(chosen["task"])
    task = task.variant(chosen["variant"]) if chosen["variant"] else task
    kernel = folder / f"kernel{SUFFIXES[candidate.language]}"
    data = {name: value for name, value in settings(candidate, task).items() if name != "variant"}
    data |= {"source": kernel.name, "reference": f"{task.reference_file.name}:{task.reference_function}"}
    folder.mkdir(parents=True)
    kernel.write_text(candidate.source, encoding="utf-8")
    (folder / "task.toml").write_text(toml_text(_with_headers(data, task.compile.include, folder)), encoding="utf-8")
    shutil.copy(task.reference_file, folder / task.reference_file.name)
    load_task(folder)
    return kernel, folder / "task.toml", folder / task.reference_file.name


def _with_headers(data: Mapping[str, Any], include: tuple[Path, ...], folder: Path) -> dict[str, Any]:
    """The folders of headers where they are, for they are not the kernel's own."""
    if not include:
        return dict(data)
    folders = [os.path.relpath(i, folder) for i in include]
    return {**data, "compile": {**data["compile"], "include": folders}}
