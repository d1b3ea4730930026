"""A record: one verified edit, what the kernel was like before it, and what it did to the time and the limiter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ir.diagnostics import fail


@dataclass(frozen=True)
class Record:
    """An edit whose result passed every check.

    task: a hash of kernel, task file and reference; name: the task's name, for people. features: of the kernel before
    the edit, see memory.features. limiter_before, limiter_after: by the profiler; aimed_at: by the proposer. speedup:
    the time before over the time after; kind: modelled or measured. before, after: keys of the programs. diff: the
    edit as a unified diff, cut where it is long.
    """

    task: str
    name: str
    language: str
    architecture: str
    tag: str
    proposer: str
    aimed_at: str
    limiter_before: str
    limiter_after: str
    speedup: float
    kind: str
    before: str
    after: str
    diff: str
    features: Mapping[str, float]

    @property
    def digest(self) -> str:
        """The same for the same edit of the same program on the same machine."""
        text = json.dumps([self.task, self.architecture, self.before, self.after])
        return hashlib.sha256(text.encode()).hexdigest()


def record_document(record: Record) -> dict[str, Any]:
    """As JSON can hold it; `record_of` reads it back."""
    return asdict(record)


def record_of(document: Any) -> Record:
    """Raises UserError `bad-record` for a document of another form."""
    names = {f.name for f in fields(Record)}
    if not isinstance(document, dict) or document.keys() != names or not _is_whole(document):
        raise fail("bad-record", "a record of the memory has another form")
    return Record(**document)


def _is_whole(document: Mapping[str, Any]) -> bool:
    features, speedup = document["features"], document["speedup"]
    texts = (value for name, value in document.items() if name not in ("features", "speedup"))
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(speedup, float)
        and speedup > 0
        and isinstance(features, dict)
        and all(isinstance(value, int | float) for value in features.values())
    )
