"""Issue times at one fixed II as a CP-SAT model: t = stage * II + slot, windows, dependences, units and stages.

Resources speak of slots alone: two intervals on the ring of II slots are disjoint if and only if one of two difference
constraints on their slots holds. Stages appear in dependences alone, so that a refutation of a packing of the ring
does not have to be found again for every choice of stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from ortools.sat.python import cp_model

from twill.problem.problem import Family
from twill.solve.joint_instance import Instance
from twill.solve.joint_paths import Matrix, bounded_paths


@dataclass
class Frame:
    """The model under construction. t(v) - origin lies in [heads[v], latest[v]]; no op ends later than `length`.

    anchored: an op of the busiest unit issues in slot 0 and `origin`, the earliest time allowed, is a variable in one
    II. Schedules that are rotations of each other are then one, which shortens proofs; without it origin is 0, which
    finds schedules faster. impossible: set where the bounds alone rule every schedule out.
    """

    instance: Instance
    ii: int
    length: int
    paths: Matrix
    anchored: bool = False
    origin: cp_model.LinearExprT = 0
    model: cp_model.CpModel = field(default_factory=cp_model.CpModel)
    times: list[cp_model.IntVar] = field(default_factory=list)
    slots: list[cp_model.IntVar] = field(default_factory=list)
    impossible: bool = False

    def __post_init__(self) -> None:
        spans = np.array(self.instance.spans, dtype=np.int64)
        self.heads = np.maximum(self.paths.max(axis=0), 0)
        self.tails = (self.paths + spans[None, :]).max(axis=1)
        self.latest = self.length - self.tails
        self._cap_stages()
        self.impossible = bool((self.latest < self.heads).any())
        if not self.impossible:
            self._add_times()

    def _cap_stages(self) -> None:
        if self.instance.max_stages is not None:
            self.latest = np.minimum(self.latest, self.instance.max_stages * self.ii - 1)
        for v, stage in self.instance.stages.items():
            self.heads[v] = max(self.heads[v], stage * self.ii)
            self.latest[v] = min(self.latest[v], stage * self.ii + self.ii - 1)

    def _add_times(self) -> None:
        slack = self.ii - 1 if self.anchored else 0
        if self.anchored:
            self.origin = self.model.new_int_var(0, slack, "origin")
        for v, op in enumerate(self.instance.problem.graph.ops):
            low, high = int(self.heads[v]), int(self.latest[v]) + slack
            time = self.model.new_int_var(low, high, f"t {op.name}")
            slot = self.model.new_int_var(0, self.ii - 1, f"slot {op.name}")
            stage = self.model.new_int_var(low // self.ii, high // self.ii, f"stage {op.name}")
            self.model.add(time == stage * self.ii + slot)
            self.times.append(time)
            self.slots.append(slot)
            if self.anchored:
                self.model.add(time - self.origin >= int(self.heads[v]))
                self.model.add(time - self.origin <= int(self.latest[v]))
        if self.anchored:
            self.model.add(self.slots[self._anchor()] == 0)

    def _anchor(self) -> int:
        """The op with the longest reservation of the unit that is busiest."""
        ops = self.instance.problem.graph.ops
        busy: dict[str | None, int] = {}
        for op in ops:
            busy[op.unit] = busy.get(op.unit, 0) + (op.occupancy_cycles if op.unit else 0)
        return max(range(len(ops)), key=lambda v: (busy[ops[v].unit], ops[v].occupancy_cycles, -v))

    def shift_of(self, times: Sequence[int]) -> int:
        """What to add to times from 0 on so that they fit this frame."""
        return -times[self._anchor()] % self.ii if self.anchored else 0

    def gap(self, u: int, v: int) -> tuple[int, int]:
        """Least and most that t(v) - t(u) can be."""
        low = max(int(self.paths[u, v]), int(self.heads[v] - self.latest[u]))
        high = min(-int(self.paths[v, u]), int(self.latest[v] - self.heads[u]))
        return low, high

    def refute(self, condition: cp_model.IntVar | None = None) -> None:
        """The condition is false; without one the whole model is."""
        if condition is None:
            self.impossible = True
        else:
            self.model.add(condition == 0)

    def disjoint(
        self, first: tuple[int, int], second: tuple[int, int], lead: int = 0, condition: cp_model.IntVar | None = None
    ) -> None:
        """Reservations (op, cycles), the second starting `lead` before its op, share no slot where `condition` holds.

        With s = slot(second) - slot(first) this asks that s mod II lies in [cycles + lead, II - cycles' + lead].
        """
        (u, size_u), (v, size_v) = first, second
        if size_u + size_v > self.ii:
            self.refute(condition)
            return
        step = self.slots[v] - self.slots[u]
        ahead, behind = self.model.new_bool_var(""), self.model.new_bool_var("")
        self.model.add_linear_constraint(step, size_u + lead, self.ii - size_v + lead).only_enforce_if(ahead)
        self.model.add_linear_constraint(step, size_u + lead - self.ii, lead - size_v).only_enforce_if(behind)
        self.model.add_bool_or(ahead, behind, *([] if condition is None else [~condition]))


def make_frame(instance: Instance, ii: int, length: int, anchored: bool = False) -> Frame | None:
    """Times, dependences, units and stages at one II; None where that alone cannot hold."""
    paths = bounded_paths(instance, ii)
    if paths is None:
        return None
    frame = Frame(instance, ii, length, paths, anchored)
    if frame.impossible:
        return None
    _add_precedences(frame)
    _add_units(frame)
    if instance.stages:
        frame.model.add_min_equality(frame.origin, frame.times)
    return None if frame.impossible else frame


def _add_precedences(frame: Frame) -> None:
    for p in dict.fromkeys(frame.instance.precedences):
        least = p.delay_cycles - p.distance * frame.ii
        if p.source != p.target:
            frame.model.add(frame.times[p.target] - frame.times[p.source] >= least)


def _add_units(frame: Frame) -> None:
    if not frame.instance.holds(Family.UNIT):
        return
    ops, machine = frame.instance.problem.graph.ops, frame.instance.problem.machine
    for unit, count in machine.units.items():
        users = [(v, op.occupancy_cycles) for v, op in enumerate(ops) if op.unit == unit and op.occupancy_cycles]
        if sum(size for _, size in users) > count * frame.ii:
            frame.refute()
        elif count == 1:
            for first, second in combinations(users, 2):
                frame.disjoint(first, second)
        elif len(users) > count or any(size > frame.ii for _, size in users):
            _add_pooled_unit(frame, users, count)


def _add_pooled_unit(frame: Frame, users: list[tuple[int, int]], count: int) -> None:
    """Several instances of a unit: a cumulative over the ring, whole turns of long reservations taken off first."""
    intervals = []
    for v, size in users:
        turns, rest = divmod(size, frame.ii)
        count -= turns
        if rest:
            intervals += [frame.model.new_fixed_size_interval_var(frame.slots[v] - s, rest, "") for s in (0, frame.ii)]
    frame.model.add_cumulative(intervals, [1] * len(intervals), count)
