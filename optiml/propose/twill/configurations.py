"""Tiles, warps and stages of a Triton kernel, ranked by the work that an SM can do in a cycle of its loop.

Tiles are changed step by step, and the search goes on from the best. The measure is the work of one iteration over the
lower bound on its II, times the share of SMs that have a program on average over the waves of the launch. The number of
warps follows from the registers of the products, that of stages from the latency which loads must hide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log, prod
from typing import Any

from ir.diagnostics import UserError
from ir.expression import Expression, ExpressionError
from ir.graph import DependenceGraph, Op
from ir.machine import Machine
from ir.schedule import Bound
from ir.task import Task
from optiml.candidate import Candidate
from optiml.propose.protocol import Unit
from optiml.propose.rules.triton import tile_size
from optiml.propose.twill.asking import Scheduler, Subject
from optiml.propose.twill.reading import Reader

_MOST_STEPS = 8
MOST_STAGES = 7
# Rates that differ by less count as the same.
_SAME_RATE = 1.02
# Registers of a thread that results of products may take: what is computed from them, and addresses, need room too.
_PRODUCT_REGISTERS = 128
# Stages that a tile should leave room for.
_WANTED_STAGES = 3


@dataclass(frozen=True)
class Configuration:
    """A candidate with the dependence graph of its loop and the bounds on its II, the largest first.

    `programs`: of its launch at the first size of the report.
    """

    candidate: Candidate
    subject: Subject
    graph: DependenceGraph
    bounds: tuple[Bound, ...]
    programs: int

    @property
    def ii_cycles(self) -> int:
        """The lower bound on the II."""
        return max(1, self.bounds[0].ii_cycles)

    @cached_property
    def rate(self) -> float:
        """Work that an SM does in a cycle while its loop runs at the bound, on average over all waves of programs."""
        sms = round(self.subject.machine.rates["sm_count"])
        waves = ceil(self.programs / sms)
        return self.subject.work / self.ii_cycles * self.programs / (waves * sms)

    @cached_property
    def loads(self) -> tuple[Op, ...]:
        """The loads whose tiles are kept in shared memory."""
        return tuple(op for op in self.graph.ops if op.smem_bytes and "load" in op.opcode)

    @property
    def latency_cycles(self) -> int:
        """The longest latency of these loads."""
        return max((op.latency_cycles for op in self.loads), default=0)

    @property
    def room(self) -> int:
        """Copies of these tiles that shared memory holds."""
        each, held = sum(op.smem_bytes for op in self.loads), sum(i.smem_bytes for i in self.graph.invariants)
        return max(0, (self.subject.machine.smem_bytes or 0) - held) // each if each else 0

    @property
    def stages(self) -> int:
        """Copies that hide the latency, within the room: those on their way, and those that products read meanwhile."""
        read = 2 if self.subject.is_specialized else 1
        return max(1, min(ceil(self.latency_cycles / self.ii_cycles) + read, MOST_STAGES, self.room))

    @property
    def merit(self) -> tuple[float, ...]:
        """What comes first: the rate; then idle time of the second unit, few registers, room for stages, work."""
        second = (*(b.ii_cycles for b in self.bounds if b.kind == "unit"), 0, 0)[1]
        step = round(log(max(self.rate, 1e-9)) / log(_SAME_RATE))
        registers, has_room = self.subject.product_registers, self.room >= _WANTED_STAGES
        return step, -round(second / self.ii_cycles, 1), -registers * self.subject.warps, has_room, self.subject.work


@dataclass(frozen=True)
class Study:
    """A task on a machine, with all that was asked about its candidates."""

    task: Task
    machine: Machine
    reader: Reader
    scheduler: Scheduler

    def subjects(self, candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, Subject]]:
        """Each candidate that compiles and has a loop to be scheduled, with that loop."""
        wanted = list(candidates)
        for candidate, kernel in zip(wanted, self.reader.read(wanted), strict=True):
            subject = Subject.of(candidate.key, kernel, self.machine) if kernel is not None else None
            if subject is not None:
                yield candidate, subject

    def configurations(self, candidates: Iterable[Candidate]) -> Iterator[Configuration]:
        """Those candidates whose loop has some schedule: each with the fewest warps whose registers suffice."""
        for candidate, subject in self.subjects(candidates):
            programs = _programs(candidate, self.task)
            roomy = [s for s in subject.spread if s.product_registers <= _PRODUCT_REGISTERS]
            for each in roomy if programs else ():
                bounded = _bounded(each)
                if bounded is not None:
                    yield Configuration(candidate, each, *bounded, programs)
                    break

    def tiles(self, candidate: Candidate) -> tuple[Configuration, ...]:
        """All tiles met on the way from a candidate's own to the best, which comes first; none if its own has none."""
        found, asked = list(self.configurations([candidate])), {self._constants(candidate)}
        here = found[0] if found else None
        for _ in range(_MOST_STEPS if here is not None else 0):
            assert here is not None, "a step begins somewhere"
            around = {self._constants(e.result): e.result for e in tile_size.RULE.rewrites(self._unit(here.candidate))}
            found += self.configurations(around[k] for k in around if k not in asked)
            asked |= around.keys()
            best = max(found, key=lambda c: c.merit)
            if best is here:
                break
            here = best
        return tuple(sorted(found, key=lambda c: c.merit, reverse=True))

    def _unit(self, candidate: Candidate) -> Unit:
        return Unit(candidate, self.task)

    def _constants(self, candidate: Candidate) -> tuple[tuple[str, Any], ...]:
        return tuple(sorted(self._unit(candidate).constants.items()))


def _bounded(subject: Subject) -> tuple[DependenceGraph, tuple[Bound, ...]] | None:
    """The graph and its bounds; None where it cannot be lowered, or some value fits no register file or memory."""
    from twill.pipeline import Options, lower_loop, make_problem
    from twill.problem.bounds import all_bounds
    from twill.problem.check import check

    try:
        instance = lower_loop(subject.kernel, subject.loop, subject.machine, subject.pieces)
    except UserError:
        return None
    bounds = all_bounds(instance.graph, instance.machine)
    return (instance.graph, bounds) if bounds and not check(make_problem(instance, Options())) else None


def _programs(candidate: Candidate, task: Task) -> int:
    """Programs of the launch at the first size of the report; 0 where the launch has no value."""
    unit = Unit(candidate, task)
    whole = {k: v for k, v in unit.constants.items() if isinstance(v, int)} | dict(task.sizes["report"][0])
    try:
        return prod(Expression.parse(e).evaluate(whole) for e in unit.extents("grid"))
    except ExpressionError:
        return 0
