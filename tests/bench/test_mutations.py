"""Planted bugs: each edit changes the one instruction that it is about; explanations are of bugs that are planted."""

from __future__ import annotations

import pytest

from bench.mutations import mutations
from bench.sanitizer import explained
from bench.sanitizer_cases import SUBJECTS

PTX = """
// bar.sync 7;
@%p1 mbarrier.init.shared::cta.b64 [%r1270], 10;
bar.sync 1, 128;
cp.async.wait_group 1;
@%p2 fence.proxy.async;
st.shared.b32 [%r8+16], %r9;
mbarrier.try_wait.parity.shared.b64 %p3, [%r1], 0;
"""
EDITS = {
    "one arrival more": "@%p1 mbarrier.init.shared::cta.b64 [%r1270], 11;",
    "half the arrivals": "@%p1 mbarrier.init.shared::cta.b64 [%r1270], 5;",
    "bar.sync of fewer threads": "bar.sync 1, 64;",
    "weaker cp.async wait": "cp.async.wait_group 2;",
    "st.shared displaced": "st.shared.b32 [%r8+32], %r9;",
    "no mbarrier wait": "setp.eq.u32 %p3, 0, 0;",
    "no fence.proxy.async": "",
}


@pytest.mark.parametrize("rule", EDITS)
def test_an_edit_changes_one_line(rule: str) -> None:
    [mutation] = [m for m in mutations(PTX) if m.rule == rule]
    before, after = PTX.splitlines(), mutation.ptx.splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [(before[mutation.line - 1], EDITS[rule])]
    assert "trap;" in mutation.probe.splitlines()[mutation.line - 1]


def test_explanations_are_of_subjects() -> None:
    assert {kernel for kernel, _ in explained()} <= {str(subject) for subject in SUBJECTS}
    assert all(explained().values())
