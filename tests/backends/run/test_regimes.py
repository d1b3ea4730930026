"""Regimes: inputs beside a task's own stay within its bounds, and are compared only where the reference is sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backends.run.inputs import DTYPES, draw_inputs
from backends.run.oracle import compare, expected_elsewhere, expected_outputs
from backends.run.regimes import draw_regime
from ir.diagnostics import UserError
from ir.task import MIXED, REGIMES, Task, load_task, task_files

KERNELS = Path(__file__).parents[3] / "kernels"
TASKS = [load_task(f) for f in task_files(KERNELS)]
SOFTMAX = load_task(KERNELS / "softmax_cuda")
SIZES = {"ROWS": 3, "COLS": 31}


@pytest.mark.parametrize("regime", (*REGIMES, MIXED))
@pytest.mark.parametrize("task", TASKS, ids=lambda t: f"{t.name}-{t.source.stem}")
def test_inputs_keep_their_form_and_their_bounds(task: Task, regime: str) -> None:
    sizes = min(task.sizes["verify"], key=lambda s: sum(s.values()))
    drawn, again = draw_regime(task, sizes, 3, regime), draw_regime(task, sizes, 3, regime)
    for a in task.inputs:
        x = drawn[a.name]
        assert x.shape == a.shape_at(task.values(sizes)) and x.dtype == DTYPES[a.dtype] and x.is_contiguous()
        assert torch.equal(x.view(torch.uint8), again[a.name].view(torch.uint8)) or not x.numel()
        if a.distribution.kind in ("uniform", "integers", "offsets") and x.numel():
            low, high = a.distribution.bounds(task.values(sizes))
            is_open = a.distribution.kind == "integers"
            slack = 0.0 if is_open else 1e-6 * max(abs(low), abs(high))
            assert float(x.double().min()) >= low - slack
            assert float(x.double().max()) <= (high - 1 if is_open else high) + slack
            assert a.distribution.kind != "offsets" or torch.equal(x.sort().values, x)


def test_moved_inputs_lie_where_exp_overflows_and_underflows() -> None:
    high, low = (draw_regime(SOFTMAX, SIZES, 0, regime)["x"] for regime in ("high", "low"))
    assert high.amax(1).min() > 89 and low.max() < 0 and low.mean() < -150


def test_mixed_inputs_have_a_row_of_each_regime_in_turn() -> None:
    sizes = {"ROWS": 7, "COLS": 31}
    x = draw_regime(SOFTMAX, sizes, 0, MIXED)["x"]
    for row in range(7):
        assert torch.equal(x[row], draw_regime(SOFTMAX, sizes, 0, SOFTMAX.regimes[row % 5])["x"][row])
    own = draw_regime(replace(SOFTMAX, regimes=()), sizes, 0, MIXED)["x"]
    assert torch.equal(own, draw_inputs(SOFTMAX, sizes, 0)["x"])


def test_the_sum_of_equal_inputs_is_exact() -> None:
    x = draw_regime(SOFTMAX, {"ROWS": 4, "COLS": 1000}, 0, "equal")["x"]
    assert torch.equal(x.sum(1).double(), x.double().sum(1)) and torch.equal(x[:, :1].expand(x.shape), x)


def test_more_is_allowed_where_a_rounding_of_the_input_does_more() -> None:
    own = expected_outputs(SOFTMAX, SIZES, draw_regime(SOFTMAX, SIZES, 0, "sorted"))["y"]
    moved = expected_elsewhere(SOFTMAX, SIZES, draw_regime(SOFTMAX, SIZES, 0, "high"))
    assert moved is not None and own.tolerance < moved["y"].tolerance < 1e-3


@pytest.mark.parametrize("columns", [31, 1024, 8192])
def test_sums_one_after_another_are_right_however_much_of_them_cancels(columns: int) -> None:
    task = load_task(KERNELS / "layer_norm_cuda" / "naive.toml")
    for seed in range(10):
        x = draw_regime(task, {"ROWS": 1, "COLS": columns}, seed, "sorted")
        expected = expected_elsewhere(task, {"ROWS": 1, "COLS": columns}, x)
        assert expected is not None
        total = x["x"][0].numpy().cumsum(dtype="float32")[-1:]
        assert compare("mean", torch.from_numpy(total / columns), expected["mean"]).wrong == 0
        # As far off as if every number had first been rounded to half precision.
        half = expected["mean"].value + x["x"].abs().mean() * 2**-12
        assert compare("mean", half.float(), expected["mean"]).wrong == 1


@pytest.mark.parametrize(
    "formula",
    ["x / (x.amax(1, True) - x.amin(1, True))", "torch.exp(10 * x)", "x.view(7)", "x.exp().log()"],
    ids=["not a number", "too large", "fails", "too large in single precision"],
)
def test_nothing_is_compared_where_the_reference_is_not_sound(formula: str, tmp_path: Path) -> None:
    (tmp_path / "reference.py").write_text(f"import torch\ndef reference(x):\n    return {{'y': {formula}}}\n")
    task = replace(SOFTMAX, reference_file=tmp_path / "reference.py")
    regimes = [expected_elsewhere(task, SIZES, draw_regime(task, SIZES, 0, regime)) for regime in REGIMES]
    assert None in regimes


def test_an_unknown_regime_is_told_with_its_line(tmp_path: Path) -> None:
    for name in ("kernel.cu", "reference.py"):
        (tmp_path / name).write_text((KERNELS / "softmax_cuda" / name).read_text())
    text = (KERNELS / "softmax_cuda" / "task.toml").read_text()
    (tmp_path / "task.toml").write_text(text.replace('entry = "', 'regimes = ["high", "hihg"]\nentry = "', 1))
    with pytest.raises(UserError, match="hihg"):
        load_task(tmp_path)
    (tmp_path / "task.toml").write_text(text.replace('entry = "', 'regimes = ["high"]\nentry = "', 1))
    assert load_task(tmp_path).regimes == ("high",)
