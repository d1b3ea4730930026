"""Lanes that a `.sync` instruction names and that stand elsewhere are waited for, as the ISA demands.

Blocks are cut so that waiting where a block begins is the same as waiting at the instruction: no lane has yet done
anything that another could see. In a warp whose lanes are all together nothing is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import PARKED, Front, Mask, front_of, part_of
from backends.emulator.program import Program, recut
from backends.emulator.spaces import WARP_LANES
from backends.ptx.syntax import Immediate, Instruction, Operand

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

_EVERY_LANE = 0xFFFFFFFF
# Instructions after which other lanes may see that this one has gone on.
_VISIBLE = frozenset({
    "st", "atom", "red", "mbarrier", "cp", "stmatrix", "tcgen05", "wgmma", "fence", "membar", "barrier", "bar",
    "multimem",
})  # fmt: skip


def members_of(instruction: Instruction) -> Operand | None:
    """The member mask of an instruction that waits for the lanes that it names, else None.

    A guarded one waits for nobody here: which lanes execute it is known only when it runs.
    """
    parts = instruction.parts
    if instruction.guard is not None:
        return None
    if parts[:3] == ("bar", "warp", "sync"):
        return instruction.operands[0]
    if parts[0] in ("shfl", "vote", "match", "redux", "elect") and "sync" in parts:
        return instruction.operands[-1]
    return None


def literal_of(members: Operand) -> int | None:
    """The mask, where it is known."""
    return members.value & _EVERY_LANE if isinstance(members, Immediate) and members.value is not None else None


def cut_for_convergence(program: Program) -> Program:
    """The program with blocks that begin where lanes have to meet."""
    return recut(program, [cut for block in program.blocks for cut in _cuts(program, block)])


def _cuts(program: Program, block: range) -> Iterator[int]:
    together: int | None = 0
    is_first = True
    for index in block:
        instruction = program.instructions[index]
        members = members_of(instruction)
        if members is None:
            is_first &= instruction.base not in _VISIBLE
            continue
        mask = literal_of(members)
        if mask is None or mask != together:
            if mask is None or not is_first:
                yield index
            together = mask
            is_first = False


def meeting(program: Program, number: int) -> int | None:
    """The index of the instruction for whose lanes a block waits where it begins."""
    return next((i for i in program.blocks[number] if members_of(program.instructions[i]) is not None), None)


@dataclass(eq=False)
class _Meeting:
    """Lanes that wait at a block, and the lanes of their warps that must come; both of shape (instances, 32)."""

    here: Mask
    wanted: Mask
    site: int


class Convergence:
    """Where lanes wait for others of their warps."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._meetings: dict[int, _Meeting] = {}
        self._released = np.zeros((batch.instances, WARP_LANES), np.bool_)

    def gather(self, front: Front, members: Any, site: int) -> Any:
        """None where all members of each warp are in the front; else park the warps where some are missing."""
        here = front.full_mask()
        wanted = named(members, here) & self.batch.alive[front.warps]
        released = self._released[front.warps]
        missing = np.asarray((wanted & ~here & ~released).any(axis=1))
        if not missing.any():
            self._released[front.warps] = released & ~here
            return None
        self.batch.scheduler.count(front, -1)
        rows = front.indices()[missing]
        waiting = self._meetings.setdefault(front.block, self._empty(site))
        waiting.here[rows] |= here[missing]
        waiting.wanted[rows] = wanted[missing]
        on = part_of(front, here & ~missing[:, None], front.block)
        if on is not None:
            self.batch.scheduler.push(on)
        self._let_go(front.block)
        return PARKED

    def recheck(self) -> None:
        """Threads have ended: they are no longer waited for."""
        for block in list(self._meetings):
            self._let_go(block)

    def wake(self) -> bool:
        """Nothing else can go on: warps whose missing lanes wait at another `bar.warp.sync` have met there."""
        barriers = {block: m for block, m in self._meetings.items() if self._is_barrier(m)}
        everyone = np.zeros_like(self._released)
        for meeting_ in barriers.values():
            everyone |= meeting_.here
        woken = False
        for block, meeting_ in barriers.items():
            met = np.asarray(meeting_.here.any(axis=1) & ~(self._missing(meeting_) & ~everyone).any(axis=1))
            self._released[met] |= meeting_.wanted[met]
            woken |= self._push(block, meeting_, met)
        return woken

    def waiting(self) -> list[str]:
        """Who waits for whom, for the report of a deadlock."""
        return [self._describe(m) for m in self._meetings.values()]

    def note(self, front: Front, name: str) -> None:
        """Tell the observer that lanes have met."""
        if self.batch.observer is not None:
            self.batch.observer.event(front, name, front.mask)

    def _empty(self, site: int) -> _Meeting:
        return _Meeting(np.zeros_like(self._released), np.zeros_like(self._released), site)

    def _missing(self, meeting_: _Meeting) -> NDArray[np.bool_]:
        return meeting_.wanted & self.batch.alive & ~meeting_.here

    def _let_go(self, block: int) -> None:
        meeting_ = self._meetings[block]
        met = np.asarray(meeting_.here.any(axis=1) & ~self._missing(meeting_).any(axis=1))
        self._push(block, meeting_, met)

    def _push(self, block: int, meeting_: _Meeting, met: NDArray[np.bool_]) -> bool:
        front = front_of(meeting_.here & met[:, None], block)
        if front is None:
            return False
        meeting_.here[met] = False
        meeting_.wanted[met] = False
        if not meeting_.here.any():
            del self._meetings[block]
        self.batch.scheduler.push(front)
        return True

    def _is_barrier(self, meeting_: _Meeting) -> bool:
        return self.batch.program.instructions[meeting_.site].base == "bar"

    def _describe(self, meeting_: _Meeting) -> str:
        instance = int(meeting_.here.any(axis=1).argmax())
        missing = np.flatnonzero(self._missing(meeting_)[instance]).tolist()
        return (
            f"{int(meeting_.here[instance].sum())} lanes of warp {instance // self.batch.ctas} wait for lanes {missing}"
            f" at {self.batch.program.site(meeting_.site)}"
        )


def named(members: Any, here: Mask) -> NDArray[np.bool_]:
    """The lanes that the masks of the lanes `here` name, shape (n, 32)."""
    masks = np.where(here, np.asarray(members, np.uint32), np.uint32(0))
    whole = np.bitwise_or.reduce(masks, axis=1)[:, None]
    return np.asarray((whole >> np.arange(WARP_LANES, dtype=np.uint32) & np.uint32(1)) != 0)
