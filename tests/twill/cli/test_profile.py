"""`twill profile`: streams, exit codes, JSON, files, comparisons, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from twill.cli.main import main

pytest.importorskip("cuda.bindings")

KERNELS = Path(__file__).parents[3] / "kernels"
TRANSPOSE = str(KERNELS / "transpose")
SCRIPT = str(Path(__file__).parents[2] / "backends" / "run" / "sources" / "add_script.py")
SMALL = ("--target", "a6000", "--sizes", "search", "--no-interval")


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


Runner = Callable[..., Ended]


@pytest.fixture
def profile(capfd: pytest.CaptureFixture[str]) -> Runner:
    """The command in this process, for importing the compilers takes a second."""

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as exit_:
            main(["profile", *arguments])
        stdout, stderr = capfd.readouterr()
        assert "Traceback" not in stderr
        return Ended(int(exit_.value.code or 0), stdout, stderr)

    return run


def test_text_and_progress(profile: Runner) -> None:
    run = profile(TRANSPOSE, *SMALL)
    assert run.returncode == 0
    assert run.stdout.startswith("transpose ROWS=512 COLS=512: modelled ")
    assert run.stderr == "1/1 transpose ROWS=512 COLS=512\n"


def test_json_is_alone_on_stdout_and_stable(profile: Runner) -> None:
    first, second = (profile(TRANSPOSE, *SMALL, "--json", "--lines", "-q") for _ in range(2))
    assert first.returncode == 0 and not first.stderr
    document, again = json.loads(first.stdout), json.loads(second.stdout)
    assert document.pop("timing") and again.pop("timing")
    assert json.dumps(document) == json.dumps(again)
    assert (document["schema_version"], document["kind"], document["is_modelled"]) == (1, "profile", True)
    assert document["profiles"][0]["lines"]


def test_metrics(profile: Runner) -> None:
    run = profile(TRANSPOSE, *SMALL, "--metrics", "-q")
    assert "  l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum " in run.stdout and " 8,192 request" in run.stdout
    listed = profile("--list-metrics")
    assert listed.returncode == 0
    assert "| `smsp__thread_inst_executed.sum` | inst | null |" in listed.stdout


def test_sizes_of_ones_own(profile: Runner) -> None:
    run = profile(TRANSPOSE, "-t", "sm_86", "--size", "ROWS=1024,COLS=256", "--no-interval", "--json", "-q")
    (found,) = json.loads(run.stdout)["profiles"]
    assert found["sizes"] == {"ROWS": 1024, "COLS": 256} and found["machine"] == "a6000"
    assert found["modelled_time_us"]["low"] is None


def test_the_interval_is_the_default(profile: Runner) -> None:
    run = profile(TRANSPOSE, "-t", "a6000", "--sizes", "search", "--variant", "padded", "--json", "-q")
    (found,) = json.loads(run.stdout)["profiles"]
    assert found["kernel"] == "transpose:padded"
    assert found["modelled_time_us"]["low"] < found["modelled_time_us"]["high"]


def test_files(profile: Runner, tmp_path: Path) -> None:
    page, trace = tmp_path / "new" / "page.html", tmp_path / "trace.json"
    run = profile(TRANSPOSE, *SMALL, "--html", str(page), "--trace", str(trace), "--time-passes", "-q")
    assert run.returncode == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert json.loads(trace.read_text())["traceEvents"]
    assert "simulate" in run.stderr and f"wrote {page}" in run.stderr


def test_a_file_that_cannot_be_written(profile: Runner, tmp_path: Path) -> None:
    run = profile(TRANSPOSE, *SMALL, "--html", str(tmp_path), "-q")
    assert run.returncode == 2 and "unwritable-file" in run.stderr


@pytest.mark.parametrize(
    "arguments", [(TRANSPOSE, f"{TRANSPOSE}:padded"), (TRANSPOSE, "--variant", "shared", "--variant", "padded")]
)
def test_two_are_compared(profile: Runner, arguments: tuple[str, ...]) -> None:
    run = profile(*arguments, *SMALL, "-q")
    assert run.returncode == 0
    assert "transpose:padded ROWS=512" in run.stdout and "times as fast" in run.stdout
    assert "What changed (modelled)" in run.stdout


def test_a_comparison_as_json(profile: Runner) -> None:
    run = profile(TRANSPOSE, f"{TRANSPOSE}:padded", *SMALL, "--json", "-q")
    (found,) = json.loads(run.stdout)["comparisons"]
    assert [found[which]["kernel"] for which in ("first", "second")] == ["transpose", "transpose:padded"]
    assert found["faster"] in ("transpose", "transpose:padded")


def test_what_cannot_be_told_apart_is_a_negative_answer(profile: Runner) -> None:
    run = profile(TRANSPOSE, TRANSPOSE, "-t", "a6000", "--sizes", "search", "-q")
    assert run.returncode == 1 and "not distinguishable" in run.stdout


def test_the_launches_of_a_script(profile: Runner) -> None:
    run = profile(SCRIPT, "-t", "a6000", "--no-interval", "--json", "-q", "--", "--n", "3000")
    assert run.returncode == 1, "it checks results, which are not there"
    assert "no kernel was executed" in run.stderr
    document = json.loads(run.stdout)
    found = {p["kernel"]: p for p in document["profiles"]}
    assert list(found) == ["add_kernel", "scale_kernel"]
    add = found["add_kernel"]
    assert add["grid"]["ctas"] == 24 and add["sizes"]["n"] == 3000 and add["sizes"]["BLOCK"] == 128
    # Two warps of the last CTA ask for nothing; accesses are those of a sample of CTAs.
    requests = add["metrics"]["l1tex__t_requests_pipe_lsu_mem_global_op_st.sum"]
    assert requests == pytest.approx(-(-3000 // 32), rel=0.03)
    assert add["metrics"]["launch__grid_size"] == 24
    assert [p["launches"] for p in document["profiles"]] == [1, 2], "once by itself, once in a benchmark"


BAD: dict[str, tuple[tuple[str, ...], str, str]] = {
    "no script": (("script.py",), "missing-file", ""),
    "a variant of a script": ((SCRIPT, "--variant", "padded"), "invalid-option", "are for tasks"),
    "a script without launches": ((SCRIPT, "--", "--help"), "no-launch", "arguments"),
    "a CUDA file": (("kernel.cu",), "unsupported-source", "write a task file"),
    "a PTX file": (("kernel.ptx",), "unsupported-source", "write a task file"),
    "no task": (("nowhere",), "missing-file", ""),
    "no variant": ((f"{TRANSPOSE}:none",), "unknown-variant", "the variants are"),
    "no machine": ((TRANSPOSE, "-t", "a600"), "unknown-machine", "a6000"),
    "no architecture": ((TRANSPOSE, "-t", "sm_70"), "unknown-machine", "sm_86"),
    "no such size": ((TRANSPOSE, "--size", "N=4"), "unknown-size", "ROWS, COLS"),
    "a size of nothing": ((TRANSPOSE, "--size", "ROWS=0"), "invalid-option", ""),
    "a size without a name": ((TRANSPOSE, "--size", "4096"), "invalid-option", ""),
    "three kernels": ((TRANSPOSE,) * 3, "invalid-option", ""),
    "a variant of two": ((TRANSPOSE, TRANSPOSE, "--variant", "padded"), "invalid-option", "TASK:VARIANT"),
    "a page of two": ((TRANSPOSE, TRANSPOSE, "--html", "x.html"), "invalid-option", ""),
    "no sizes in common": (
        (TRANSPOSE, str(KERNELS / "vector_add"), "-t", "a6000", "--sizes", "search", "--no-interval"),
        "sizes-differ",
        "--size",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_line_each(profile: Runner, case: str) -> None:
    arguments, rule, remedy = BAD[case]
    run = profile(*arguments, "-q")
    assert run.returncode == 2 and not run.stdout
    assert f"[{rule}]" in run.stderr and remedy in run.stderr


def test_no_kernel_is_a_usage_error(profile: Runner) -> None:
    assert profile().returncode == 2
