"""What a device counted in a launch: counters by name, the same by instruction, and which of them are estimates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.findings import Site
from ir.diagnostics import Location

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """Counts of one launch of `ctas` CTAs, of which `watched_ctas` were followed access by access.

    counters: by Nsight Compute's names. estimated: those that were scaled up from the CTAs that were watched.
    sites: the instructions of the kernel. columns: counts by instruction, each of shape (instructions,), under short
    names (`inst_executed`, `sectors`, `wavefronts`, ...).
    """

    counters: Mapping[str, float]
    estimated: frozenset[str]
    ctas: int
    watched_ctas: int
    sites: tuple[Site, ...]
    columns: Mapping[str, Column]

    def by_line(self) -> dict[Location | None, dict[str, float]]:
        """Columns summed over the instructions that came from one source line (its column left out), zeros left out."""
        rows: dict[Location | None, list[int]] = defaultdict(list)
        for index, site in enumerate(self.sites):
            where = site.location or site.place
            rows[Location(where.file, where.line) if where else None].append(index)
        return {
            where: {name: total for name, column in self.columns.items() if (total := float(column[indices].sum()))}
            for where, indices in rows.items()
        }
