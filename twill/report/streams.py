"""The instruction stream of each warp group: ops in program order, and the barriers that hand results over.

A result that another group reads goes through a *channel*: `depth` buffers, each with a full and an empty mbarrier.
The producer waits until the buffer is empty, and its completion arrives at full; every consumer group waits for full
before its first reader and arrives at empty once its last reader is done. An edge that only orders two ops in
different groups is a channel without storage. Steps stand in the order of their modelled times, and so every wait
comes after the arrive that it waits for: the program has no deadlock for any trip count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Literal

from ir.graph import Edge, Op
from ir.schedule import Schedule


@dataclass(frozen=True)
class Channel:
    """Hand-over of `op`'s result (or, for kind `order`, of the news that it is done) to the groups `consumers`."""

    op: str
    kind: Literal["data", "order"]
    depth: int
    producer: int
    consumers: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of its barriers: the op's, with `.order` where nothing is stored."""
        return self.op if self.kind == "data" else f"{self.op}.order"


@dataclass(frozen=True)
class Action:
    """A wait or an arrive for iteration i - `distance` of a channel; side `done` is a wait for an op of one's own.

    `asynchronous`: the hardware arrives when the op completes, the instruction stream goes on.
    """

    verb: Literal["wait", "arrive"]
    side: Literal["full", "empty", "done"]
    name: str
    distance: int = 0
    asynchronous: bool = False


