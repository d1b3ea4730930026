"""The checker of asynchronous operations: what is never waited for, and bytes that an mbarrier does not expect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.bulk import RunCopy, TensorCopy
from backends.emulator.checkers.accumulators import premature_uses
from backends.emulator.checkers.launch_state import LaunchState
from backends.emulator.fronts import Front, Mask
from backends.emulator.observer import Observer, Words

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
_ISSUES = {
    "wgmma.mma_async": "wgmma", "bulk.tensor_store": "bulk", "bulk.run_store": "bulk",
    "tcgen05.ld": "tcgen05.ld", "tcgen05.st": "tcgen05.st",
}  # fmt: skip
_LOADS = ("bulk.tensor_load", "bulk.run_load", "bulk.run_to_cluster")
_REMOTE = ("st.async", "red.async")
_COMMITS = {"cp.async.commit_group": "cp.async", "wgmma.commit_group": "wgmma", "bulk.commit_group": "bulk"}
_WAITS = {
    "cp.async.wait_group": "cp.async", "wgmma.wait_group": "wgmma", "bulk.wait_group": "bulk",
    "bulk.wait_group.read": "bulk",
}  # fmt: skip
# What covers everything issued so far, committed or not.
_COVERS_ALL = {
    "cp.async.wait_all": "cp.async", "cp.async.mbarrier.arrive": "cp.async", "tcgen05.wait::ld": "tcgen05.ld",
    "tcgen05.wait::st": "tcgen05.st",
}  # fmt: skip
_NAMES = {
    "cp.async": "cp.async", "wgmma": "wgmma.mma_async", "bulk": "a bulk store from shared memory",
    "tcgen05.ld": "tcgen05.ld", "tcgen05.st": "tcgen05.st",
}  # fmt: skip
_HAS_GROUPS = ("cp.async", "wgmma", "bulk")


class _Engine:
    """Commit groups of one sort by warp: `newest` is that of the last operation, `waited` how many are complete."""

    def __init__(self, instances: int) -> None:
        self.count = np.zeros(instances, np.int64)
        self.newest = np.full(instances, -1, np.int64)
        self.waited = np.zeros(instances, np.int64)
        self.site = np.zeros(instances, np.int64)


@dataclass
class _Object:
    """An mbarrier: bytes of issued copies that have not come; where a copy was issued that no wait followed."""

    in_flight: int = 0
    unwaited_site: int = -1


class PendingChecker(Observer):
    """Follows the asynchronous operations of a batch."""

    def __init__(self, batch: Batch, state: LaunchState) -> None:
        self.batch = batch
        self.findings = state.findings
        self.engines = {name: _Engine(batch.instances) for name in _NAMES}
        self.objects: dict[int, _Object] = {}
        self.premature = premature_uses(batch.program) if state.once("premature") else {}

    # Registers of wgmma

    def block(self, front: Front, number: int) -> None:
        """Uses of accumulators that are in flight are found before the launch, and told when the block runs."""
        for index, name, issued in self.premature.pop(number, ()):
            lane = np.unravel_index(front.full_mask().argmax(), (front.n, 32))
            program = self.batch.program
            self.findings.add(
                "wgmma-in-flight", f"register {name} of a wgmma in flight is used with no wgmma.wait_group before it",
                program.site(index), self.batch.thread(front, lane), program.site(issued),
            )  # fmt: skip

    # Groups

    def access(
        self, front: Front, space: str, flat: Array, nbytes: int, active: Mask | None, kind: str, values: Any = None
    ) -> None:
        """`cp.async` is told as an access."""
        del flat, nbytes, values
        if kind == "async-store" and space == "shared":
            self._issue("cp.async", _instances(front, active))

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Issues, commits and waits."""
        instance = _instances(front, lanes)
        if name in _ISSUES:
            self._issue(_ISSUES[name], instance)
        elif name in _LOADS:
            self._load(zip(detail.word.tolist(), self._bytes_of(detail), strict=True))
        elif name in _REMOTE:
            store, _, nbytes = detail
            self._load((word, nbytes) for word in store.words.tolist())
        elif name in _COMMITS:
            self.engines[_COMMITS[name]].count[instance] += 1
        elif name in _WAITS:
            engine = self.engines[_WAITS[name]]
            engine.waited[instance] = np.maximum(engine.waited[instance], engine.count[instance] - detail)
        elif name in _COVERS_ALL:
            self.engines[_COVERS_ALL[name]].newest[instance] = -1

    def _issue(self, name: str, instance: Array) -> None:
        engine = self.engines[name]
        engine.newest[instance] = engine.count[instance]
        engine.site[instance] = self.batch.site

    def retire(self, front: Front) -> None:
        """Whatever a warp has issued must have been waited for."""
        instances = front.indices()
        for name, engine in self.engines.items():
            left = instances[engine.newest[instances] >= engine.waited[instances]]
            left = left[engine.newest[left] >= 0]
            if not len(left):
                continue
            one = int(left[0])
            never = name in _HAS_GROUPS and engine.newest[one] >= engine.count[one]
            what = "never committed to a group" if never else "not waited for"
            site = self.batch.program.site(int(engine.site[one]))
            message = f"{_NAMES[name]} is {what} when its warp ends"
            self.findings.add("not-waited-for", message, site, self.batch.thread_at(one, 0), count=len(left))
            engine.newest[left] = -1

    # mbarriers

    def _load(self, copies: Iterable[tuple[int, int]]) -> None:
        """Copies by (mbarrier object, bytes)."""
        for word, nbytes in copies:
            known = self.objects.setdefault(word, _Object())
            known.in_flight += nbytes
            known.unwaited_site = self.batch.site

    def _bytes_of(self, copy: TensorCopy | RunCopy) -> list[int]:
        if isinstance(copy, RunCopy):
            return [int(n) for n in copy.nbytes]
        box = self.batch.bulk.box_of(copy)
        return [box.row_bytes * box.starts.shape[1]] * len(copy.shared)

    def bytes_complete(self, words: Words, nbytes: Array) -> None:
        """Bytes have come."""
        for word, count in zip(words.tolist(), nbytes.tolist(), strict=True):
            self.objects.setdefault(word, _Object()).in_flight -= count

    def phase_complete(self, words: Words) -> None:
        """No copy may be on its way when the phase that it belongs to completes."""
        for word in words.tolist():
            known = self.objects.get(word)
            if known is not None and known.in_flight > 0:
                self._mismatch(
                    word,
                    f"a phase completes while {known.in_flight} bytes of copies are on their way:"
                    " expect_tx announced too few",
                )

    def mbarrier(self, front: Front, event: str, words: Words, lanes: Mask) -> None:
        """A wait sees the copies before it; an object that is given up is memory like any other."""
        del front, lanes
        for word in (w for w in np.unique(words).tolist() if w in self.objects):
            if event == "wait":
                self.objects[word].unwaited_site = -1
            elif event == "inval":
                self._tell_unwaited(word, self.objects.pop(word))

    def finish(self) -> None:
        """Loads that nobody waited for, and bytes that were announced and never came."""
        for word, known in self.objects.items():
            self._tell_unwaited(word, known)
        due = self.batch.mbarriers.bytes_due(list(self.objects))
        for word, nbytes in zip(self.objects, due, strict=True):
            left = nbytes - self.objects[word].in_flight
            if left:
                words = (
                    f"{left} bytes announced and not copied" if left > 0 else f"{-left} bytes copied and not announced"
                )
                self._mismatch(word, f"{words} when the CTA ends")

    def _tell_unwaited(self, word: int, known: _Object) -> None:
        if known.unwaited_site >= 0:
            address = word * 8 % self.batch.shared.stride_bytes
            message = f"no thread waits on the mbarrier at shared address {address:#x} after this bulk copy"
            self.findings.add("not-waited-for", message, self.batch.program.site(known.unwaited_site))

    def _mismatch(self, word: int, what: str) -> None:
        address = word * 8 % self.batch.shared.stride_bytes
        site = self.batch.program.site(self.batch.site)
        self.findings.add("bytes-mismatch", f"the mbarrier at shared address {address:#x}: {what}", site)


def _instances(front: Front, lanes: Mask | None) -> Array:
    return front.indices() if lanes is None else front.indices()[lanes.any(axis=1)]
