"""Verdicts by machine code: two programs that compile to the same instructions and launch are examined once."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optiml.verdict import Status, Verdict, document_of, verdict_of

if TYPE_CHECKING:
    from backends.compilers.artifact import Compiled
    from ir.task import Sizes, Task

# What depends on the machine and its load, or on the source alone, is not remembered.
_LASTING = (Status.OK, Status.WRONG_RESULT, Status.FINDINGS, Status.FAULT, Status.IMPOSSIBLE_TIME)
_POSITIONS = re.compile(r"^\s*(\.loc|\.file|//).*$|//.*$", re.MULTILINE)
_DEBUG = re.compile(r"^\s*\.section\s+\.debug.*?^\s*\}", re.MULTILINE | re.DOTALL)


def digest_of(task: Task, compiled: Sequence[Compiled], sizes: Sequence[Sizes], asked: str) -> str:
    """A hash of the instructions, of the launch at every size, and of what is asked (`asked`)."""
    return hashlib.sha256("\0".join([asked, *_parts(task, compiled, sizes)]).encode()).hexdigest()


def _parts(task: Task, compiled: Sequence[Compiled], sizes: Sequence[Sizes]) -> Iterator[str]:
    for each in compiled:
        yield instructions(each.ptx)
        yield repr([(p.role, p.argument, p.divisibility) for p in each.parameters])
        yield repr((each.block, each.cluster, each.dynamic_smem_bytes, each.cooperative))
    for size in sizes:
        yield repr((sorted(size.items()), task.grid(size), task.block(size), task.cluster(size)))


def instructions(ptx: str) -> str:
    """A PTX text without comments and positions in the source."""
    lines = _POSITIONS.sub("", _DEBUG.sub("", ptx)).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())


def recall(folder: Path, digest: str) -> Verdict | None:
    """The verdict that was remembered; None where there is none."""
    file = folder / digest
    return verdict_of(json.loads(file.read_text())) if file.exists() else None


def remember(folder: Path, digest: str, verdict: Verdict) -> None:
    """Keep a verdict that says something lasting; another process that does the same does no harm."""
    if verdict.status in _LASTING:
        beside = folder / f"{digest}.{os.getpid()}"
        beside.write_text(json.dumps(document_of(verdict)))
        beside.replace(folder / digest)