@dataclass(frozen=True)
class Step:
    """Op `op` is issued, or (`done`) its completion is awaited, with waits before it and arrives after it."""

    op: str
    time_cycles: int
    done: bool = False
    before: tuple[Action, ...] = ()
    after: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Stream:
    """One warp group's steps in program order of the steady state; stages are counted from the group's first."""

    group: int
    ii_cycles: int
    steps: tuple[Step, ...]

    @cached_property
    def first_stage(self) -> int:
        """Smallest stage of the group in the whole schedule."""
        return min(step.time_cycles // self.ii_cycles for step in self.steps)

    @cached_property
    def stages(self) -> int:
        """Number of iterations that this group's program overlaps."""
        return 1 + max(map(self.stage, self.steps))

    def stage(self, step: Step) -> int:
        """Stage of a step within this group's program, from 0."""
        return step.time_cycles // self.ii_cycles - self.first_stage

    def prologue(self, number: int) -> Iterator[tuple[Step, int]]:
        """Steps of prologue round `number` (0 .. stages - 2) with their iteration; each runs only where it is < N."""
        for step in self.steps:
            if self.stage(step) <= number:
                yield step, number - self.stage(step)

    def steady(self) -> Iterator[tuple[Step, int]]:
        """Steps of steady round i (0 .. N - stages) with what to add to i."""
        for step in self.steps:
            yield step, self.stages - 1 - self.stage(step)

    def epilogue(self, number: int) -> Iterator[tuple[Step, int]]:
        """Steps of epilogue round `number` (0 .. stages - 2) with what to add to N.

        The round runs only where N >= stages - 1 - number: with fewer iterations, the prologue has done its work.
        """
        for step in self.steps:
            if self.stage(step) > number:
                yield step, number - self.stage(step)


@dataclass(frozen=True)
class Program:
    """The streams of all warp groups and the channels between them."""

    schedule: Schedule
    channels: tuple[Channel, ...]
    streams: tuple[Stream, ...]


def program(schedule: Schedule) -> Program:
    """The program of a found schedule."""
    channels = tuple(_channels(schedule))
    steps = [step for op in schedule.graph.ops for step in _steps(schedule, channels, op)]
    rank = _ranks(schedule, channels, steps)
    ii = schedule.ii_cycles or 1
    steps.sort(key=lambda step: (step.time_cycles % ii, rank[_key(step)]))
    groups = sorted({p.group for p in schedule.placements})
    streams = (Stream(g, ii, tuple(s for s in steps if schedule.by_op[s.op].group == g)) for g in groups)
    return Program(schedule, channels, tuple(streams))


def is_asynchronous(op: Op) -> bool:
    """True where the instruction stream goes on before the op is done."""
    return max(1, op.issue_cycles) < max(op.latency_cycles, op.occupancy_cycles)


def buffer_depths(schedule: Schedule, channels: tuple[Channel, ...]) -> dict[str, int]:
    """Depth of the buffer of each op whose result is in shared or tensor memory, or goes through a channel."""
    depths = {b.op: b.depth for b in schedule.buffers if b.memory != "registers"}
    return depths | {c.op: c.depth for c in channels if c.kind == "data"}


def _group(schedule: Schedule, op: str) -> int:
    return schedule.by_op[op].group


def _crosses(schedule: Schedule, edge: Edge) -> bool:
    return _group(schedule, edge.source) != _group(schedule, edge.target)


def _release_cycles(schedule: Schedule, edge: Edge) -> int:
    """Cycle, in the source's iteration, at which the target needs the source's result no more."""
    span = 0 if edge.in_place else schedule.graph.by_name[edge.target].span_cycles
    return schedule.by_op[edge.target].time_cycles + edge.distance * (schedule.ii_cycles or 1) + span


def _channels(schedule: Schedule) -> Iterator[Channel]:
    depths = {b.op: b.depth for b in schedule.buffers}
    kinds: tuple[Literal["data", "order"], ...] = ("data", "order")
    for op in schedule.graph.ops:
        for kind in kinds:
            edges = [e for e in schedule.graph.edges if e.source == op.name and e.kind == kind]
            crossing = [e for e in edges if _crosses(schedule, e)]
            if crossing:
                needed = _depth(schedule, op, edges)
                depth = max(needed, depths.get(op.name, 1)) if kind == "data" else needed
                consumers = tuple(sorted({_group(schedule, e.target) for e in crossing}))
                yield Channel(op.name, kind, depth, _group(schedule, op.name), consumers)


def _depth(schedule: Schedule, op: Op, edges: list[Edge]) -> int:
    start = schedule.by_op[op.name].time_cycles
    ends = [start + op.span_cycles, *(_release_cycles(schedule, edge) for edge in edges)]
    return max(1, -(-(max(ends) - start) // (schedule.ii_cycles or 1)))


def _steps(schedule: Schedule, channels: tuple[Channel, ...], op: Op) -> Iterator[Step]:
    time = schedule.by_op[op.name].time_cycles
    releases = tuple(_releases(schedule, channels, op))
    late = is_asynchronous(op)
    at_once = tuple(action for action, in_place in releases if in_place or not late)
    later = tuple(action for action, in_place in releases if late and not in_place)
    outgoing = tuple(c for c in channels if c.op == op.name)
    empty = (Action("wait", "empty", c.name) for c in outgoing)
    before = (*_waits(schedule, channels, op), *empty, *_reuse(schedule, channels, op))
    after = (*(Action("arrive", "full", c.name, asynchronous=late) for c in outgoing), *at_once)
    yield Step(op.name, time, False, before, after)
    if later:
        yield Step(op.name, time + op.span_cycles, True, (), later)


def _waits(schedule: Schedule, channels: tuple[Channel, ...], op: Op) -> Iterator[Action]:
    """Waits before an op: full barriers of other groups' results, and its own group's results where it must wait."""
    for channel, edge in _incoming(schedule, channels, op.name):
        earlier = (e for e in _readers(schedule, channel, _group(schedule, op.name)) if e is not edge)
        if not any(_covers(schedule, other, edge) for other in earlier):
            yield Action("wait", "full", channel.name, edge.distance)
    for edge in dict.fromkeys(e for e in schedule.graph.edges if e.target == op.name and e.blocking):
        if not _crosses(schedule, edge):
            yield Action("wait", "done", edge.source, edge.distance)


def _reuse(schedule: Schedule, channels: tuple[Channel, ...], op: Op) -> Iterator[Action]:
    """Waits for asynchronous readers in the op's own group, which may still read the buffer that it is to overwrite."""
    depth = buffer_depths(schedule, channels).get(op.name)
    for edge in schedule.graph.edges if depth else ():
        reader = schedule.graph.by_name[edge.target]
        mine = edge.source == op.name and edge.kind == "data" and not _crosses(schedule, edge)
        if mine and not edge.in_place and is_asynchronous(reader) and edge.distance < (depth or 0):
            yield Action("wait", "done", edge.target, (depth or 0) - edge.distance)


def _covers(schedule: Schedule, other: Edge, edge: Edge) -> bool:
    """True where `other` has waited already, whenever `edge`'s target runs."""

    def when(e: Edge) -> tuple[int, int, int]:
        time = schedule.by_op[e.target].time_cycles + e.distance * (schedule.ii_cycles or 1)
        return time, schedule.graph.index[e.target], e.distance

    return other.distance <= edge.distance and when(other)[0] < when(edge)[0]


def _releases(schedule: Schedule, channels: tuple[Channel, ...], op: Op) -> Iterator[tuple[Action, bool]]:
    """Arrives at the empty barriers of which the op is the group's last reader, and whether it reads in place."""
    for channel, edge in _incoming(schedule, channels, op.name):
        readers = _readers(schedule, channel, _group(schedule, op.name))
        last = max(readers, key=lambda e: (_release_cycles(schedule, e), schedule.graph.index[e.target], e.distance))
        if (last.target, last.distance) == (edge.target, edge.distance):
            yield Action("arrive", "empty", channel.name, edge.distance), last.in_place


def _incoming(schedule: Schedule, channels: tuple[Channel, ...], op: str) -> Iterator[tuple[Channel, Edge]]:
    """Channels that the op reads, once for each distance."""
    seen = set()
    for edge in schedule.graph.edges:
        key = (edge.source, edge.kind, edge.distance)
        if edge.target == op and _crosses(schedule, edge) and key not in seen:
            seen.add(key)
            yield next(c for c in channels if (c.op, c.kind) == key[:2]), edge


def _readers(schedule: Schedule, channel: Channel, group: int) -> list[Edge]:
    edges = schedule.graph.edges
    mine = [e for e in edges if (e.source, e.kind) == (channel.op, channel.kind)]
    return [e for e in mine if _group(schedule, e.target) == group]


def _key(step: Step) -> tuple[str, bool]:
    return step.op, step.done


def _ranks(schedule: Schedule, channels: tuple[Channel, ...], steps: list[Step]) -> dict[tuple[str, bool], int]:
    """Order of steps that fall on the same cycle: sources before targets, releases before the producer's next turn."""
    ii = schedule.ii_cycles or 1
    time = {_key(step): step.time_cycles for step in steps}
    sorter = TopologicalSorter({_key(step): [] for step in steps})
    for edge in schedule.graph.edges:
        source, target = (edge.source, False), (edge.target, False)
        if time[source] == time[target] + edge.distance * ii and source != target:
            sorter.add(target, source)
    depth = {c.name: c.depth for c in channels}
    owner = {c.name: (c.op, False) for c in channels}
    for step in steps:
        for action in step.after:
            if action.side == "empty" and step.time_cycles + action.distance * ii == (
                time[owner[action.name]] + depth[action.name] * ii
            ):
                sorter.add(owner[action.name], _key(step))
    return {key: rank for rank, key in enumerate(sorter.static_order())}
