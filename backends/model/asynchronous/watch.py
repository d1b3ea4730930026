"""Watches a batch of one cluster: notes what warps of its first CTA do with mbarriers, and when phases complete."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.bulk import RunCopy, TensorCopy
from backends.emulator.fronts import Front, Mask
from backends.emulator.observer import Observer, Words
from backends.emulator.spaces import WARP_LANES
from backends.emulator.tcgen05 import Arrival
from backends.emulator.tcgen05_product import Issued
from backends.model.asynchronous.observed import ARRIVE, COMMIT, COPY, WAIT, Act, Completed, Object
from backends.model.asynchronous.turns import Turns
from backends.model.asynchronous.ways import Ways
from backends.model.sm.costs import TensorShape
from backends.ptx.syntax import Instruction

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

# First parts of the opcodes that touch mbarriers; those that initialise them are left out.
_TOUCHING = ("mbarrier", "cp", "tcgen05")
_ALL: Mask = np.ones(WARP_LANES, np.bool_)
_LANES = np.arange(WARP_LANES)
_PARTS = frozenset(
    ["arrive", "arrive_drop", "try_wait", "test_wait", "commit", "mbarrier::complete_tx::bytes", "complete_tx"]
)  # fmt: skip


class Watch(Observer):
    """Follows the CTA `rank` of the batch's only cluster."""

    def __init__(self, batch: Batch, rank: int = 0) -> None:
        self.batch = batch
        self.rank = rank
        self.acts: list[Act] = []
        self.completed: list[Completed] = []
        self.shapes: dict[int, set[TensorShape]] = defaultdict(set)
        self.remote: set[int] = set()
        self.joined: dict[int, set[int]] = {i: set() for i, it in enumerate(batch.program.instructions) if _joins(it)}
        self._made: Counter[int] = Counter()
        self._phases: Counter[Object] = Counter()
        self._turns = Turns()
        self._in_vain: set[tuple[int, int, int]] = set()
        self._noted: set[tuple[int, int, int, Object]] = set()
        self.ways = Ways()
        program = batch.program
        self._sites = [[i for i in block if _touches(program.instructions[i].parts)] for block in program.blocks]
        self._stride_words = batch.shared.stride_bytes // 8

    @property
    def executions(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """See `Observed.executions`."""
        return {
            warp: tuple((site, turn) for site, turn in log if (warp, site, turn) not in self._in_vain)
            for warp, log in self._turns.log.items()
        }

    @property
    def touching(self) -> tuple[int, ...]:
        """See `Observed.touching`."""
        return tuple(site for sites in self._sites for site in sites)

    def block(self, front: Front, number: int) -> None:
        """Count what is executed, of the instructions that matter. The way of a warp is that of its first lane."""
        sites = self._sites[number]
        for row, warp in self._warps(front):
            lanes = _ALL if front.mask is None else front.mask[row]
            if lanes[0]:
                self.ways.go(warp, number)
            for site in sites:
                self._turns.execute(warp, site, lanes)

    def mbarrier(self, front: Front, event: str, words: Words, lanes: Mask) -> None:
        """Note inits, arrivals and waits, one for each warp and object."""
        if event == "init":
            self._initialise(words)
        elif event in (ARRIVE, WAIT):
            self._touched(event, front, words, lanes)
        if event == WAIT:
            self._note_vain(front, lanes)

    def barrier_arrive(self, front: Front, identifier: int, threads: Any, waits: bool) -> None:
        """Note who comes to named barriers."""
        del identifier, threads, waits
        self.joined.setdefault(self.batch.site, set()).update(warp for _row, warp in self._warps(front))

    def phase_complete(self, words: Words) -> None:
        """Note the end of phases."""
        for word in np.unique(words).tolist():
            thing = self._object(word)
            if self._is_own(word):
                self.completed.append(Completed(thing, self._phases[thing], self._time()))
            self._phases[thing] += 1

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Note bulk copies, commits and matrix instructions."""
        if isinstance(detail, (TensorCopy, RunCopy)):
            if detail.word is not None:
                self._touched(COPY, front, detail.word, front.full_mask(lanes))
        elif isinstance(detail, Arrival):
            self._touched(COMMIT, front, detail.words, front.full_mask(lanes))
        elif name == "cp.async.mbarrier.arrive":
            self._touched(ARRIVE, front, detail, front.full_mask(lanes))
        elif isinstance(detail, Issued):
            what = detail.product.instruction
            self.shapes[self.batch.site].add(TensorShape(what.m, what.n, detail.product.form.group))

    def _initialise(self, words: Words) -> None:
        for word in np.unique(words).tolist():
            self._made[word] += 1

    def _touched(self, kind: str, front: Front, words: Words, lanes: Mask) -> None:
        """words: of the lanes that take part, in order; of copies to several CTAs, all of each lane together."""
        places = np.argwhere(lanes)
        if not len(places):
            return
        instances = front.indices()
        each = np.repeat(places, len(words) // len(places), axis=0)
        for row, word in np.unique(np.stack((each[:, 0], words), axis=1), axis=0).tolist():
            instance = int(instances[row])
            is_ours = instance % self.batch.ctas == self.rank
            if is_ours and self._is_own(word):
                chosen = each[(each[:, 0] == row) & (words == word), 1]
                self._note(kind, instance // self.batch.ctas, np.isin(_LANES, chosen), word)
            elif is_ours or self._is_own(word):
                self.remote.add(self.batch.site)

    def _note(self, kind: str, warp: int, lanes: Mask, word: int) -> None:
        """Once for a warp, also where its lanes come one after the other."""
        thing, site = self._object(word), self.batch.site
        turn = self._turns.current(warp, site, lanes)
        if (warp, site, turn, thing) in self._noted:
            return
        self._noted.add((warp, site, turn, thing))
        phase = self._phases[thing] - (kind == WAIT)
        self.acts.append(Act(kind, site, warp, turn, thing, phase, self._time()))

    def _note_vain(self, front: Front, lanes: Mask) -> None:
        """A `test_wait` that fails is asked again: one wait may be many executions."""
        if lanes.any() or "test_wait" not in self.batch.program.instructions[self.batch.site].parts:
            return
        site = self.batch.site
        asked = front.full_mask()
        self._in_vain |= {(w, site, self._turns.current(w, site, asked[row])) for row, w in self._warps(front)}

    def _warps(self, front: Front) -> Iterator[tuple[int, int]]:
        """(row of the front, warp of the CTA)."""
        indices: NDArray[np.int64] = front.indices()
        for row, instance in enumerate(indices.tolist()):
            if instance % self.batch.ctas == self.rank:
                yield row, instance // self.batch.ctas

    def _object(self, word: int) -> Object:
        return word, self._made[word]

    def _is_own(self, word: int) -> bool:
        return word // self._stride_words == self.rank

    def _time(self) -> int:
        return len(self.acts) + len(self.completed)


def _joins(instruction: Instruction) -> bool:
    return instruction.parts[0] in ("bar", "barrier") and "warp" not in instruction.parts


def _touches(parts: Sequence[str]) -> bool:
    return parts[0] in _TOUCHING and not _PARTS.isdisjoint(parts)
