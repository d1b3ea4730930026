"""The proposer `twill`: asks the scheduler about a candidate's loop and offers what follows from its answers."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from optiml.edit import Edit
from optiml.propose.protocol import Context, Unit
from optiml.propose.twill.asking import Scheduler, Subject
from optiml.propose.twill.configurations import Study
from optiml.propose.twill.evidence import NAME
from optiml.propose.twill.instructions import cuda_edits, resident_warps
from optiml.propose.twill.reading import Reader
from optiml.propose.twill.tuning import triton_edits

if TYPE_CHECKING:
    from numpy.random import Generator

    from ir.machine import Machine


class TwillProposer:
    """Deterministic: answers count only where they are proven, and no question is asked twice.

    It says nothing about kernels without a loop that can be scheduled, and nothing about Gluon.
    """

    name = NAME

    def __init__(self) -> None:
        self._studies: dict[tuple[str, str, str], Study] = {}

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:  # noqa: ARG002 - it has no choice to make
        """What the schedule says, the most promising first; the first of several edits with one result."""
        find = {"triton": self._triton, "cuda": self._cuda}.get(context.language)
        return tuple(_distinct(find(context), context.candidate.key)) if find is not None else ()

    def _triton(self, context: Context) -> Iterator[Edit]:
        return triton_edits(self._study(context), Unit(context.candidate, context.task))

    def _cuda(self, context: Context) -> Iterator[Edit]:
        study = self._study(context)
        kernel = study.reader.read([context.candidate])[0]
        subject = Subject.of(context.candidate.key, kernel, study.machine) if kernel is not None else None
        if subject is not None:
            resident = resident_warps(study.machine, context.metrics.occupancy if context.metrics else None)
            yield from cuda_edits(Unit(context.candidate, context.task), subject, study.scheduler, resident)

    def _study(self, context: Context) -> Study:
        """One for each task and machine; its compilers end with the proposer."""
        machine = _machine(context)
        key = (str(context.task.document.path), context.task.variant_name, machine.name)
        if key not in self._studies:
            reader = Reader(context.task, machine.architecture)
            weakref.finalize(self, reader.close)
            self._studies[key] = Study(context.task, machine, reader, Scheduler())
        return self._studies[key]


def _machine(context: Context) -> Machine:
    """The target; where the context tells its architecture alone, the first machine that has it."""
    from backends.machines import load_machine, machine_names

    if context.machine is not None:
        return context.machine
    machines = (load_machine(name) for name in machine_names())
    return next(m for m in machines if m.architecture == context.architecture)


def _distinct(edits: Iterable[Edit], own: str) -> Iterator[Edit]:
    seen = {own}
    for edit in edits:
        if edit.result.key not in seen:
            seen.add(edit.result.key)
            yield edit
