"""All that is said of one launch, computed once: metrics, lines, roofline and advice, for text, JSON and HTML alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.model.chip import hand_out_cycles
from backends.model.modelled import Modelled
from backends.model.report.advice import Evidence, advice
from backends.model.report.facts import Facts
from backends.model.report.lines import SourceLine, source_lines
from backends.model.report.metrics import metrics
from backends.model.report.roofline import Roofline, roofline
from ir.diagnostics import Diagnostic


@dataclass(frozen=True)
class Report:
    """One launch and what there is to say of it. stalls: state -> share of stalled warp-cycles, largest first."""

    modelled: Modelled
    facts: Facts
    lines: tuple[SourceLine, ...]
    roofline: Roofline
    metrics: Mapping[str, float | None]
    stalls: Mapping[str, float]
    advice: tuple[Diagnostic, ...]

    @property
    def launch_share(self) -> float:
        """Of the time, what passes before the first CTA starts."""
        return self.modelled.time.launch_cycles / self.modelled.cycles

    @property
    def waves(self) -> float:
        """CTAs of the grid over those that the chip holds at once."""
        sms = self.modelled.parameters.rate("sm_count")
        return self.modelled.work.ctas / (sms * self.modelled.occupancy.ctas)


def report_of(modelled: Modelled) -> Report:
    """The report of a modelled launch."""
    facts = Facts(modelled)
    lines = source_lines(facts)
    totals = modelled.time.sm.stall_cycles()
    everything = max(sum(totals.values()), 1.0)
    stalls = {name: cycles / everything for name, cycles in totals.items() if cycles}
    found = advice(_evidence(facts, lines, stalls))
    return Report(modelled, facts, lines, roofline(facts), metrics(facts), stalls, found)


def _evidence(facts: Facts, lines: tuple[SourceLine, ...], stalls: Mapping[str, float]) -> Evidence:
    m = facts.modelled
    resources = m.compiled.resources
    return Evidence(
        machine=m.parameters.machine,
        footprint=m.footprint,
        lines=lines,
        limiter=m.limits.limiter,
        busy=m.limits.busy,
        stall=m.limits.stall,
        stalls=stalls,
        resident=m.occupancy.ctas,
        ctas=m.work.ctas,
        sms=int(m.parameters.rate("sm_count")),
        launch_share=m.time.launch_cycles / m.cycles,
        cta_rate_share=hand_out_cycles(m.work, m.parameters) / max(m.time.cycles, 1.0),
        dram_bytes=facts.dram_bytes,
        unique_bytes=m.counts.unique_bytes,
        spill_bytes=resources.spill_store_bytes + resources.spill_load_bytes if resources else 0,
    )
