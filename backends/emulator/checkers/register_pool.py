"""The checker of `setmaxnreg`: registers that a CTA does not have, and counts that go the wrong way.

The pool of a CTA is what it was launched with, `.maxnreg` registers for each thread; without that nothing is known. The
device never waits for registers, so that a request which nobody makes room for is found when the CTA ends.
Source: PTX ISA, setmaxnreg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backends.emulator.checkers.launch_state import LaunchState
from backends.emulator.fronts import Front, Mask
from backends.emulator.observer import Observer

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

_WARPGROUP_WARPS = 4


class RegisterPoolChecker(Observer):
    """Follows the register counts of the warps of a batch. `lacking`: by CTA, the request that the pool cannot meet."""

    def __init__(self, batch: Batch, state: LaunchState) -> None:
        self.batch = batch
        self.findings = state.findings
        self.launched_with = batch.program.entry.attributes.max_registers
        self.held = np.full(batch.instances, self.launched_with or 0, np.int64)
        self.last = np.full(batch.instances, -1, np.int64)
        self.lacking: dict[int, tuple[int, int, int]] = {}

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """`setmaxnreg.inc` and `setmaxnreg.dec`, with the count as `detail`."""
        if not name.startswith("setmaxnreg"):
            return
        rows = (front.full_mask() if lanes is None else lanes).any(axis=1)
        instance = front.indices()[rows]
        wrong = self.held[instance] > detail if name.endswith("inc") else self.held[instance] < detail
        wrong &= self.held[instance] > 0
        if wrong.any():
            one = int(instance[wrong.argmax()])
            message = f"a warp with {int(self.held[one])} registers for a thread asks for {detail}: not defined"
            self._add("setmaxnreg-direction", message, self.batch.site, one, int(wrong.sum()))
        self.held[instance] = detail
        self.last[instance] = self.batch.site
        if self.launched_with:
            for cta in np.unique(instance % self.batch.ctas).tolist():
                self._balance(cta, int(instance[0]))

    def _balance(self, cta: int, instance: int) -> None:
        wanted = int(self.held[cta :: self.batch.ctas].sum())
        pool = (self.launched_with or 0) * self.batch.warps_per_cta
        if wanted <= pool:
            self.lacking.pop(cta, None)
        else:
            self.lacking.setdefault(cta, (self.batch.site, instance, wanted))

    def finish(self) -> None:
        """Requests that were never met, and warps of a warpgroup that did not do the same."""
        for cta, (site, instance, wanted) in list(self.lacking.items())[:1]:
            pool = (self.launched_with or 0) * self.batch.warps_per_cta
            message = (
                f"the warps of a CTA want {wanted} registers a lane, it was launched with {pool}, and none gives back"
                " enough: setmaxnreg.inc would wait for ever"
            )
            del cta
            self._add("register-pool", message, site, instance, len(self.lacking))
        for group in range(0, self.batch.warps_per_cta, _WARPGROUP_WARPS):
            self._check_group(slice(group * self.batch.ctas, (group + _WARPGROUP_WARPS) * self.batch.ctas))

    def _check_group(self, group: slice) -> None:
        last = self.last[group].reshape(-1, self.batch.ctas)
        differs = (last != last[0]).any(axis=0)
        if differs.any():
            cta = int(differs.argmax())
            site = int(last[:, cta].max())
            warp = int(group.start) // self.batch.ctas + int((last[:, cta] != site).argmax())
            message = f"warp {warp} has not executed the setmaxnreg of its warpgroup"
            self._add("setmaxnreg-warpgroup", message, site, warp * self.batch.ctas + cta, int(differs.sum()))

    def _add(self, rule: str, message: str, site: int, instance: int, count: int) -> None:
        place = self.batch.program.site(site)
        self.findings.add(rule, message, place, self.batch.thread_at(instance, 0), count=count)
