"""Two launches: what is common to both cancels, what differs does not, and the reasons name what shrank."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.model.modelled import Effect, Interval
from backends.model.report.compare import compare
from backends.model.report.report import Report
from ir.diagnostics import UserError
from tests.backends.model.report.profiles import report


def _timed(found: Report, factor: float, *effects: Effect) -> Report:
    time_us = Interval(100.0 * factor, 0.0, 0.0, effects)
    return replace(found, modelled=replace(found.modelled, time_us=time_us, has_interval=True))


def test_errors_that_are_common_to_both_cancel():
    found = report("transpose")
    effects = (Effect("bandwidth", 1.2, 0.8), Effect("clock", 1.1, 0.9))
    result = compare(_timed(found, 1.0, *effects), _timed(found, 1.05, *effects))
    assert (result.ratio.low, result.ratio.value, result.ratio.high) == pytest.approx((1.05, 1.05, 1.05))
    assert result.is_distinguishable
    assert result.faster is result.first


def test_errors_that_change_one_alone_do_not():
    found = report("transpose")
    one = _timed(found, 1.0, Effect("bandwidth", 1.2, 0.8), Effect("other", 1.0, 1.0))
    two = _timed(found, 1.05, Effect("bandwidth", 1.0, 1.0), Effect("other", 1.02, 0.99))
    result = compare(one, two)
    assert result.is_distinguishable is False
    assert result.ratio.low == pytest.approx(1.05 / 1.2, rel=0.01)
    assert result.ratio.high == pytest.approx(1.05 / 0.8, rel=0.01)


def test_a_kernel_and_itself_are_not_distinguishable():
    found = report("transpose", with_interval=True)
    result = compare(found, found)
    assert result.ratio.value == 1.0 and result.is_distinguishable is False


def test_without_intervals_nothing_is_said_of_them():
    assert compare(report("transpose"), report("transpose:padded")).is_distinguishable is None


def test_the_reason_for_fewer_conflicts():
    size = "ROWS=2048 COLS=2048"
    shared, padded = (report(f"transpose:{name}", "h100", size) for name in ("shared", "padded"))
    result = compare(shared, padded)
    assert result.faster is padded and result.slower is shared
    told = " | ".join(result.reasons)
    assert "transpose:shared is limited by shared" in told and "shared work:" in told
    assert "bank conflicts: 4.063e+06 -> 0 (-100%)" in told
    assert "shared wavefronts: 4.325e+06 -> 2.621e+05 (-94%)" in told
    changed = {c.name: c for c in result.changes}
    assert changed["L1 sectors"].ratio == 1.0
    assert changed["bank conflicts"].second == 0.0
    turned = compare(padded, shared)
    assert turned.faster is padded
    assert turned.reasons == result.reasons, "the order of the two does not matter"


def test_launches_on_different_machines_are_refused():
    with pytest.raises(UserError, match="machines-differ"):
        compare(report("transpose"), report("transpose", "h100"))
