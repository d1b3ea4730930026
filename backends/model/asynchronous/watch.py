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
from backends.emulator.tcgen05 import Arrival
from backends.emulator.tcgen05_product import Issued
from backends.model.asynchronous.observed import ARRIVE, COMMIT, COPY, WAIT, Act, Completed, Object
from backends.model.asynchronous.ways import Ways
from backends.model.sm.costs import TensorShape
from backends.ptx.syntax import Instruction

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

# First parts of the opcodes that touch mbarriers; those that initialise them are left out.
_TOUCHING = ("mbarrier", "cp", "tcgen05")
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
        self._executed: Counter[tuple[int, int]] = Counter()
        self._log: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._in_vain: set[tuple[int, int, int]] = set()
        self.ways = Ways()
        program = batch.program
        self._sites = [[i for i in block if _touches(program.instructions[i].parts)] for block in program.blocks]
        self._stride_words = batch.shared.stride_bytes // 8

    @property
    def executions(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """See `Observed.executions`."""
        return {
            warp: tuple((site, turn) for site, turn in log if (warp, site, turn) not in self._in_vain)
            for warp, log in self._log.items()
        }

    def block(self, front: Front, number: int) -> None:
        """Count what is executed, of the instructions that matter."""
        sites = self._sites[number]
        for warp in self._warps(front):
            self.ways.go(warp, number)
            for site in sites:
                self._log[warp].append((site, self._executed[warp, site]))
                self._executed[warp, site] += 1

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
        self.joined.setdefault(self.batch.site, set()).update(self._warps(front))

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
        rows, _lanes = np.nonzero(lanes)
        if not len(rows):
            return
        instances = front.indices()[rows]
        each = np.repeat(instances, len(words) // len(rows))
        pairs = np.unique(np.stack((each, words), axis=1), axis=0)
        for instance, word in pairs.tolist():
            is_ours = instance % self.batch.ctas == self.rank
            if is_ours and self._is_own(word):
                self._note(kind, instance // self.batch.ctas, word)
            elif is_ours or self._is_own(word):
                self.remote.add(self.batch.site)

    def _note(self, kind: str, warp: int, word: int) -> None:
        thing = self._object(word)
        phase = self._phases[thing] - (kind == WAIT)
        turn = self._executed[warp, self.batch.site] - 1
        self.acts.append(Act(kind, self.batch.site, warp, turn, thing, phase, self._time()))

    def _note_vain(self, front: Front, lanes: Mask) -> None:
        """A `test_wait` that fails is asked again: one wait may be many executions."""
        if lanes.any() or "test_wait" not in self.batch.program.instructions[self.batch.site].parts:
            return
        site = self.batch.site
        self._in_vain |= {(warp, site, self._executed[warp, site] - 1) for warp in self._warps(front)}

    def _warps(self, front: Front) -> Iterator[int]:
        indices: NDArray[np.int64] = front.indices()
        for instance in indices.tolist():
            if instance % self.batch.ctas == self.rank:
                yield instance // self.batch.ctas

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
