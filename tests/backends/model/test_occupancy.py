"""Occupancy against NVIDIA's calculator, on cases worked out by its published rules."""

from __future__ import annotations

import pytest

from backends.machines import load_machine
from backends.model.occupancy import Footprint, occupancy
from ir.diagnostics import UserError


@pytest.mark.parametrize(
    ("machine", "footprint", "ctas", "limiter"),
    [
        ("a100", Footprint(256, 32, 0), 8, "warps"),
        ("a100", Footprint(32, 16, 0), 32, "ctas"),
        # 128 registers: 4096 a warp, 16 warps of 65536.
        ("a100", Footprint(256, 128, 0), 2, "registers"),
        # 65 registers: 2080, rounded to 2304 a warp; 28 warps, 3 CTAs of 8.
        ("a100", Footprint(256, 65, 0), 3, "registers"),
        # 48 KiB and 1 KiB for the system: 3 of 164 KiB.
        ("a100", Footprint(128, 32, 49152), 3, "shared memory"),
        ("a6000", Footprint(1024, 40, 8192), 1, "warps"),
        ("h100", Footprint(384, 168, 232448 - 1024), 1, "registers"),
        ("b200", Footprint(256, 64, 1024, 256), 2, "tensor memory"),
    ],
)
def test_cases(machine: str, footprint: Footprint, ctas: int, limiter: str) -> None:
    found = occupancy(footprint, load_machine(machine))
    assert (found.ctas, found.limiter) == (ctas, limiter)
    assert found.warps == ctas * -(-footprint.threads // 32)
    assert 0 < found.share <= 1


@pytest.mark.parametrize(
    ("footprint", "what"),
    [
        (Footprint(1024, 255, 0), "registers"),
        (Footprint(128, 32, 200 * 1024), "shared memory"),
        (Footprint(128, 32, 0, 128), "tensor memory"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(footprint: Footprint, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        occupancy(footprint, load_machine("a100"))
    assert caught.value.diagnostics[0].rule == "too-large"
