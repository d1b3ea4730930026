"""Warp-level instructions against loops over lanes."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from backends.emulator.semantics import warp

RNG = np.random.default_rng(11)
WARPS = 24


def _active() -> np.ndarray:
    """Full warps, single lanes, and random sets; never empty."""
    active = RNG.random((WARPS, 32)) < 0.6
    active[:4] = True
    active[4:8] = np.eye(32, dtype=bool)[[0, 31, 7, 16]]
    active[:, 5] |= ~active.any(axis=1)
    return active


def _source(mode: str, lane: int, b: int, c: int) -> tuple[int, bool]:
    """The pseudocode of shfl.sync."""
    value, clamp, mask = b & 31, c & 31, c >> 8 & 31
    last, first = lane & mask | clamp & ~mask, lane & mask
    if mode == "up":
        source, valid = lane - value, lane - value >= last
    elif mode == "down":
        source, valid = lane + value, lane + value <= last
    elif mode == "bfly":
        source, valid = lane ^ value, lane ^ value <= last
    else:
        source, valid = first | (value & ~mask), (first | (value & ~mask)) <= last
    return (source if valid else lane), valid


@pytest.mark.parametrize("mode", ["up", "down", "bfly", "idx"])
@pytest.mark.parametrize("per_lane", [False, True])
def test_shuffle(mode: str, per_lane: bool) -> None:
    values, active = RNG.integers(0, 1 << 32, (WARPS, 32), dtype=np.uint32), _active()
    for c in (0x1F, 0, 0x1C1F, 0x181F, 0x100F, 0x1F1F, 0x1C03):
        for b in (0, 1, 2, 5, 16, 31, 33):
            shape = (WARPS, 32) if per_lane else ()
            offsets = np.full(shape, b, np.uint32) if not per_lane else RNG.integers(0, 40, shape, dtype=np.uint32)
            controls = np.full(shape, c, np.uint32)
            got = warp.shuffle(mode, values, offsets, controls, active)
            flags = np.zeros((WARPS, 32), bool) if got.unpredictable is None else got.unpredictable
            for w, lane in np.argwhere(active):
                offset = int(offsets[w, lane]) if per_lane else b
                source, valid = _source(mode, int(lane), offset, c)
                assert got.in_range[w, lane] == valid
                assert flags[w, lane] == (not active[w, source])
                assert got.value[w, lane] == values[w, source if active[w, source] else lane]


def test_a_full_shuffle_reports_nothing_and_keeps_the_dtype() -> None:
    values = RNG.standard_normal((3, 32)).astype(np.float32)
    got = warp.shuffle("bfly", values, np.uint32(1), np.uint32(0x1F))
    assert got.unpredictable is None and got.value.dtype == np.float32 and got.in_range.all()
    assert np.array_equal(got.value, values.reshape(3, 16, 2)[..., ::-1].reshape(3, 32))


def _mask(lanes: np.ndarray) -> int:
    return sum(1 << int(i) for i in lanes)


def test_votes() -> None:
    predicate, active = RNG.random((WARPS, 32)) < 0.5, _active()
    predicate[0], predicate[1], predicate[8], predicate[9] = True, False, active[8], ~active[9]
    for w in range(WARPS):
        taking = predicate[w][active[w]]
        want = {
            "any": taking.any(),
            "all": taking.all(),
            "uni": len(set(taking.tolist())) == 1,
            "ballot": _mask(np.flatnonzero(predicate[w] & active[w])),
        }
        for name, value in want.items():
            got = warp.VOTES[name](predicate, active)
            assert got.shape == (WARPS, 32) and set(got[w].tolist()) == {value}, name
    assert np.array_equal(warp.ballot(predicate), warp.ballot(predicate, np.ones_like(predicate)))


def test_match() -> None:
    values, active = RNG.integers(0, 4, (WARPS, 32)).astype(np.uint64) << np.uint64(33), _active()
    values[0] = values[9] = 1 << 40
    values[10] = np.where(active[10], values[10, 0], values[10])
    any_mask = warp.match_any(values, active)
    all_mask, agree = warp.match_all(values, active)
    for w, lane in np.argwhere(active):
        assert any_mask[w, lane] == _mask(np.flatnonzero(active[w] & (values[w] == values[w, lane])))
        same = len(set(values[w][active[w]].tolist())) == 1
        assert agree[w, lane] == same
        assert all_mask[w, lane] == (_mask(np.flatnonzero(active[w])) if same else 0)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
def test_reduce(dtype: type) -> None:
    values, active = RNG.integers(0, 1 << 32, (WARPS, 32), dtype=np.uint32).view(dtype), _active()
    loops = {
        "add": lambda x: sum(x) % (1 << 32),
        "min": min,
        "max": max,
        "and": lambda x: np.bitwise_and.reduce(np.array(x, dtype)),
        "or": lambda x: np.bitwise_or.reduce(np.array(x, dtype)),
        "xor": lambda x: np.bitwise_xor.reduce(np.array(x, dtype)),
    }
    for name, loop in loops.items():
        got = warp.reduce(name, values, active)
        assert got.dtype == dtype and np.array_equal(warp.reduce(name, values)[:4], got[:4])
        for w in range(WARPS):
            want = int(loop(values[w][active[w]].tolist()))
            assert {int(x) % (1 << 32) for x in got[w]} == {want % (1 << 32)}, name


@pytest.mark.parametrize("operation", ["min", "max"])
@pytest.mark.parametrize("magnitude", [False, True])
@pytest.mark.parametrize("nan", [False, True])
def test_reduce_f32(operation: str, magnitude: bool, nan: bool) -> None:
    values, active = RNG.standard_normal((WARPS, 32)).astype(np.float32), _active()
    values[RNG.random((WARPS, 32)) < 0.1] = np.nan
    values[1], values[2] = np.nan, np.where(np.arange(32) % 2, 0.0, -0.0)
    values[3, 4], values[0, 3] = np.inf, -np.inf
    got = warp.reduce_f32(operation, values, active, magnitude=magnitude, nan=nan)
    for w in range(WARPS):
        taking = [abs(float(x)) if magnitude else float(x) for x in values[w][active[w]]]
        numbers = [x for x in taking if not math.isnan(x)]
        if not numbers or (nan and len(numbers) < len(taking)):
            assert set(got[w].view(np.uint32).tolist()) == {0x7FFFFFFF}
            continue
        choose = min if operation == "min" else max
        want = choose(numbers, key=lambda x: (x, math.copysign(1, x)))
        assert Counter(map(str, got[w].tolist())) == {str(want): 32}


def test_elect_and_masks() -> None:
    active = _active()
    leader, elected = warp.elect(active)
    masks = warp.active_mask(active)
    for w in range(WARPS):
        lanes = np.flatnonzero(active[w])
        assert set(leader[w].tolist()) == {lanes[0]} and np.flatnonzero(elected[w]).tolist() == [lanes[0]]
        assert set(masks[w].tolist()) == {_mask(lanes)}
    assert np.array_equal(warp.members(masks, None), active)
    assert np.array_equal(warp.members(np.uint32(0xFFFF), active)[:, 16:], np.zeros((WARPS, 16), bool))
