"""The units of a launch that run together, CTAs or clusters, and running any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from backends.emulator.faults import LaunchFault
from backends.model.counts.blocks import Plan
from backends.model.counts.classes import Position
from backends.model.counts.launch import Launch
from backends.model.counts.loaded import Counts, run_ctas
from ir.diagnostics import Diagnostic, UserError

# So many lanes run side by side: with more, one step takes longer than the interpreter between two steps.
BATCH_LANES = 1 << 16
_WARP = 32


@dataclass
class Units:
    """Runs units of a launch; `batches`: CTAs and nominal seconds of each batch that ran unwatched."""

    launch: Launch
    cost_limit_s: float
    ran: int = 0
    batches: list[tuple[int, float]] = field(default_factory=list)
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        self.order: NDArray[np.int64] = self.launch.geometry.cluster_order()
        self.size = self.launch.geometry.cluster_ctas

    @property
    def extent(self) -> Position:
        """Units along x, y and z."""
        geometry = self.launch.geometry
        x, y, z = (g // c for g, c in zip(geometry.grid, geometry.cluster, strict=True))
        return x, y, z

    @property
    def count(self) -> int:
        """How many units there are."""
        return prod(self.extent)

    @property
    def warps(self) -> int:
        """Warps of a CTA."""
        return -(-self.launch.geometry.threads // _WARP)

    @property
    def lanes(self) -> int:
        """Lanes of a unit, whole warps."""
        return self.warps * _WARP * self.size

    @property
    def fit_one_batch(self) -> bool:
        """Whether all units run side by side: then they take hardly longer than some of them."""
        return self.count * self.lanes <= BATCH_LANES

    def ctas_of(self, units: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Linear indices of the CTAs of units, shape (units * size,)."""
        starts = np.asarray(units, np.int64) * self.size
        found: NDArray[np.int64] = self.order[(starts[:, None] + np.arange(self.size)).reshape(-1)]
        return found

    def run(self, units: Sequence[int], plan: Plan | None = None, streamed: bool = False) -> Counts:
        """Counts of units, (units, CTAs of a unit, warps, blocks). Raises UserError where they cannot be run alone.

        In a cooperative launch all of them run together, otherwise some at a time and in order.
        """
        if self.launch.loaded.sliced.needs_memory:
            self.launch.restore()
        per_batch = len(units) if self.launch.cooperative else max(BATCH_LANES // self.lanes, 1)
        parts = [self._batch(units[i : i + per_batch], plan, streamed) for i in range(0, len(units), per_batch)]
        return np.concatenate(parts)

    def _batch(self, units: Sequence[int], plan: Plan | None, streamed: bool) -> Counts:
        launch, ctas = self.launch, self.ctas_of(units).tolist()
        try:
            found = run_ctas(
                launch.loaded,
                launch.geometry,
                launch.parameters,
                ctas,
                plan,
                max(self.cost_limit_s - self.spent_s, 1.0),
                streamed,
                launch.cooperative,
            )
        except LaunchFault as error:
            finding = error.finding
            place = finding.site.location if finding.site else None
            message = f"{finding.message} (counting {len(ctas)} of the CTAs)"
            raise UserError(Diagnostic(finding.rule, message, place)) from error
        self.ran += len(ctas)
        self.spent_s += found.cost_s
        if plan is None:
            self.batches.append((len(ctas), found.cost_s))
        return found.counts.reshape(len(units), self.size, *found.counts.shape[1:])

    def cost_s(self, units: int) -> float:
        """Nominal seconds that so many more units would take: so much for a batch, and so much for each CTA in it.

        A batch of few CTAs takes nearly as long as one of many; of two kinds of batches both costs are known.
        """
        if not self.batches:
            return 0.0
        ctas, seconds = (np.array(column, float) for column in zip(*self.batches, strict=True))
        small, large = int(ctas.argmin()), int(ctas.argmax())
        each_s = seconds[large] / ctas[large]
        fixed_s = 0.0
        if ctas[large] >= 2 * ctas[small]:
            each_s = max((seconds[large] - seconds[small]) / (ctas[large] - ctas[small]), 0.0)
            fixed_s = max(seconds[small] - each_s * ctas[small], 0.0)
        batches = -(-units // max(BATCH_LANES // self.lanes, 1))
        return float(batches * fixed_s + units * self.size * each_s)
