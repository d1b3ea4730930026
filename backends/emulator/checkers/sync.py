"""The synchronisation checker: who takes part in barriers, and mbarriers that are in use when they are initialised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.launch_state import LaunchState
from backends.emulator.fronts import Front, Mask
from backends.emulator.observer import Observer, Words
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

_NO_SITE = -1


class _Arrivals:
    """The running phase of a named barrier: at which instruction each lane arrived, and the counts that were given."""

    def __init__(self, batch: Batch) -> None:
        self.site = np.full((batch.instances, WARP_LANES), _NO_SITE, np.int64)
        self.counts = np.full((batch.instances, WARP_LANES), _NO_SITE, np.int64)


class SyncChecker(Observer):
    """Follows named barriers and mbarrier objects of a batch."""

    def __init__(self, batch: Batch, state: LaunchState) -> None:
        self.batch = batch
        self.findings = state.findings
        self.launched = batch.thread_of < batch.geometry.threads
        self._arrivals: dict[int, _Arrivals] = {}
        self._valid: dict[int, int] = {}

    def barrier_arrive(self, front: Front, identifier: int, threads: Any, waits: bool) -> None:
        """Note who arrives, and where."""
        del waits
        arrivals = self._arrivals.setdefault(identifier, _Arrivals(self.batch))
        lanes = front.full_mask()
        arrivals.site[front.warps] = np.where(lanes, self.batch.site, arrivals.site[front.warps])
        count = np.broadcast_to(0 if threads is None else threads, lanes.shape)[:, :1]
        arrivals.counts[front.warps] = np.where(lanes, count, arrivals.counts[front.warps])

    def barrier(self, identifier: int, fronts: Sequence[Front], done: NDArray[np.bool_]) -> None:
        """A phase is complete: look at who took part."""
        del fronts
        arrivals = self._arrivals[identifier]
        rows = np.flatnonzero(done[np.arange(self.batch.instances) % self.batch.ctas])
        self._check_warps(identifier, arrivals, rows)
        self._check_counts(identifier, arrivals, rows)
        arrivals.site[rows] = _NO_SITE
        arrivals.counts[rows] = _NO_SITE

    def _check_warps(self, identifier: int, arrivals: _Arrivals, rows: NDArray[np.int64]) -> None:
        site = arrivals.site[rows]
        here = site != _NO_SITE
        some = here.any(axis=1)
        first = site.max(axis=1)
        missing = some[:, None] & self.launched[rows] & (site != first[:, None])
        for row in np.flatnonzero(missing.any(axis=1)):
            if not self._is_aligned(int(first[row])):
                continue
            instance = int(rows[row])
            lanes = np.flatnonzero(missing[row]).tolist()
            ended = not self.batch.alive[instance][missing[row]].any()
            state = "have ended" if ended else "are elsewhere"
            self.findings.add(
                "exited-at-barrier" if ended else "divergent-barrier",
                f"barrier {identifier}: lanes {_listed(lanes)} of warp {instance // self.batch.ctas} {state}, and the"
                " instruction is for whole warps",
                self.batch.program.site(int(first[row])),
                self.batch.thread_at(instance, int(here[row].argmax())),
            )

    def _check_counts(self, identifier: int, arrivals: _Arrivals, rows: NDArray[np.int64]) -> None:
        counts = arrivals.counts[rows]
        for cta in np.unique(rows % self.batch.ctas):
            of_cta = counts[rows % self.batch.ctas == cta]
            given = np.unique(of_cta[of_cta != _NO_SITE])
            total = int((of_cta != _NO_SITE).any(axis=1).sum()) * WARP_LANES
            site = self.batch.program.site(self.batch.site)
            if len(given) > 1:
                words = ", ".join(str(g) if g else "all" for g in given.tolist())
                self.findings.add(
                    "barrier-count", f"barrier {identifier}: threads expect {words} threads at once", site
                )
            elif len(given) and given[0] and total > given[0]:
                message = f"barrier {identifier}: {total} threads arrive where {given[0]} are expected"
                self.findings.add("barrier-count", message, site)

    def _is_aligned(self, site: int) -> bool:
        parts = self.batch.program.instructions[site].parts
        return parts[0] == "bar" or "aligned" in parts

    def mbarrier(self, front: Front, event: str, words: Words, lanes: Mask) -> None:
        """An object is initialised once, and not given up while threads wait for it."""
        if event not in ("init", "inval"):
            return
        for word in np.unique(words).tolist():
            if event == "init" and word in self._valid:
                self._add(
                    front, "mbarrier-reinit", word, lanes, "initialised while it is in use: no mbarrier.inval", word
                )
            if self.batch.mbarriers.is_waited_for(word):
                self._add(
                    front,
                    "mbarrier-in-use",
                    word,
                    lanes,
                    f"changed by mbarrier.{event} while threads wait for it",
                    word,
                )
            if event == "init":
                self._valid[word] = self.batch.site
            else:
                self._valid.pop(word, None)

    def _add(self, front: Front, rule: str, word: int, lanes: Mask, what: str, object_: int) -> None:
        address = word * 8 % self.batch.shared.stride_bytes
        lane = np.unravel_index(lanes.argmax(), lanes.shape)
        other = self._valid.get(object_)
        program = self.batch.program
        self.findings.add(
            rule, f"the mbarrier at shared address {address:#x} is {what}", program.site(self.batch.site),
            self.batch.thread(front, lane), None if other is None else program.site(other),
        )  # fmt: skip

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Shuffles that read lanes which do not take part."""
        del detail
        if name != "shfl.unpredictable" or lanes is None or not lanes.any():
            return
        lane = np.unravel_index(lanes.argmax(), lanes.shape)
        self.findings.add(
            "shfl-inactive-lane", "reads the register of a lane that does not take part: the value is undefined",
            self.batch.program.site(self.batch.site), self.batch.thread(front, lane), count=int(lanes.sum()),
        )  # fmt: skip


def _listed(lanes: list[int]) -> str:
    """`3`, or `0 to 15` for a run."""
    is_run = len(lanes) > 1 and lanes == list(range(lanes[0], lanes[-1] + 1))
    return f"{lanes[0]} to {lanes[-1]}" if is_run else ", ".join(map(str, lanes))
