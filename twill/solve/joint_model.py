"""The whole joint problem at one II: frame, storage and groups together, and what a solution says."""

from __future__ import annotations

from dataclasses import dataclass

from ortools.sat.python import cp_model

from twill.solve.joint_frame import Frame, make_frame
from twill.solve.joint_groups import Groups, add_groups
from twill.solve.joint_instance import Instance
from twill.solve.joint_memory import add_memories, add_register_energy, register_use
from twill.solve.joint_registers import add_registers
from twill.solve.joint_storage import Storage


@dataclass(frozen=True)
class Solution:
    """Issue times from 0 on and groups, by op index, at one II."""

    ii: int
    times: tuple[int, ...]
    groups: tuple[int, ...]

    def length(self, spans: tuple[int, ...]) -> int:
        """End of the last op."""
        return max(t + span for t, span in zip(self.times, spans, strict=True))


@dataclass
class Model:
    """A frame with or without groups."""

    frame: Frame
    groups: Groups | None = None

    @property
    def cp(self) -> cp_model.CpModel:
        """The CP-SAT model."""
        return self.frame.model

    def hint(self, solution: Solution | None) -> None:
        """Start the search from a solution of the same II (groups only as far as they exist here)."""
        if solution is None or solution.ii != self.frame.ii:
            return
        shift = self.frame.shift_of(solution.times)
        for v, time in enumerate(solution.times):
            self.cp.add_hint(self.frame.times[v], time + shift)
            self.cp.add_hint(self.frame.slots[v], (time + shift) % self.frame.ii)
            for g, literal in (self.groups.member[v] if self.groups else {}).items():
                self.cp.add_hint(literal, g == solution.groups[v])

    def minimize_crossings(self) -> None:
        """Ask for the fewest edges between groups."""
        if self.groups is not None:
            self.cp.minimize(self.groups.crossings())

    def limit_crossings(self, most: int) -> None:
        """Allow at most so many edges between groups."""
        if self.groups is not None:
            self.cp.add(self.groups.crossings() <= most)

    def read(self, solver: cp_model.CpSolver) -> Solution:
        """The solution found, shifted so that the first op issues at 0."""
        times = [solver.value(t) for t in self.frame.times]
        first = min(times)
        return Solution(self.frame.ii, tuple(t - first for t in times), self._read_groups(solver))

    def _read_groups(self, solver: cp_model.CpSolver) -> tuple[int, ...]:
        if self.groups is None:
            return (0,) * len(self.frame.times)
        chosen = ([g for g, literal in member.items() if solver.value(literal)] for member in self.groups.member)
        return tuple(groups[0] for groups in chosen)


def base_model(instance: Instance, ii: int, length: int, anchored: bool = False) -> Model | None:
    """The relaxation without groups: times, units, memories, and registers on average. None where it cannot hold."""
    frame = make_frame(instance, ii, length, anchored)
    if frame is None:
        return None
    storage = Storage(frame)
    add_memories(frame, storage)
    add_register_energy(frame, storage)
    return None if frame.impossible else Model(frame)


def full_model(instance: Instance, ii: int, length: int, anchored: bool = False) -> Model | None:
    """The problem itself; None where bounds alone rule it out."""
    frame = make_frame(instance, ii, length, anchored) if instance.conflict is None else None
    if frame is None:
        return None
    storage = Storage(frame)
    add_memories(frame, storage)
    groups = add_groups(frame)
    if groups is None:
        return None
    add_registers(groups, storage)
    add_register_energy(frame, storage)
    return None if frame.impossible else Model(frame, groups)


def loose_model(instance: Instance, ii: int, length: int, frugal: bool) -> Model | None:
    """The problem without its register family, which makes the model large; None where bounds alone rule it out.

    frugal: ask for the least registers x cycles x warps, so that register budgets are likely to hold as well.
    """
    frame = make_frame(instance, ii, length) if instance.conflict is None else None
    if frame is None:
        return None
    storage = Storage(frame)
    add_memories(frame, storage)
    groups = add_groups(frame)
    if groups is None or frame.impossible:
        return None
    if frugal:
        frame.model.minimize(register_use(frame, storage))
    return Model(frame, groups)
