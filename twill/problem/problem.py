"""The scheduling problem, stated in full; solvers, brute force and verifier all implement this page.

Given a `DependenceGraph` and a `Machine`, choose an interval I (the II), an issue time t(v) >= 0 and a warp group
g(v) for each op v. Write span(v) for `Op.span_cycles`, d(e) for `DependenceGraph.delay_cycles`, and let slots r run
over 0 .. I-1. An interval [a, b) *covers* slot r once for each integer k with a <= r + k*I < b.

Stage 1 (``joint=False``) has these families of constraints:

dependence        t(v) >= t(u) + d(e) - distance(e) * I                              for each edge e = (u, v)
unit              for each unit and slot: ops' [t, t + occupancy) cover it at most `units[unit]` times
stages            t(v) < max_stages * I                                              (only where max_stages is set)
pins              what the user fixed: the interval, stages, order; groups in stage 2

Stage 2 (``joint=True``) adds:

smem, tmem        for each memory and slot: sum over values of size times the times that the value's lifetime covers
                  the slot, plus the invariants' sizes, is at most the capacity
group_warps       warps(g) = most warps that a member needs; their sum is at most `max_warps`
variable_latency  where the machine has warp specialization: ops with variable latency, and only those, are in group 0
                  (the load group); without it there is one group for all
registers         for each group and slot: live registers of values produced by the group, plus invariants with a
                  reader in the group, plus `reserved_registers`, are at most the group's budget; a budget is a
                  multiple of the granularity between the machine's minimum and maximum;
                  sum of threads_per_warp * warps(g) * budget(g) is at most `registers_per_sm`
handoff           t(v) >= t(u) + d(e) + handoff(u) - distance(e) * I                 where g(u) != g(v)
register_handoff  (only where forbidden) g(u) = g(v) for data edges whose source holds registers
blocking          for a blocking edge into v: no op x of v's group (v itself included) has an issue interval
                  [t(x), t(x) + max(1, issue(x))) that covers a slot which the wait [t(v) - wait, t(v)) covers

The lifetime of u's result is [t(u), end), end = max of t(u) + span(u) and, over u's data edges e = (u, v), of
t(v) + distance * I + span(v), or of t(v) + distance * I where e is in place.

A group is used if it has an op; a machine has at most `max_groups`. Groups other than 0 are interchangeable; where no
op has variable latency, or the machine has no warp specialization, so is group 0. Registers, warps and memories with
no limit (None) drop out.

Objective, lexicographic: smallest I; then smallest length L = max of t(v) + span(v) with min t(v) = 0; then (joint)
fewest used groups; then fewest edges between different groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ir.graph import DependenceGraph
from ir.machine import Machine


class Family(StrEnum):
    """The families of constraints, by which infeasibility is explained and violations are named."""

    DEPENDENCE = "dependence"
    UNIT = "unit"
    STAGES = "stages"
    SMEM = "smem"
    TMEM = "tmem"
    GROUP_WARPS = "group_warps"
    VARIABLE_LATENCY = "variable_latency"
    REGISTERS = "registers"
    HANDOFF = "handoff"
    REGISTER_HANDOFF = "register_handoff"
    BLOCKING = "blocking"
    PINS = "pins"
    GROUPS = "groups"


@dataclass(frozen=True)
class OrderPin:
    """Ops issue in this order in the steady state: entry (op, i) stands for op of iteration j + i.

    With entries (a, i), (b, k) in a row: t(a) + i*I <= t(b) + k*I; a cyclic order also asks that the last entry issues
    no later than the first one of the next iteration.
    """

    entries: tuple[tuple[str, int], ...]
    cyclic: bool = True


@dataclass(frozen=True)
class Pins:
    """What the user fixes. `groups`: op -> label; equal labels are one group, different labels different groups.

    `stages`: op -> t // I, counted from the smallest stage in use. `ii_cycles`: the interval itself.
    """

    name: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, int] = field(default_factory=dict)
    orders: tuple[OrderPin, ...] = ()
    ii_cycles: int | None = None


@dataclass(frozen=True)
class Problem:
    """One instance. `relaxed` families are dropped (to find which of them conflict).

    max_groups None: the machine's limit. max_stages None: no cap for a modulo problem, and for a joint problem the
    cap that the solver derives and writes into the certificate's assumptions.
    """

    graph: DependenceGraph
    machine: Machine
    joint: bool = True
    max_groups: int | None = None
    max_stages: int | None = None
    max_ii: int | None = None
    forbid_register_handoff: bool = False
    pins: Pins = Pins()
    relaxed: frozenset[Family] = frozenset()

    def has(self, family: Family) -> bool:
        """True where constraints of the family apply."""
        return family not in self.relaxed

    @property
    def group_limit(self) -> int:
        """Most warp groups that a schedule may use: 1 without warp specialization."""
        if not self.machine.warp_specialization:
            return 1
        return min(self.machine.max_groups, self.max_groups or self.machine.max_groups)

    @property
    def has_load_group(self) -> bool:
        """True where group 0 is reserved for ops of variable latency."""
        specialized = self.machine.warp_specialization and self.has(Family.VARIABLE_LATENCY)
        return specialized and any(op.variable_latency for op in self.graph.ops)
