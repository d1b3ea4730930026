"""Atomic operations: lanes that hit the same place take turns in lane order, and each gets the value it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import Flat, Space
from backends.emulator.semantics.table import lookup, storage
from backends.emulator.spaces import GLOBAL_BASE, SHARED_BASE, WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
Update = Callable[[Array, Array, Array | None], Array]
# Operations for which NumPy's unbuffered `at` gives the same result as taking turns, when nobody wants the old value.
_UNORDERED: dict[str, np.ufunc] = {
    "add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}  # fmt: skip


def update_of(operation: str, kind: str) -> Update | None:
    """What an atomic operation makes of (old value, operand, second operand); None if there is no such operation."""
    special: dict[str, Update] = {
        "exch": lambda _, value, __: value,
        "cas": _compare_and_swap,
        "inc": lambda old, value, _: np.where(old >= value, old.dtype.type(0), old + old.dtype.type(1)),
        "dec": lambda old, value, _: np.where((old == 0) | (old > value), value, old - old.dtype.type(1)),
    }
    if operation in special:
        return special[operation]
    function = next((f for name in _spellings(operation, kind) if (f := lookup(name))), None)
    if function is None:
        return None
    apply = function.apply
    return lambda old, value, _: apply(old, value)


def _compare_and_swap(old: Array, value: Array, new: Array | None) -> Array:
    assert new is not None
    return np.where(_equal(old, value), new, old)


def _equal(one: Array, other: Array) -> Array:
    """Whether bits are equal; items of 16 bytes are held as complex numbers, and are none."""
    if one.dtype.kind != "c":
        return np.asarray(one == other)
    halves = (np.ascontiguousarray(x).view(np.uint64).reshape(*x.shape, 2) for x in (one, other))
    return np.asarray(np.equal(*halves).all(axis=-1))


def _spellings(operation: str, kind: str) -> list[str]:
    """Lane-wise instructions that compute the same as an atomic operation."""
    bits = kind if kind[0] != "b" or kind.startswith("bf") else f"u{kind[1:]}"
    if operation in ("and", "or", "xor"):
        return [f"{operation}.b{kind[1:]}"]
    return [f"{operation}.{bits}", f"{operation}.rn.{bits}"]


class Atomics:
    """`atom` and `red` on every state space."""

    def __init__(self, batch: Batch, spaces: dict[str, Space]) -> None:
        self.batch = batch
        self.spaces = spaces

    def apply(
        self, front: Front, space: str, address: Array, offset: int, kind: str, operation: str, update: Update,
        values: list[Array], second: Array | None, guard: Mask | None, wants_old: bool,
    ) -> list[Array]:  # fmt: skip
        """Update memory of `kind` at `address + offset`; returns the values found, one array (n, 32) per element."""
        dtype = storage(kind)
        active = front.full_mask(guard)
        olds = [np.zeros(active.shape, dtype) for _ in values]
        if not active.any():
            return olds
        memory = self._space(space, address, active)
        flat = memory.flat(front, address, offset, dtype.itemsize * len(values), front.active(guard))
        if self.batch.observer is not None:
            nbytes = dtype.itemsize * len(values)
            self.batch.observer.access(front, memory.name, flat, nbytes, front.active(guard), "atomic")
        units = memory.units[dtype.itemsize].view(dtype)
        shape = (front.n, WARP_LANES)
        for number, (value, old) in enumerate(zip(values, olds, strict=True)):
            index = (flat[active] + number * dtype.itemsize) // dtype.itemsize
            operand = np.broadcast_to(value, shape)[active]
            other = None if second is None else np.broadcast_to(second, shape)[active]
            if not wants_old and operation in _UNORDERED and _is_plain(kind):
                _UNORDERED[operation].at(units, index, operand)
            else:
                old[active] = in_turns(units, index, operand, other, update)
        return olds

    def _space(self, space: str, address: Array, active: Mask) -> Space:
        if space != "generic":
            return self.spaces[space]
        wide = np.broadcast_to(address, active.shape)[active]
        if (wide >= np.uint64(GLOBAL_BASE)).all():
            return self.spaces["global"]
        return self.spaces["shared" if (wide >= np.uint64(SHARED_BASE)).all() else "local"]


def _is_plain(kind: str) -> bool:
    """Whether NumPy's own arithmetic on the storage type is the operation's."""
    return storage(kind).kind in "iu" and kind[0] in "subi" and "x" not in kind and kind[:2] != "bf"


def in_turns(units: Array, index: Flat, operand: Array, second: Array | None, update: Update) -> Array:
    """Apply updates in order; lanes with distinct places at once, so rounds are as many as the worst collision."""
    old = np.empty(len(index), units.dtype)
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    by_rank = order[np.argsort(rank, kind="stable")]
    for chosen in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
        places = index[chosen]
        found = units[places]
        old[chosen] = found
        units[places] = update(found, operand[chosen], None if second is None else second[chosen])
    return old
