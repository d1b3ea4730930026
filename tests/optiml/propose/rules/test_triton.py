"""Every rule on Triton applies to a real kernel, and what it makes of it is right on the emulated device."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Chain, applied, complaint, verified

from optiml.propose.rules import rules_for

CHAINS = {
    "configuration": Chain("gemm/untuned", ("configuration:128x64x64",)),
    "constants": Chain("gemm/untuned", ("constants:GROUP_M=8",)),
    "tile-size": Chain("gemm/untuned", ("tile-size:BLOCK_M=128", "tile-size:BLOCK_N=64")),
    "num-warps": Chain("gemm/untuned", ("num-warps:2",)),
    "num-stages": Chain("gemm/untuned", ("num-stages:3",)),
    "split-loop": Chain("gemm/untuned", ("split-loop",)),
    "persistent-loop": Chain("gemm/untuned", ("persistent-loop:108",)),
    "eviction": Chain("attention_forward/untuned", ("eviction:0",)),
    "loop-options": Chain("gemm/untuned", ("loop-options",)),
    "exp2": Chain("log_sum", ("exp2",)),
    "descriptors": Chain("gemm_even", ("descriptors",)),
    "num-ctas": Chain("gemm/untuned", ("num-ctas",), "sm_90"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_rule_is_right(name: str, tmp_path: Path) -> None:
    task, candidates = applied(CHAINS[name])
    for number, candidate in enumerate(candidates):
        assert not complaint(verified(candidate, task, tmp_path / str(number), CHAINS[name].target))


def test_every_rule_has_a_chain() -> None:
    assert {rule.name for rule in rules_for("triton")} == CHAINS.keys()
