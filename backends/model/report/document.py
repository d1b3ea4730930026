"""Modelled launches as JSON: units in key names, null for what has no number, this machine's seconds in `timing`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from backends.model.report.compare import Comparison
from backends.model.report.lines import SourceLine
from backends.model.report.report import Report
from ir.diagnostics import Diagnostic

SCHEMA_VERSION = 1


def profile_document(reports: Sequence[Report], with_lines: bool = False) -> dict[str, Any]:
    """The document of `twill profile TASK --json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "profile",
        "is_modelled": True,
        "profiles": [profile(report, with_lines) for report in reports],
        "timing": {"each": [dict(r.modelled.seconds) for r in reports]},
    }


def comparison_document(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The document of `twill profile A B --json`."""
    each = [dict(r.modelled.seconds) for c in comparisons for r in (c.first, c.second)]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "profile-comparison",
        "is_modelled": True,
        "comparisons": [plain(_comparison(c)) for c in comparisons],
        "timing": {"each": each},
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    has_interval = found.is_distinguishable is not None
    return {
        "first": profile(found.first, with_lines=False),
        "second": profile(found.second, with_lines=False),
        "faster": found.faster.modelled.kernel,
        "is_distinguishable": found.is_distinguishable,
        "time_ratio_second_to_first": {
            "value": found.ratio.value,
            "low": found.ratio.low if has_interval else None,
            "high": found.ratio.high if has_interval else None,
        },
        "reasons": list(found.reasons),
        "changes": [asdict(c) | {"ratio": c.ratio} for c in found.changes],
    }


def profile(report: Report, with_lines: bool) -> dict[str, Any]:
    """One launch, without wall-clock times."""
    m = report.modelled
    found: dict[str, Any] = {
        "kernel": m.kernel,
        "entry": m.compiled.entry,
        "machine": m.machine,
        "architecture": m.architecture,
        "sizes": dict(m.sizes),
        "launches": m.launches,
        "modelled_time_us": {
            "value": m.time_us.value,
            "low": m.time_us.low if m.has_interval else None,
            "high": m.time_us.high if m.has_interval else None,
            "effects": [asdict(e) for e in m.time_us.effects],
        },
        "kernel_class": m.kernel_class,
        "error": asdict(m.error) if m.error else None,
        "modelled_cycles": m.time.cycles,
        "launch_cycles": m.time.launch_cycles,
        "clock_mhz": m.clock_mhz,
        "limiter": m.limits.limiter,
        "busy_shares": dict(m.limits.busy),
        "top_stall": m.limits.stall or None,
        "stall_shares": dict(report.stalls),
        "occupancy": {
            "ctas_per_sm": m.occupancy.ctas,
            "warps_per_sm": m.occupancy.warps,
            "max_warps_per_sm": m.occupancy.max_warps,
            "share": m.occupancy.share,
            "limiter": m.occupancy.limiter,
            "limits_ctas": dict(m.occupancy.limits),
        },
        "grid": {
            "ctas": m.work.ctas,
            "waves": report.waves,
            "ctas_of_busiest_sm": m.time.sm_ctas,
            "active_sms": m.time.active_sms,
            "is_regular": m.counts.is_regular,
            "run_ctas": m.counts.ran_ctas,
        },
        "launch_share": report.launch_share,
        "roofline": asdict(report.roofline) | {"roof_share": report.roofline.roof_share},
        "metrics": dict(report.metrics),
        "advice": [_diagnostic(d) for d in report.advice],
        "unmatched_share": m.deviation,
        "notes": [_diagnostic(d) for d in m.notes],
    }
    return plain(found | ({"lines": [_line(line) for line in report.lines]} if with_lines else {}))  # type: ignore[no-any-return]


def _line(line: SourceLine) -> dict[str, Any]:
    place = {"file": line.location.file or None, "line": line.location.line or None}
    rest = {name: value for name, value in asdict(line).items() if name != "location"}
    ratios = {
        "sectors_per_request": line.sectors_per_request,
        "ideal_sectors_per_request": line.ideal_sectors_per_request,
    }
    return {**place, **rest, **ratios}


def _diagnostic(found: Diagnostic) -> dict[str, Any]:
    place = str(found.location) if found.location else None
    return {"rule": found.rule, "message": found.message, "location": place, "remedy": found.remedy or None}


def plain(value: Any) -> Any:
    """Values of JSON: floats with ten digits, since sums differ beyond that; what is not finite is null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return str(value) if isinstance(value, str) else value
