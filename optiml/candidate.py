"""A candidate: the text of a kernel file, and what it changes in the task file."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ir.document import Document
from ir.task import Task, task_of

# A kernel that is longer is not looked at.
SOURCE_CHARACTERS = 1 << 20
SUFFIXES = {"cuda": ".cu", "triton": ".py", "gluon": ".py"}


@dataclass(frozen=True)
class Candidate:
    """What is searched: two are the same program when their keys are equal.

    `overrides`: dotted keys of the task file -> values as TOML has them, expressions as strings:
    `{"launch.block": [32, "BM"], "constants.BM": 8, "compile.fast_math": True}`.
    """

    language: str
    source: str = field(repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Halves of surrogate pairs, which a model's reply in JSON may have, are no text that a file can hold.
        object.__setattr__(self, "source", self.source.encode("utf-8", "replace").decode("utf-8"))

    @cached_property
    def key(self) -> str:
        """A hash that comments and layout do not change."""
        text = json.dumps([self.language, _normalised(self), dict(self.overrides)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_overrides(self, overrides: Mapping[str, Any]) -> Candidate:
        """The same with more keys overridden."""
        return Candidate(self.language, self.source, {**self.overrides, **overrides})


def candidate_of(task: Task) -> Candidate:
    """The task's own kernel, which overrides nothing. Raises OSError where the source cannot be read."""
    return Candidate(task.language, task.source.read_text(encoding="utf-8"))


def settings(candidate: Candidate, base: Task) -> dict[str, Any]:
    """The task file's data with the candidate's overrides laid over it."""
    data = dict(base.document.data)
    for key, value in candidate.overrides.items():
        data = _with(data, key.split("."), value)
    return data


def as_task(candidate: Candidate, base: Task, folder: Path) -> Task:
    """The base with the candidate in place of its kernel, whose file is written into the folder.

    Headers beside the base's kernel are still found. Raises UserError for overrides that the task file cannot have.
    """
    file = folder.absolute() / f"kernel{SUFFIXES[candidate.language]}"
    file.write_text(candidate.source, encoding="utf-8")
    data = {**settings(candidate, base), "source": str(file)}
    if candidate.language == "cuda":
        include = [str(base.source.parent.absolute()), *data.get("compile", {}).get("include", ())]
        data["compile"] = {**data.get("compile", {}), "include": include}
    return task_of(Document(base.document.path, data, base.document.places), base.variant_name)


def _with(table: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**table, first: _with(table.get(first, {}), rest, value) if rest else value}


def _normalised(candidate: Candidate) -> str:
    """Tokens, or a syntax tree; a text that is too long or too deep to be looked at stays as it is."""
    if len(candidate.source) > SOURCE_CHARACTERS:
        return candidate.source
    if candidate.language == "cuda":
        from optiml.cuda_source import Source

        return Source.parse(candidate.source).normalised()
    try:
        return ast.dump(ast.parse(candidate.source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return candidate.source
