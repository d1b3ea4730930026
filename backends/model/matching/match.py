"""Traces through machine code and costs of its accesses, from counts of the PTX that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.compilers.cache import Cache
from backends.model.counts.result import CtaClass, KernelCounts
from backends.model.matching.anchors import anchors
from backends.model.matching.kept import kept_flow
from backends.model.matching.lines import Lines
from backends.model.matching.traces import build_trace
from backends.model.sm.trace import WarpTrace
from backends.sass.function import Function
from ir.diagnostics import fail

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class MatchedClass:
    """CTAs that behave alike: how many of the grid, and the trace of each of their warps."""

    weight: float
    warps: tuple[WarpTrace, ...]


@dataclass(frozen=True)
class Matched:
    """A launch in terms of machine code.

    deviation: the share of the anchors' executions that no path through the machine code could give; 0 where the two
    programs agree, 1 where nothing could be matched. unproven: traces of warps that may not be those that fit best.
    """

    classes: tuple[MatchedClass, ...]
    deviation: float
    unproven: int = 0


def match(
    function: Function, counts: KernelCounts, late: frozenset[int] = frozenset(), cache: Cache | None = None
) -> Matched:
    """Match machine code with the counts of its PTX. late: blocks that warps pass by in first turns of a loop, if ever.

    cache: of what was solved before, None for the user's own.

    Raises UserError `unmatched-code` for machine code through which there is no path at all.
    """
    matcher = _Matcher(function, Lines.of(counts.sites), late, cache)
    classes = tuple(MatchedClass(c.weight, matcher.traces(c)) for c in counts.classes)
    return Matched(classes, matcher.deviation / max(matcher.total, 1), matcher.unproven)


class _Matcher:
    """Warps that execute the same have one trace."""

    def __init__(self, function: Function, lines: Lines, late: frozenset[int], cache: Cache | None) -> None:
        self.function = function
        self.lines = lines
        self.late = late
        self.cache = cache
        self.known: dict[tuple[int, ...], WarpTrace] = {}
        self.deviation = self.total = self.unproven = 0

    def traces(self, cta: CtaClass) -> tuple[WarpTrace, ...]:
        """Of each warp of a CTA."""
        return tuple(self._trace(row) for row in cta.warps)

    def _trace(self, row: Rows) -> WarpTrace:
        counts = self.lines.counts(row)
        key = tuple(counts.values())
        if key not in self.known:
            self.known[key] = self._solved(counts)
        return self.known[key]

    def _solved(self, counts: Mapping[int, int]) -> WarpTrace:
        flow = kept_flow(self.function, anchors(self.function, self.lines.opcodes, counts), self.cache)
        if flow is None:
            raise fail("unmatched-code", f"no path through the machine code of `{self.function.name}` was found")
        self.deviation += flow.deviation
        self.total += flow.total
        self.unproven += not flow.is_proven
        return build_trace(self.function, flow, self.late)
