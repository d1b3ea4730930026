"""Which unit limits: what is held longest, be it the load/store unit or the way of what it loads to the registers."""

from __future__ import annotations

import pytest

from backends.machines import load_machine
from backends.model.limits import memory_cycles
from backends.model.parameters import SmParameters
from backends.model.sm.costs import MemoryCost
from tests.backends.model.sm.builder import run

PARAMETERS = SmParameters(load_machine("a100"))
LOADS = 8


def cycles(cost: MemoryCost, text: str) -> tuple[float, float]:
    """Cycles of L1 and of shared memory for eight independent loads by one warp."""
    code = "\n".join(text.format(to=20 + 4 * i) for i in range(LOADS))
    costs = dict.fromkeys(range(LOADS), cost)
    return memory_cycles(costs, run(code, machine="a100", costs=costs), PARAMETERS)


def test_one_address_for_all_lanes_is_read_at_once_but_written_to_all_registers() -> None:
    l1, shared = cycles(MemoryCost("shared", "load", 16, wavefronts=1), "LDS.128 R{to}, [UR4]")
    assert l1 == 0 and shared == pytest.approx(LOADS * 16 * 32 / (64 * 4))


def test_lanes_that_meet_in_a_bank_hold_the_load_store_unit() -> None:
    l1, shared = cycles(MemoryCost("shared", "load", 4, wavefronts=8), "LDS R{to}, [R2]")
    assert l1 == 0 and shared == pytest.approx(LOADS * 8)


def test_lines_that_meet_in_a_bank_of_tags_hold_the_l1() -> None:
    cost = MemoryCost("global", "load", 4, wavefronts=1, sectors=32, l1_hit_share=1.0, tag_passes=8)
    assert cycles(cost, "LDG.E R{to}, [R2]") == pytest.approx((LOADS * 8, 0.0))
