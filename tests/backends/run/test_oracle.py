"""Comparison with a reference: tolerances, scales, values that are not finite."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backends.run.inputs import draw_inputs
from backends.run.oracle import Expected, compare, expected_outputs
from ir.task import load_task

SOURCES = Path(__file__).parent / "sources"
ROOT = Path(__file__).parents[3]


def compared(got: list[float], want: list[float], tolerance: float = 1e-3, dtype: torch.dtype = torch.float32) -> bool:
    return compare("y", torch.tensor(got, dtype=dtype), Expected(torch.tensor(want).double(), tolerance)).passed


@pytest.mark.parametrize(
    ("got", "want", "passed"),
    [
        ([1.0, 100.0], [1.0, 100.0], True),
        ([1.05, 100.0], [1.0, 100.0], True),  # relative to the largest, not to the element
        ([1.2, 100.0], [1.0, 100.0], False),
        ([1e-9, 0.0], [0.0, 0.0], False),  # nothing is near to an output of zeros but zeros
        ([0.0, -0.0], [0.0, 0.0], True),
        ([math.nan, 1.0], [1.0, 1.0], False),
        ([math.nan, 1.0], [math.nan, 1.0], True),
        ([1.0, 1.0], [math.nan, 1.0], False),
        ([math.inf, 1.0], [math.inf, 1.0], True),
        ([-math.inf, 1.0], [math.inf, 1.0], False),
        ([math.inf, 1.0], [1.0, 1.0], False),
        ([], [], True),
    ],
)
def test_one_comparison(got: list[float], want: list[float], passed: bool) -> None:
    assert compared(got, want) == passed


def test_beyond_the_range_of_the_format_infinity_is_right() -> None:
    assert compared([math.inf, 1.0], [1e6, 1.0], dtype=torch.float16)
    assert not compared([60000.0, 1.0], [1e6, 1.0], dtype=torch.float16)


def test_the_worst_elements_come_first() -> None:
    want = torch.zeros(4, 5, dtype=torch.float64)
    want[0, 0] = 10
    got = want.float()
    got[1, 2], got[3, 4], got[2, 0], got[3, 0] = 1.0, -7.0, math.nan, 2.0
    found = compare("y", got, Expected(want, 1e-3))
    assert (found.wrong, found.elements, found.scale, found.error) == (4, 20, 10, None)
    assert [e.index for e in found.worst] == [(2, 0), (3, 4), (3, 0)]
    assert [e.got for e in found.worst[1:]] == [-7.0, 2.0]


def test_integers_are_equal_or_wrong() -> None:
    want = Expected(torch.tensor([2**24, 7]), 0.0)
    assert compare("y", torch.tensor([2**24, 7], dtype=torch.int32), want).passed
    assert not compare("y", torch.tensor([2**24 + 1, 7], dtype=torch.int32), want).passed


def test_a_tolerance_follows_the_format_and_the_reference() -> None:
    task = load_task(ROOT / "kernels" / "gemm")
    sizes = {"M": 8, "N": 8, "K": 64}
    narrow = task.variant("bf16")
    half, brain = (expected_outputs(t, sizes, draw_inputs(t, sizes, 0))["c"].tolerance for t in (task, narrow))
    assert 2**-10 < half < 2**-8
    assert 2**-7 < brain < 2**-5


@pytest.mark.parametrize("seed", range(8))
def test_long_sums_may_be_made_one_after_another_but_not_in_half_precision(seed: int) -> None:
    task = load_task(ROOT / "kernels" / "softmax_cuda" / "naive.toml")
    sizes = {"ROWS": 64, "COLS": 16384}
    inputs = draw_inputs(task, sizes, seed)
    want = expected_outputs(task, sizes, inputs)["y"]
    terms = (inputs["x"] - inputs["x"].amax(1, keepdim=True)).exp()
    # cumsum adds in order.
    assert compare("y", terms / terms.cumsum(1)[:, -1:], want).passed
    assert not compare("y", (terms / terms.sum(1, keepdim=True)).half().float(), want).passed


def test_a_stated_tolerance_is_taken() -> None:
    task = replace(load_task(SOURCES), tolerance=0.25)
    assert expected_outputs(task, {"N": 4}, draw_inputs(task, {"N": 4}, 0))["y"].tolerance == 0.25


def test_the_truth_is_in_double_precision() -> None:
    task = load_task(SOURCES)
    inputs = draw_inputs(task, {"N": 4}, 0)
    expected = expected_outputs(task, {"N": 4}, inputs)["y"]
    assert expected.value.dtype == torch.float64
    assert torch.equal(expected.value, 2 * inputs["x"].double())


def test_inputs_depend_on_seed_and_name_alone() -> None:
    task = load_task(ROOT / "kernels" / "spmv")
    sizes = task.sizes["verify"][2]
    first, again, other = (draw_inputs(task, sizes, seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["x"], other["x"])
    offsets = first["offsets"]
    assert offsets[0] == 0 and offsets[-1] == sizes["NONZEROS"] and bool((offsets.diff() >= 0).all())
    assert int(first["columns"].min()) >= 0 and int(first["columns"].max()) < sizes["COLS"]
