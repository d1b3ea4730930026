"""Candidates: their key, and the task that they become."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir.diagnostics import UserError
from ir.task import load_task
from optiml.candidate import Candidate, as_task, candidate_of

KERNELS = Path(__file__).parents[2] / "kernels"


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("cuda", "int f() {\n  return 1; // one\n}", "int f(){ return 1; }"),
        ("triton", "x = 1  # one\n", "x=1"),
    ],
)
def test_comments_and_layout_do_not_change_the_key(language: str, one: str, other: str) -> None:
    assert Candidate(language, one).key == Candidate(language, other).key
    assert Candidate(language, one).key != Candidate(language, other.replace("1", "2")).key
    assert Candidate(language, one).key != Candidate(language, one, {"constants.N": 2}).key


def test_the_order_of_overrides_does_not_change_the_key() -> None:
    first, second = {"constants.A": 1, "constants.B": 2}, {"constants.B": 2, "constants.A": 1}
    assert Candidate("cuda", "", first).key == Candidate("cuda", "", second).key


def test_a_text_that_is_no_python_has_a_key() -> None:
    assert Candidate("triton", "def (").key != Candidate("triton", "def ((").key


@pytest.mark.parametrize("variant", ["", "float4"])
def test_a_candidate_becomes_a_task(variant: str, tmp_path: Path) -> None:
    base = load_task(KERNELS / "transpose")
    base = base.variant(variant) if variant else base
    changed = candidate_of(base).with_overrides({"launch.block": [64], "compile.fast_math": True, "constants.NEW": 3})
    task = as_task(changed, base, tmp_path)
    assert task.source == tmp_path / "kernel.cu"
    assert task.source.read_text() == base.source.read_text()
    assert task.block({}) == (64, 1, 1)
    assert task.compile.fast_math
    assert task.constants["NEW"] == 3
    assert (task.entry, task.reference_file, task.sizes) == (base.entry, base.reference_file, base.sizes)
    assert task.variant_name == variant


def test_an_override_that_the_task_file_cannot_have_is_told(tmp_path: Path) -> None:
    base = load_task(KERNELS / "transpose")
    with pytest.raises(UserError, match="unknown key `blok`"):
        as_task(Candidate("cuda", "", {"launch.blok": [64]}), base, tmp_path)
