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
    result = run(example.body, example.threads, example.ctas, completion, cluster=example.cluster)
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
    result = run(example.body.replace(old, new), example.threads, example.ctas, completion, cluster=example.cluster)
    rules = {f.rule for f in (result.fault, *result.findings) if f is not None}
    if completion == "early":
        # What comes too early for one rule is still against another.
        assert rules
    else:
        assert rule in rules
