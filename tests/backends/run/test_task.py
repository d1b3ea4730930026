"""Tasks on the emulated device: right kernels pass, and each way to be wrong has its own status and evidence."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from backends.run.devices import DeviceOptions
from backends.run.document import task_document
from backends.run.outcome import Outcome, Status, exit_code
from backends.run.task import Case, cases, run_case, run_cases
from ir.diagnostics import UserError
from ir.serialize import to_text
from ir.task import Task, load_task

ROOT = Path(__file__).parents[3]
SOURCES = Path(__file__).parent / "sources"
KERNEL = SOURCES / "kernel.py"
has_nvrtc = importlib.util.find_spec("cuda.bindings") is not None if importlib.util.find_spec("cuda") else False
PLAIN = DeviceOptions(checks=("none",), engine="numpy")
OPTIONS = replace(PLAIN, instruction_budget=20_000)


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(KERNEL.read_text().splitlines(), 1) if text in line)


def run(variant: str, options: DeviceOptions = OPTIONS) -> Outcome:
    task = load_task(SOURCES)
    return run_case(Case(task.variant(variant) if variant else task, "sm_80", {"N": 100}), options=options)


def first(task: Task, target: str, number: int) -> Outcome:
    return run_case(Case(task, target, task.sizes["verify"][number]), options=PLAIN)


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize(("name", "number"), [("softmax", 1), ("gemm", 1)])
def test_shipped_triton_kernels_pass(name: str, number: int, target: str) -> None:
    outcome = first(load_task(ROOT / "kernels" / name), target, number)
    assert outcome.status == Status.PASSED
    (comparison,) = outcome.comparisons
    assert comparison.error is not None and 0 < comparison.error < comparison.tolerance / 2
    assert outcome.counters["smsp__inst_executed.sum"] > 0


@pytest.mark.parametrize("completion", ["early", "late", "random"])
def test_products_of_the_only_block_that_has_any(completion: str) -> None:
    """One of four blocks multiplies, so that its threads do not lie side by side on the emulated device."""
    task = load_task(ROOT / "kernels" / "gemm_split_k").variant("ragged")
    options = replace(PLAIN, completion=completion)
    assert run_case(Case(task, "sm_90", {"M": 33, "N": 70, "K": 1}), options=options).status == Status.PASSED


@pytest.mark.skipif(not has_nvrtc, reason="the cuda extra is not installed")
def test_a_cuda_kernel_passes() -> None:
    outcome = first(load_task(ROOT / "kernels" / "vector_add"), "sm_90", 2)
    assert outcome.status == Status.PASSED


@pytest.mark.skipif(not has_nvrtc, reason="the cuda extra is not installed")
def test_blocks_that_wait_for_the_whole_grid() -> None:
    assert first(load_task(ROOT / "kernels" / "grid_sync"), "sm_80", 1).status == Status.PASSED


def test_every_combination_is_a_case() -> None:
    task = load_task(SOURCES)
    assert [(c.target, c.sizes["N"]) for c in cases([task], "verify")] == [
        ("sm_80", 100), ("sm_80", 300), ("sm_90", 100), ("sm_90", 300),
    ]  # fmt: skip
    assert [c.target for c in cases([task, task], "search", ["sm_89"])] == ["sm_89", "sm_89"]


def test_a_wrong_element_is_named() -> None:
    outcome = run("wrong")
    assert outcome.status == Status.WRONG_RESULT
    (comparison,) = outcome.comparisons
    assert (comparison.wrong, comparison.elements) == (1, 100)
    (worst,) = comparison.worst
    assert worst.index == (3,)
    assert worst.got == pytest.approx(worst.want + 1)
    assert comparison.error == pytest.approx(1 / comparison.scale)


def test_an_element_that_is_never_written_is_wrong() -> None:
    outcome = run("unwritten")
    assert outcome.status == Status.WRONG_RESULT
    (comparison,) = outcome.comparisons
    assert comparison.error is None
    assert [element.index for element in comparison.worst] == [(99,)]


def test_a_stray_write_is_a_fault_at_its_line() -> None:
    outcome = run("out_of_bounds")
    assert outcome.status == Status.FAULT
    assert outcome.fault is not None and outcome.fault.rule == "out-of-bounds"
    assert outcome.fault.site is not None and outcome.fault.site.location is not None
    assert Path(outcome.fault.site.location.file) == KERNEL
    assert outcome.fault.site.location.line == line_of("tl.store(y_ptr")
    assert outcome.fault.thread is not None and outcome.fault.thread.thread == (100, 0, 0)
    assert not outcome.comparisons


def test_an_endless_kernel_spends_its_budget() -> None:
    outcome = run("endless")
    assert outcome.status == Status.BUDGET_SPENT
    assert outcome.fault is not None and "20000 warp instructions" in outcome.fault.message


def test_an_endless_kernel_runs_out_of_time() -> None:
    task = load_task(SOURCES).variant("endless")
    todo = list(cases([task], "verify", ["sm_80"]))
    outcomes = run_cases(todo, options=replace(PLAIN, time_limit_s=0.5))
    assert [o.status for o in outcomes] == [Status.TIMEOUT, Status.TIMEOUT]
    assert outcomes[0].timing.run_s < 5
    assert exit_code(o.status for o in outcomes) == 3


def test_an_input_that_is_overwritten_is_wrong_even_if_the_result_is_right() -> None:
    outcome = run("overwrites")
    assert outcome.status == Status.WRONG_RESULT
    assert all(c.passed for c in outcome.comparisons)
    assert outcome.overwritten == ("x",)


def test_an_unknown_instruction_is_unsupported_by_name() -> None:
    outcome = run("unsupported")
    assert outcome.status == Status.UNSUPPORTED
    assert "pmevent" in outcome.diagnostics[0].message
    assert exit_code([outcome.status]) == 4


def test_a_kernel_that_does_not_compile_says_where() -> None:
    outcome = run("refused")
    assert outcome.status == Status.FAILED_COMPILE
    place = outcome.diagnostics[0].location
    assert place is not None and (Path(place.file), place.line) == (KERNEL, line_of("static_assert"))


def test_a_launch_beyond_the_machine_is_a_fault_with_numbers() -> None:
    task = load_task(SOURCES)
    outcome = run_case(Case(task, "sm_80", {"N": 128 * 2**31}), options=OPTIONS)
    assert outcome.status == Status.FAULT
    assert {d.rule for d in outcome.diagnostics} == {"out-of-memory"}


def test_a_reference_of_the_wrong_shape_is_the_users_error(tmp_path: Path) -> None:
    bad = tmp_path / "reference.py"
    bad.write_text("def reference(x):\n    return {'y': x[1:]}\n")
    task = replace(load_task(SOURCES), reference_file=bad)
    with pytest.raises(UserError, match="bad-reference") as caught:
        run_case(Case(task, "sm_80", {"N": 100}), options=OPTIONS)
    assert "(99,)" in str(caught.value) and "(100,)" in str(caught.value)


def test_the_same_bytes_but_for_timing() -> None:
    def document() -> dict[str, object]:
        outcomes = [run(variant) for variant in ("", "wrong", "unwritten", "out_of_bounds", "unsupported")]
        found = task_document({"task": "double"}, outcomes)
        assert set(found) == {"schema_version", "kind", "task", "status", "runs", "timing"}
        assert len(found.pop("timing")["each"]) == 5
        return found

    assert to_text(document()) == to_text(document())


def test_another_seed_gives_other_inputs() -> None:
    first, second = (run("wrong", replace(OPTIONS, seed=seed)).comparisons[0] for seed in (0, 1))
    assert first.worst[0].want != second.worst[0].want
