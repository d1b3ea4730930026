"""Storage on the ring of slots: lifetimes as whole turns plus one arc, in-place chains as one.

Where u's result passes its storage to v in place, both are one, and a chain that closes around the loop
holds its storage forever: the model then need not find that out by search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from twill.solve.joint_frame import Frame
from twill.solve.joint_instance import Reader, Value


@dataclass(frozen=True)
class Chain:
    """Values that hand one storage of `size` over in place; the last is `distance` iterations on from the first.

    closed: the last hands over to the first, so that `distance` copies are held at every slot.
    """

    values: tuple[Value, ...]
    distance: int
    closed: bool
    size: int


@dataclass(frozen=True)
class Arc:
    """A chain on the ring: `turns` times all slots and the arc of `rest` cycles from `start` on; lives `live`."""

    start: cp_model.IntVar
    turns: cp_model.IntVar
    rest: cp_model.IntVar
    end: cp_model.IntVar
    live: cp_model.IntVar
    most_turns: int


class Storage:
    """Lifetimes of one frame, made once and shared by all memories and groups."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._arcs: dict[tuple[int, int], Arc] = {}

    def arc(self, chain: Chain, most_cycles: int) -> Arc:
        """The arc of a chain that cannot live longer than `most_cycles`."""
        key = (chain.values[0].op, chain.values[-1].op)
        if key not in self._arcs:
            self._arcs[key] = self._make(chain, most_cycles)
        return self._arcs[key]

    def _make(self, chain: Chain, most_cycles: int) -> Arc:
        frame, model, ii = self.frame, self.frame.model, self.frame.ii
        low, high = tenure_bounds(frame, chain)
        high = min(high, most_cycles)
        if low > high:
            frame.refute()
            high = low
        live = model.new_int_var(low, high, "")
        start = frame.times[chain.values[0].op]
        for offset, op in _ends(frame, chain):
            model.add(live >= frame.times[op] - start + offset)
        turns, rest = model.new_int_var(low // ii, high // ii, ""), model.new_int_var(0, ii - 1, "")
        model.add(live == turns * ii + rest)
        slot = frame.slots[chain.values[0].op]
        end = model.new_int_var(0, 2 * ii, "")
        model.add(end == slot + rest)
        return Arc(slot, turns, rest, end, live, high // ii)

    def occupy(
        self, arc: Arc, size: int, presence: cp_model.IntVar | None = None
    ) -> list[tuple[cp_model.IntervalVar, cp_model.LinearExprT]]:
        """Intervals with demands that cover the ring's slots as the arc does, where `presence` holds."""
        model, ii = self.frame.model, self.frame.ii
        pieces: list[tuple[cp_model.IntervalVar, cp_model.LinearExprT]] = []
        for shift in (0, ii):
            start, end = arc.start - shift, arc.end - shift
            pieces.append((_interval(model, start, arc.rest, end, presence), size))
        if arc.most_turns:
            pieces.append((self.always(presence), size * arc.turns))
        return pieces

    def always(self, presence: cp_model.IntVar | None = None) -> cp_model.IntervalVar:
        """The interval of all slots."""
        return _interval(self.frame.model, 0, self.frame.ii, self.frame.ii, presence)


def _interval(
    model: cp_model.CpModel,
    start: cp_model.LinearExprT,
    size: cp_model.LinearExprT,
    end: cp_model.LinearExprT,
    presence: cp_model.IntVar | None,
) -> cp_model.IntervalVar:
    if presence is None:
        return model.new_interval_var(start, size, end, "")
    return model.new_optional_interval_var(start, size, end, presence, "")


def _ends(frame: Frame, chain: Chain) -> list[tuple[int, int]]:
    """(offset, op): the chain lasts to t(op) + offset at least."""
    last, shift = chain.values[-1], chain.distance * frame.ii
    readers = [(_held(frame, r) + shift, r.op) for r in last.readers]
    return [(last.span_cycles + shift, last.op), *readers]


def _held(frame: Frame, reader: Reader) -> int:
    return reader.distance * frame.ii + reader.held_cycles


def life_bounds(frame: Frame, value: Value) -> tuple[int, int]:
    """Least and most cycles that a value can live."""
    low = high = value.span_cycles
    for r in value.readers:
        gap = frame.gap(value.op, r.op)
        low, high = max(low, gap[0] + _held(frame, r)), max(high, gap[1] + _held(frame, r))
    return low, high


def tenure_bounds(frame: Frame, chain: Chain) -> tuple[int, int]:
    """Least and most cycles that a chain can last."""
    low, high = life_bounds(frame, chain.values[-1])
    if len(chain.values) == 1:
        return low, high
    gap, shift = frame.gap(chain.values[0].op, chain.values[-1].op), chain.distance * frame.ii
    return low + gap[0] + shift, high + gap[1] + shift


def chains_of(frame: Frame, sizes: Mapping[Value, int]) -> list[Chain]:
    """Every value in one chain; most chains are a single value."""
    by_op = {value.op: value for value in sizes}
    heirs: dict[int, Reader] = {}
    for value, size in sizes.items():
        heir = next((r for r in value.readers if _inherits(frame, value, r, size, by_op, sizes, heirs)), None)
        if heir is not None:
            heirs[value.op] = heir
    inherited = {heir.op for heir in heirs.values()}
    starts = [v for v in by_op if v not in inherited]
    chains = [_chain(v, by_op, heirs, sizes[by_op[v]]) for v in starts]
    covered = {value.op for chain in chains for value in chain.values}
    for v in by_op:
        if v not in covered:
            chain = _chain(v, by_op, heirs, sizes[by_op[v]])
            chains.append(chain)
            covered |= {value.op for value in chain.values}
    return chains


def _inherits(
    frame: Frame,
    value: Value,
    reader: Reader,
    size: int,
    by_op: Mapping[int, Value],
    sizes: Mapping[Value, int],
    heirs: Mapping[int, Reader],
) -> bool:
    """True where the reader takes over the same size in place and nothing can hold the value afterwards."""
    taken = reader.op in {heir.op for heir in heirs.values()}
    if not reader.in_place or taken or sizes.get(by_op.get(reader.op, value)) != size or reader.op not in by_op:
        return False
    handover = reader.distance * frame.ii
    others = (r for r in value.readers if r is not reader)
    if frame.gap(value.op, reader.op)[0] + handover < value.span_cycles:
        return False
    return all(frame.gap(r.op, reader.op)[0] + handover >= _held(frame, r) for r in others)


def _chain(start: int, by_op: Mapping[int, Value], heirs: Mapping[int, Reader], size: int) -> Chain:
    values, distance, v = [by_op[start]], 0, start
    while v in heirs:
        v, distance = heirs[v].op, distance + heirs[v].distance
        if v == start:
            return Chain(tuple(values), distance, True, size)
        values.append(by_op[v])
    return Chain(tuple(values), distance, False, size)
