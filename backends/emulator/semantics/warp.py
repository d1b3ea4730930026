"""Warp-level instructions: functions of arrays of shape (warps, 32), one row a warp, with the lanes that take part.

`active` is a bool array (warps, 32), or None if all lanes take part. Results hold in the active lanes only; what the
others get is of no meaning. Masks are uint32 with bit i for lane i.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any
LANES = np.arange(32, dtype=np.int64)


class Shuffled(NamedTuple):
    """Result of `shuffle`.

    `value`, `in_range` (the predicate) have shape (warps, 32). `unpredictable` flags the active lanes that read from
    an inactive one (they keep their own value), or is None if there is none.
    """

    value: Array
    in_range: Array
    unpredictable: Array | None


def members(mask: Array, active: Array | None) -> Array:
    """The lanes that are in their own `mask` (uint32, scalar or (warps, 32)) and active; bool (warps, 32)."""
    named = (np.asarray(mask) >> LANES.astype(np.uint32) & np.uint32(1)).astype(bool)
    return named if active is None else named & active


def to_mask(flags: Array) -> Array:
    """Pack bools (warps, 32) to one uint32 a warp, shape (warps, 1)."""
    packed = np.packbits(np.ascontiguousarray(flags), axis=-1, bitorder="little")
    return packed.view("<u4").astype(np.uint32, copy=False)


def _everywhere(column: Array) -> Array:
    return np.broadcast_to(column, (column.shape[0], 32))


def _of_active(flags: Array, active: Array | None) -> Array:
    return flags if active is None else flags & active


def active_mask(active: Array) -> Array:
    """`activemask`: uint32 (warps, 32)."""
    return _everywhere(to_mask(active))


def elect(active: Array) -> tuple[Array, Array]:
    """`elect.sync`: the lowest active lane (uint32), and where a lane is it (bool); both (warps, 32)."""
    leader = np.argmax(active, axis=1)[:, None]
    return _everywhere(leader.astype(np.uint32)), active & (leader == LANES)


# Source lane from b and the first lane of b's segment ("shfl.sync", pseudocode).
_SOURCES: dict[str, Callable[[Array, Array], Array]] = {
    "up": lambda b, _: LANES - b,
    "down": lambda b, _: LANES + b,
    "bfly": lambda b, _: LANES ^ b,
    "idx": lambda b, first: first | b,
}


def _source_lanes(mode: str, b: Array, c: Array) -> tuple[Array, Array]:
    """Source lane and predicate of every lane; shape (32,) if b and c are scalars, else (warps, 32)."""
    offset, control = np.asarray(b, np.int64) & 31, np.asarray(c, np.int64)
    segment, clamp = control >> 8 & 31, control & 31
    first, limit = LANES & segment, LANES & segment | clamp & ~segment
    source = _SOURCES[mode](offset & ~segment if mode == "idx" else offset, first)
    in_range = source >= limit if mode == "up" else source <= limit
    return np.where(in_range, source, LANES), in_range


def _gather(x: Array, lanes: Array) -> Array:
    return np.take(x, lanes, axis=1) if lanes.ndim == 1 else np.take_along_axis(x, lanes, axis=1)


def shuffle(mode: str, a: Array, b: Array, c: Array, active: Array | None = None) -> Shuffled:
    """`shfl.sync` with mode up, down, bfly or idx: each lane reads `a` (warps, 32) of another lane.

    b: lane or offset; c: clamp in bits 0-4, segment mask in bits 8-12; scalars or (warps, 32).
    """
    lanes, in_range = _source_lanes(mode, b, c)
    value, in_range = _gather(a, lanes), np.broadcast_to(in_range, a.shape)
    if active is None or active.all():
        return Shuffled(value, in_range, None)
    unpredictable = active & ~_gather(active, lanes)
    if not unpredictable.any():
        return Shuffled(value, in_range, None)
    return Shuffled(np.where(unpredictable, a, value), in_range, unpredictable)


def ballot(predicate: Array, active: Array | None = None) -> Array:
    """`vote.ballot`: mask of the active lanes whose predicate holds; uint32 (warps, 32)."""
    return _everywhere(to_mask(_of_active(predicate, active)))


def vote_any(predicate: Array, active: Array | None = None) -> Array:
    """`vote.any`: whether the predicate holds in some active lane; bool (warps, 32)."""
    return _everywhere(_of_active(predicate, active).any(axis=1, keepdims=True))


def vote_all(predicate: Array, active: Array | None = None) -> Array:
    """`vote.all`: whether the predicate holds in all active lanes; bool (warps, 32)."""
    return ~vote_any(~predicate, active)


def vote_uni(predicate: Array, active: Array | None = None) -> Array:
    """`vote.uni`: whether all active lanes agree; bool (warps, 32)."""
    return vote_all(predicate, active) | ~vote_any(predicate, active)


VOTES: dict[str, Callable[..., Array]] = {"ballot": ballot, "any": vote_any, "all": vote_all, "uni": vote_uni}


def match_any(a: Array, active: Array | None = None) -> Array:
    """`match.any`: mask of the active lanes that hold the same bits; uint32 (warps, 32)."""
    same = a[:, :, None] == a[:, None, :]
    if active is not None:
        same &= active[:, None, :]
    return to_mask(same)[..., 0]


def match_all(a: Array, active: Array | None = None) -> tuple[Array, Array]:
    """`match.all`: mask of the active lanes if all hold the same bits, else 0; and whether they do."""
    taking = np.ones(a.shape, bool) if active is None else active
    first = np.take_along_axis(a, np.argmax(taking, axis=1)[:, None], axis=1)
    agree = ~(taking & (a != first)).any(axis=1, keepdims=True)
    return _everywhere(to_mask(taking) * agree), _everywhere(agree)


# The ufunc of each reduction, and the value (in the reduced type) that leaves every other unchanged.
_REDUCTIONS: dict[str, tuple[np.ufunc, Callable[[np.dtype[Any]], int]]] = {
    "add": (np.add, lambda _: 0),
    "or": (np.bitwise_or, lambda _: 0),
    "xor": (np.bitwise_xor, lambda _: 0),
    "and": (np.bitwise_and, lambda dtype: -1 if dtype.kind == "i" else int(np.iinfo(dtype).max)),
    "min": (np.minimum, lambda dtype: int(np.iinfo(dtype).max)),
    "max": (np.maximum, lambda dtype: int(np.iinfo(dtype).min)),
}


def reduce(operation: str, a: Array, active: Array | None = None) -> Array:
    """`redux.sync` of uint32 or int32 (warps, 32): add, min, max, and, or, xor over the active lanes, in each lane."""
    ufunc, neutral = _REDUCTIONS[operation]
    taking = a if active is None else np.where(active, a, a.dtype.type(neutral(a.dtype)))
    return _everywhere(ufunc.reduce(taking, axis=1, keepdims=True, dtype=a.dtype))


def reduce_f32(
    operation: str, a: Array, active: Array | None = None, *, magnitude: bool = False, nan: bool = False
) -> Array:
    """`redux.sync` of float32: min or max, optionally of magnitudes, over the active lanes.

    NaN loses to numbers unless `nan`, when it wins; -0 is less than +0. Order by an integer key does all of that.
    """
    values = np.abs(a) if magnitude else a
    key = _ordered_key(values)
    sign = 1 if operation == "max" else -1
    missing = np.isnan(values)
    key = np.where(missing, (1 << 40) if nan else -(1 << 40), sign * key)
    if active is not None:
        key = np.where(active, key, -(1 << 41))
    best = np.argmax(key, axis=1)[:, None]
    result = np.take_along_axis(values, best, axis=1)
    return _everywhere(np.where(np.isnan(result), np.uint32(0x7FFFFFFF).view(np.float32), result))


def _ordered_key(x: Array) -> Array:
    """Integers in the order of the float32 numbers, -0 just below +0."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF) - 1, bits)
