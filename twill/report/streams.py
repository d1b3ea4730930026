"""The instruction stream of each warp group: ops in program order, and the barriers that hand results over.

A result that another group reads goes through a *channel*: `depth` buffers, each with a full and an empty mbarrier.
The producer waits until the buffer is empty, and its completion arrives at full; every consumer group waits for full
before its first reader and arrives at empty once all its readers are done. An edge that only orders two ops in
different groups is a channel without storage. Steps stand in the order of their modelled times, and so every wait
comes after the arrive that it waits for: the program has no deadlock for any trip count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Literal

from ir.graph import DependenceGraph, Edge, Op
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
class _Key:
    op: str
    done: bool = False


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
    builder = _Builder(schedule, channels)
    groups = sorted({p.group for p in schedule.placements})
    streams = (Stream(g, schedule.ii_cycles or 1, tuple(builder.steps(g))) for g in groups)
    return Program(schedule, channels, tuple(streams))


def asynchronous(graph: DependenceGraph) -> frozenset[str]:
    """Ops that go on after the instruction stream has: loads, ops that hold their unit for longer than they issue, and
    whatever a reader has to wait for in a blocking way. Of other ops the hardware keeps the results in order."""
    waited = {edge.source for edge in graph.edges if edge.blocking}
    late = (op for op in graph.ops if op.variable_latency or max(1, op.issue_cycles) < op.occupancy_cycles)
    return frozenset(waited.union(op.name for op in late))


def buffer_depths(schedule: Schedule, channels: tuple[Channel, ...]) -> dict[str, int]:
    """Depth of the buffer of each op whose result is in shared or tensor memory, or goes through a channel.

    It is no less than the largest distance, as in `_depth`.
    """
    farthest = dict.fromkeys(schedule.graph.by_name, 1)
    for edge in schedule.graph.edges:
        if edge.kind == "data":
            farthest[edge.source] = max(farthest[edge.source], edge.distance)
    depths = {b.op: max(b.depth, farthest[b.op]) for b in schedule.buffers if b.memory != "registers"}
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
    """Copies that the lifetime overlaps, and no fewer than the largest distance.

    In the last iterations a reader that is `distance` later does not run and frees nothing; the producer must not wait
    for it.
    """
    start = schedule.by_op[op.name].time_cycles
    ends = [start + op.span_cycles, *(_release_cycles(schedule, edge) for edge in edges)]
    needed = -(-(max(ends) - start) // (schedule.ii_cycles or 1))
    return max(1, needed, *(edge.distance for edge in edges))


def _crossing(schedule: Schedule, channel: Channel) -> list[Edge]:
    edges = schedule.graph.edges
    return [e for e in edges if (e.source, e.kind) == (channel.op, channel.kind) and _crosses(schedule, e)]


@dataclass(frozen=True)
class _Builder:
    """Puts the steps of all groups in order, then hangs the waits and arrives on them."""

    schedule: Schedule
    channels: tuple[Channel, ...]

    @property
    def _ii(self) -> int:
        return self.schedule.ii_cycles or 1

    @cached_property
    def _late(self) -> frozenset[str]:
        return asynchronous(self.schedule.graph)

    def steps(self, group: int) -> Iterator[Step]:
        """The steps of a group in program order; an awaited completion only where something is handed back then."""
        for key in self._rank:
            if _group(self.schedule, key.op) != group:
                continue
            step = self._step(key)
            if not step.done or step.after:
                yield step

    def _step(self, key: _Key) -> Step:
        releases = tuple(self._releases(key))
        if key.done:
            return Step(key.op, self._time[key], True, (), releases)
        op = self.schedule.graph.by_name[key.op]
        outgoing = tuple(c for c in self.channels if c.op == op.name)
        empty = (Action("wait", "empty", c.name) for c in outgoing)
        before = (*self._full(op), *self._own(op), *empty, *self._reuse(op))
        full = (Action("arrive", "full", c.name, asynchronous=op.name in self._late) for c in outgoing)
        return Step(op.name, self._time[key], False, before, (*full, *releases))

    @cached_property
    def _time(self) -> dict[_Key, int]:
        """Cycle of each step; a completion is a step where an asynchronous op reads a channel."""
        times = {}
        for op in self.schedule.graph.ops:
            start = self.schedule.by_op[op.name].time_cycles
            times[_Key(op.name)] = start
            if op.name in self._late:
                times[_Key(op.name, True)] = start + op.span_cycles
        return times

    @cached_property
    def _rank(self) -> dict[_Key, int]:
        """Position of each step in program order: by slot, on the same cycle what is waited for before what waits."""
        before: dict[_Key, set[_Key]] = {key: set() for key in self._time}
        for edge in self.schedule.graph.edges:
            source, target = _Key(edge.source), _Key(edge.target)
            if source != target and self._time[source] == self._time[target] + edge.distance * self._ii:
                before[target].add(source)
        for channel in self.channels:
            owner = _Key(channel.op)
            turn = self._time[owner] + channel.depth * self._ii
            freed = (self._free(edge) for edge in _crossing(self.schedule, channel))
            before[owner] |= {key for key, time in freed if time == turn}
        topological = {key: n for n, key in enumerate(TopologicalSorter(before).static_order())}
        order = sorted(self._time, key=lambda key: (self._time[key] % self._ii, topological[key]))
        return {key: n for n, key in enumerate(order)}

    def _free(self, edge: Edge) -> tuple[_Key, int]:
        """The step at which the target hands the source's buffer back, and its cycle in the source's iteration."""
        late = edge.target in self._late and not edge.in_place
        key = _Key(edge.target, late)
        return key, self._time[key] + edge.distance * self._ii

    def _readers(self, channel: Channel, group: int) -> list[Edge]:
        return [e for e in _crossing(self.schedule, channel) if _group(self.schedule, e.target) == group]

    def _releases(self, key: _Key) -> Iterator[Action]:
        """Arrives at the empty barriers of which this step is the last reader of its group."""
        for channel in self.channels:
            readers = self._readers(channel, _group(self.schedule, key.op))
            if readers:
                last = max(readers, key=self._free_order)
                if self._free(last)[0] == key:
                    yield from self._unfinished(readers, last)
                    yield Action("arrive", "empty", channel.name, last.distance)

    def _unfinished(self, readers: list[Edge], last: Edge) -> Iterator[Action]:
        """Waits for the other asynchronous readers of the same buffer, which the order of issue does not finish."""
        others = dict.fromkeys((e.target, last.distance - e.distance) for e in readers if self._free(e)[0].done)
        for target, distance in others:
            if (target, distance) != (last.target, 0):
                yield Action("wait", "done", target, distance)

    def _free_order(self, edge: Edge) -> tuple[int, int]:
        key, time = self._free(edge)
        return time, self._rank[key]

    def _full(self, op: Op) -> Iterator[Action]:
        """Waits for other groups' results, but for those that an earlier reader of the group has waited for already."""
        for channel in self.channels:
            readers = self._readers(channel, _group(self.schedule, op.name))
            for distance in dict.fromkeys(e.distance for e in readers if e.target == op.name):
                mine = self._read_order(Edge(channel.op, op.name, distance=distance))
                known = (e.distance <= distance and self._read_order(e) < mine for e in readers)
                if not any(known):
                    yield Action("wait", "full", channel.name, distance)

    def _read_order(self, edge: Edge) -> tuple[int, int]:
        key = _Key(edge.target)
        return self._time[key] + edge.distance * self._ii, self._rank[key]

    def _own(self, op: Op) -> Iterator[Action]:
        """Waits for results of the op's own group, where the edge says that the group must wait."""
        edges = (e for e in self.schedule.graph.edges if e.target == op.name and e.blocking)
        own = ((e.source, e.distance) for e in edges if not _crosses(self.schedule, e))
        for source, distance in dict.fromkeys(own):
            yield Action("wait", "done", source, distance)

    def _reuse(self, op: Op) -> Iterator[Action]:
        """Waits for asynchronous readers in the op's own group, which may still read the buffer it is to overwrite."""
        depth = buffer_depths(self.schedule, self.channels).get(op.name, 0)
        for edge in self.schedule.graph.edges:
            mine = edge.source == op.name and edge.kind == "data" and not _crosses(self.schedule, edge)
            late = edge.target in self._late and not edge.in_place
            if mine and late and depth and edge.distance <= depth:
                yield Action("wait", "done", edge.target, depth - edge.distance)
