"""Lanes of a warp that exchange values, with the checks of who takes part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.semantics import warp
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]


class Warps:
    """The warp-level instructions of a batch; results have shape (n, 32)."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def shuffle(
        self, front: Front, mode: str, value: Any, lane: Any, clamp: Any, members: Any, guard: Mask | None
    ) -> tuple[Array, Array]:
        """`shfl.sync`: (value, predicate). Reading a lane that does not take part is a finding of the checkers."""
        active = self._taking_part(front, members, guard)
        found = warp.shuffle(mode, _whole(value, front), lane, clamp, active)
        if found.unpredictable is not None and self.batch.observer is not None:
            self.batch.observer.event(front, "shfl.unpredictable", found.unpredictable)
        return found.value, found.in_range

    def vote(self, front: Front, mode: str, predicate: Any, members: Any, guard: Mask | None) -> Array:
        """`vote.sync`."""
        active = self._taking_part(front, members, guard)
        held: Array = warp.VOTES[mode](_whole(predicate, front), active)
        return held

    def match(self, front: Front, mode: str, value: Any, members: Any, guard: Mask | None) -> tuple[Array, ...]:
        """`match.sync`: (mask,) or (mask, predicate)."""
        active = self._taking_part(front, members, guard)
        value = _whole(value, front)
        return (warp.match_any(value, active),) if mode == "any" else warp.match_all(value, active)

    def reduce(self, front: Front, opcode: str, value: Any, members: Any, guard: Mask | None) -> Array:
        """`redux.sync`."""
        active = self._taking_part(front, members, guard)
        parts = opcode.split(".")
        value = _whole(value, front)
        result: Array
        if parts[-1] == "f32":
            result = warp.reduce_f32(parts[2], value, active, magnitude="abs" in parts, nan="NaN" in parts)
        else:
            result = warp.reduce(parts[2], value, active)
        return result

    def elect(self, front: Front, members: Any, guard: Mask | None) -> tuple[Array, Array]:
        """`elect.sync`: (leader, whether the lane is it)."""
        active = self._taking_part(front, members, guard)
        return warp.elect(front.full_mask() if active is None else active)

    def active_mask(self, front: Front, guard: Mask | None) -> Array:
        """`activemask`."""
        found: Array = warp.active_mask(front.full_mask(guard))
        return found

    def _taking_part(self, front: Front, members: Any, guard: Mask | None) -> Mask | None:
        active = front.active(guard)
        if self.batch.observer is not None:
            self.batch.observer.event(front, "warp.exchange", active)
        if active is None and isinstance(members, np.generic) and int(members) == 0xFFFFFFFF:
            return None
        found: Mask = warp.members(members, active)
        return found


def _whole(value: Any, front: Front) -> Array:
    return np.broadcast_to(value, (front.n, WARP_LANES))
