"""The reward of a verdict: the logarithm of the speed-up, and small bounded terms for what else got better.

reward = log(t_baseline / t) + sum of w clip(log(p_baseline / p) / log 4, -1, 1), the weights w of the proxies p adding
up to 0.2, so that no proxy outweighs a speed-up of 22 %. The weights, and the fixed rewards of failures, are this
project's choice. Proxies steer the search alone: the winner is chosen by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from optiml.verdict import DECEITS, Metrics, Verdict

FAILURE = -1.0
DECEIT = -2.0
PROXY_BOUND = 0.2
# Smaller is better for each of them; one more is added to both sides, so that none of it can be compared with some.
WEIGHTS: Mapping[str, float] = {
    "dram_bytes": 0.05,
    "warp_instructions": 0.05,
    "spill_bytes": 0.03,
    "shared_conflicts": 0.03,
    "wasted_sector_bytes": 0.03,
    "idle_warp_share": 0.01,
}
_FULL = log(4.0)


def reward_of(verdict: Verdict, baseline: Metrics) -> float:
    """The reward of a verdict, against what the search started from."""
    if verdict.status in DECEITS:
        return DECEIT
    if not verdict.is_ok or verdict.metrics is None:
        return FAILURE
    return log(baseline.time_us / verdict.metrics.time_us) + proxy_terms(verdict.metrics, baseline)


def proxy_terms(metrics: Metrics, baseline: Metrics) -> float:
    """The sum of the proxies' terms, between -PROXY_BOUND and PROXY_BOUND."""
    before, after = proxies(baseline), proxies(metrics)
    return sum(weight * _term(before[name], after[name]) for name, weight in WEIGHTS.items())


def proxies(metrics: Metrics) -> dict[str, float]:
    """What may be got rid of, by the names of WEIGHTS."""
    told = metrics.counters
    return {
        "dram_bytes": told.get("dram_bytes", 0.0),
        "warp_instructions": told.get("warp_instructions", 0.0),
        "spill_bytes": float(metrics.spill_bytes),
        "shared_conflicts": max(told.get("shared_passes", 0.0) - told.get("shared_requests", 0.0), 0.0),
        "wasted_sector_bytes": max(told.get("sector_bytes", 0.0) - told.get("asked_bytes", 0.0), 0.0),
        "idle_warp_share": 1.0 - metrics.occupancy,
    }


def _term(before: float, after: float) -> float:
    """Between -1 (four times as much, or more) and 1 (a quarter, or less)."""
    return max(-1.0, min(1.0, log((before + 1.0) / (after + 1.0)) / _FULL))
