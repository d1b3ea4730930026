"""Fixtures of the adversarial suite: kernel files that begin with what they are, and the tasks they belong to."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ir.task import Task, load_task
from optiml.candidate import Candidate

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "kernels"
_HEAD = re.compile(r"^(?://\||#\|) ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Fixture:
    """One kernel file.

    task: a folder of `tasks`, or `kernels/NAME[:VARIANT]`. kind: its class in the catalogue. does: in words. status:
    the verdicts that it may get; says: a pattern that the reason matches. limits: of the job, beside the suite's own.
    """

    file: Path
    task: str
    kind: str
    does: str
    status: tuple[str, ...]
    says: str = ""
    overrides: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    is_slow: bool = False

    @property
    def name(self) -> str:
        """Short, for test ids."""
        return self.file.name

    @property
    def candidate(self) -> Candidate:
        """What is judged."""
        text = self.file.read_text(encoding="utf-8")
        return Candidate("cuda" if self.file.suffix == ".cu" else "triton", text, self.overrides)


def fixtures(folder: str) -> list[Fixture]:
    """All of `hostile` or `honest`, by name."""
    files = sorted(p for p in (HERE / folder).iterdir() if p.suffix in (".cu", ".py"))
    return [_fixture(file) for file in files]


def _fixture(file: Path) -> Fixture:
    head = tomllib.loads("\n".join(_HEAD.findall(file.read_text(encoding="utf-8"))))
    limits = {name: head.pop(name) for name in ("wall_s", "compile_s", "launch_s", "memory_bytes") if name in head}
    return Fixture(
        file,
        head.pop("task"),
        head.pop("class"),
        head.pop("does"),
        tuple(head.pop("status", ("ok",))),
        head.pop("says", ""),
        head.pop("overrides", {}),
        limits,
        head.pop("slow", False),
        **head,
    )


@cache
def task_of(name: str) -> Task:
    """The task of a fixture."""
    path, _, variant = name.partition(":")
    task = load_task(KERNELS / path.removeprefix("kernels/") if path.startswith("kernels/") else HERE / "tasks" / path)
    return task.variant(variant) if variant else task
