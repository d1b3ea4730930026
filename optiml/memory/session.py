"""The memory as one run uses it: asked once, added to at the end; where it cannot be used, the run goes on without."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import Diagnostic, UserError
from optiml.memory.file import UNUSABLE, MemoryFile, memory_path
from optiml.memory.offer import NOTHING, Offer, chosen
from optiml.memory.record import Record, record_document, record_of


@dataclass(frozen=True)
class Session:
    """One run's use of the memory; `problem` says why it got nothing, None where all is well."""

    offer: Offer = NOTHING
    problem: Diagnostic | None = None

    def document(self) -> list[dict[str, Any]]:
        """The offer as JSON can hold it; `offer_of` reads it back."""
        return [record_document(r) for r in self.offer.records]


def offer_of(documents: Iterable[Any]) -> Offer:
    """Raises UserError `bad-record`."""
    return Offer(tuple(record_of(d) for d in documents))


def begin(question: str, language: str, kernel: Mapping[str, float], path: Path | None = None) -> Session:
    """What is offered to a run on a kernel of these features; the same again for the same question."""
    try:
        file = MemoryFile(path or memory_path())
        return Session(Offer(file.offered(question, language, lambda records: chosen(records, kernel))))
    except UserError as error:
        return Session(problem=_problem(error))


def end(records: Iterable[Record], path: Path | None = None) -> Diagnostic | None:
    """Keep what a run learnt; the problem where it cannot be kept."""
    try:
        MemoryFile(path or memory_path()).add(records)
    except UserError as error:
        return _problem(error)
    return None


def question_of(task: str, settings: Mapping[str, Any]) -> str:
    """A hash of the task's contents and of all settings but where the task file is."""
    asked = {name: value for name, value in settings.items() if name != "task"}
    return hashlib.sha256(json.dumps([task, asked], sort_keys=True).encode()).hexdigest()


def _problem(error: UserError) -> Diagnostic:
    """Raises what is not the memory's fault on."""
    found = error.diagnostics[0]
    if found.rule != UNUSABLE:
        raise error
    return found
