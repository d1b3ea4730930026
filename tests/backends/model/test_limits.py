"""Busy shares: the work of the whole launch over its time, however much of it was simulated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.machines import load_machine
from backends.model.profiling import ProfileOptions, profile_task
from tests.backends.model.report.profiles import report, task


@pytest.mark.parametrize(("kernel", "sizes"), [("stream", "N=16777216"), ("transpose", "ROWS=2048 COLS=2048")])
def test_issue_slots_are_the_instructions_of_the_busiest_sm(kernel: str, sizes: str):
    found = report(kernel, sizes=sizes)
    m = found.modelled
    instructions = found.facts.executions.sum() / m.work.ctas * m.time.sm_ctas
    assert m.limits.cycles["issue"] == pytest.approx(instructions / 4, rel=0.01)
    assert m.limits.busy["issue"] == pytest.approx(instructions / 4 / m.time.cycles, rel=0.01)


def test_dram_is_busy_for_its_bytes():
    found = report("stream", sizes="N=16777216")
    m = found.modelled
    gbyte_per_s = m.parameters.rate("dram_achieved_gbyte_per_s")
    assert m.limits.cycles["dram"] / m.clock_mhz == pytest.approx(found.facts.dram_bytes / gbyte_per_s / 1e3, rel=0.03)
    assert m.limits.limiter == "dram" and m.kernel_class == "memory"


def test_no_unit_is_busier_than_the_launch_is_long():
    for kernel in ("stream", "transpose"):
        busy = report(kernel).modelled.limits.busy
        assert list(busy.values()) == sorted(busy.values(), reverse=True)
        assert all(0 < share <= 1 for share in busy.values())


def test_many_ctas_that_do_little_are_limited_by_their_start():
    """0.60 ns a CTA on H100, whatever its SMs do: one thread to a CTA, as that was measured."""
    small = replace(task("vector_add"), constants={**task("vector_add").constants, "BLOCK": 1})
    m = profile_task(small, {"N": 1 << 17}, load_machine("h100"), ProfileOptions(with_interval=False))
    assert m.limits.limiter == "cta launch" and m.limits.busy["cta launch"] == 1.0
    assert m.time.cycles / m.clock_mhz == pytest.approx((1 << 17) * 0.6e-3, rel=0.01)
