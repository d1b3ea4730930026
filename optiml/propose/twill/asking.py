"""Questions to the scheduler about one loop, and its answers, which count only where they are proven.

A search must not depend on a clock. An answer that is proven is the same whatever the machine's speed; one that is not
proven is not, and neither is silence: both are no answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from ir.diagnostics import UserError
from ir.loop import Kernel, Loop, Operation
from ir.machine import Machine
from ir.schedule import Schedule, Status
from ir.types import Type

# Seconds for a question about one instruction stream, from which no edit follows, but what is told of one; and for a
# joint question: where it is not answered by then, no edit follows from it.
_STREAM_S, _JOINT_S = 3.0, 10.0
# Warps that issue a product of the tensor core together from Hopper on: PTX ISA, wgmma.
GROUP_WARPS = 4
# Operations beyond which a joint question is not asked: few are answered in that time.
_MOST_OPS = 60
_PRODUCTS = ("tt.dot", "tt.dot_scaled")
_WARPS = (4, 8)


@dataclass(frozen=True)
class Subject:
    """A kernel's loop on a machine: what is asked about. `pieces`: sub-tiles of its rows; `key` tells the kernel."""

    key: str
    kernel: Kernel = field(repr=False, compare=False)
    loop: Loop = field(repr=False, compare=False)
    machine: Machine = field(repr=False, compare=False)
    warps: int = 4
    pieces: int = 1

    @staticmethod
    def of(key: str, kernel: Kernel, machine: Machine) -> Subject | None:
        """The loop with the most matrix products, or None where no loop can be scheduled."""
        from twill.pipeline import choose_loop

        try:
            loop = choose_loop(kernel, None)
        except UserError:
            return None
        return Subject(key, kernel, loop, machine, kernel.warps) if loop.refusal is None else None

    @property
    def is_specialized(self) -> bool:
        """Whether this machine gives roles to warp groups of their own."""
        return self.machine.warp_specialization and self.kernel.dialect != "ptx"

    @property
    def spread(self) -> tuple[Subject, ...]:
        """The same tile spread over more and more warps: a group for each sub-tile, or all in one."""
        if not self.is_specialized:
            return tuple(replace(self, kernel=replace(self.kernel, warps=w), warps=w) for w in _WARPS)
        from twill.lowering import legal_subtiles

        legal = legal_subtiles(self.kernel, self.loop, self.machine)
        return tuple(replace(self, pieces=n, warps=GROUP_WARPS * n) for n in legal if GROUP_WARPS * n <= _WARPS[-1])

    @cached_property
    def products(self) -> tuple[Operation, ...]:
        """The matrix products of one iteration."""
        return tuple(op for op in _operations(self.loop) if op.opcode in _PRODUCTS)

    @cached_property
    def work(self) -> int:
        """What one iteration does: floating-point operations of its products, else elements that it loads."""
        if not self.products:
            return sum(v.type.elements for op in _operations(self.loop) if "load" in op.opcode for v in op.results)
        types = _types(self.kernel)
        return sum(2 * op.results[0].type.elements * types[op.operands[0]].shape[-1] for op in self.products)

    @property
    def product_registers(self) -> int:
        """Registers of a thread that the results of all products take; 0 where they live in a memory of their own."""
        if self.machine.tmem_columns is not None:
            return 0
        elements = sum(op.results[0].type.elements for op in self.products)
        return elements // (self.machine.threads_per_warp * self.warps)


@dataclass
class Scheduler:
    """Answers by question; each is solved once."""

    seed: int = 0
    answers: dict[tuple[Subject, bool], Schedule | None] = field(default_factory=dict)

    def interval(self, subject: Subject) -> Schedule | None:
        """The schedule of one instruction stream, proven."""
        return self._asked(subject, joint=False)

    def whole(self, subject: Subject) -> Schedule | None:
        """The schedule with memories, registers and warp groups, every level of it proven."""
        return self._asked(subject, joint=True)

    def _asked(self, subject: Subject, joint: bool) -> Schedule | None:
        key = (subject, joint)
        if key not in self.answers:
            try:
                self.answers[key] = _solved(subject, joint, self.seed)
            except UserError:
                self.answers[key] = None
        return self.answers[key]


def _solved(subject: Subject, joint: bool, seed: int) -> Schedule | None:
    from twill.pipeline import Options, find_solver, lower_loop, make_problem, solve
    from twill.solve.protocol import Limits

    instance = lower_loop(subject.kernel, subject.loop, subject.machine, subject.pieces)
    if joint and len(instance.graph.ops) > _MOST_OPS:
        return None
    problem = make_problem(instance, Options(joint=joint))
    limits = Limits(time_s=_JOINT_S if joint else _STREAM_S, workers=1, seed=seed)
    schedule = solve(problem, find_solver("cpsat"), limits)
    return schedule if schedule.status is Status.OPTIMAL else None


def _operations(loop: Loop) -> list[Operation]:
    return [item for item in loop.body if isinstance(item, Operation)]


def _types(kernel: Kernel) -> dict[str, Type]:
    """The type of every value."""
    found = {v.name: v.type for v in kernel.arguments}
    waiting = list(kernel.body)
    while waiting:
        item = waiting.pop()
        if isinstance(item, Operation):
            found |= {v.name: v.type for v in item.results}
            continue
        waiting += item.body
        values = [v for c in item.carried for v in (c.argument, c.result)]
        found |= {v.name: v.type for v in (*values, *([item.induction] if item.induction else []))}
    return found
