"""Every rule of the checkers on small kernels: silent on the right kernel, heard on the edited one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.backends.emulator.checkers.kernels import EXAMPLES, Example, run

COMPLETIONS = ("early", "late", "random")


@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_right_kernels_have_no_findings(example: Example, completion: str) -> None:
    result = run(example.body, example.threads, example.ctas, completion, cluster=example.cluster, head=example.head)
    assert result.is_clean, "\n".join(map(str, (result.fault, *result.findings)))


def _edited() -> Iterator[Any]:
    for example in EXAMPLES:
        for old, new, rule in example.edits:
            change = f"{old.strip()[:24]} -> {new.strip()[:24]}"
            yield pytest.param(example, old, new, rule, id=f"{example.name}: {rule} ({change})")


@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize(("example", "old", "new", "rule"), list(_edited()))
def test_wrong_kernels_are_told(example: Example, old: str, new: str, rule: str, completion: str) -> None:
    assert old in example.body
    result = run(
        example.body.replace(old, new),
        example.threads,
        example.ctas,
        completion,
        cluster=example.cluster,
        head=example.head,
    )
    rules = {f.rule for f in (result.fault, *result.findings) if f is not None}
    if completion == "early":
        # What comes too early for one rule is still against another.
        assert rules
    else:
        assert rule in rules


@pytest.mark.parametrize(("bits", "rule"), [(1, "rounding-race"), (1 << 12, "write-after-write")])
@pytest.mark.parametrize("threads", [32, 64])
def test_stores_that_differ_in_their_last_bits_are_a_warning(bits: int, rule: str, threads: int) -> None:
    body = f"mad.lo.u32 %r5, %r0, {bits}, 0x3f800000;\nst.shared.b32 [smem], %r5;\n"
    result = run(body, threads)
    assert {f.rule for f in result.findings} == {rule}
    assert result.is_clean == (rule == "rounding-race")


def test_stores_of_last_bits_by_two_instructions_are_an_error() -> None:
    body = "mov.b32 %r5, 0x3f800000;\n@%p0 st.shared.b32 [smem], %r5;\n@!%p0 st.shared.b32 [smem], 0x3f800001;\n"
    assert {f.rule for f in run(body).findings} == {"write-after-write"}


def test_a_barrier_that_is_initialised_with_no_fence_is_a_warning() -> None:
    [example] = [e for e in EXAMPLES if e.name == "one lane waits for a copy"]
    result = run(example.body.replace("fence.proxy.async;\n", ""), example.threads)
    assert {f.rule for f in result.findings} == {"barrier-fence"}
    assert result.is_clean
