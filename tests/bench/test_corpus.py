"""The corpus bench: guesses of arguments, records that survive, the table, exit codes."""

import json
import os
import sys
from argparse import Namespace
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
sys.path[:0] = [str(BENCH), str(Path(__file__).parent)]

import corpus  # noqa: E402
import corpus_example  # noqa: E402
import corpus_packages  # noqa: E402
import corpus_run  # noqa: E402
from corpus_arguments import guesses  # noqa: E402
from corpus_packages import SHIPPED, Source, sources  # noqa: E402
from corpus_run import KernelRecord, LoopRecord, measure  # noqa: E402
from corpus_uses import named_functions, uses_of  # noqa: E402

from backends.compilers.triton_function import unwrap  # noqa: E402

EXAMPLE = Source("example", "gather_scale", kernel=corpus_example.gather_scale)


def function():
    kernel = unwrap(corpus_example.gather_scale)
    assert kernel is not None
    return kernel.function


def test_uses_of_parameters() -> None:
    uses = uses_of(function())
    assert uses.pointers == {"x", "rows", "out", "bias", "weight"}
    assert uses.indices == {"rows", "weight"}
    assert uses.optional == {"weight"}
    assert uses.flags == {"USE_BIAS"}
    assert uses.choices == {"MODE": "sum"}
    assert uses.ranges == {"WIDTH"}


def test_called_functions_are_no_kernels_of_their_own() -> None:
    assert set(named_functions(function())) == {corpus_example.add_row}


def test_guesses_leave_options_out_first() -> None:
    kernel = unwrap(corpus_example.gather_scale)
    assert kernel is not None
    first, *_, last = guesses(kernel)
    assert first.constants == {"bias": None, "weight": None, "WIDTH": 64, "MODE": "sum"}
    assert first.arguments == {
        "x": "*bf16", "rows": "*i64", "out": "*bf16", "T": "i32", "row_start": "i32", "scale": "fp32",
    }  # fmt: skip
    assert set(last.arguments.values()) >= {"*i32"}
    assert {guess.arguments.get("bias") for guess in guesses(kernel)} == {None, "*bf16", "*fp32"}


def test_tiles_that_are_too_large_are_made_smaller() -> None:
    (loop,) = (record := measure(Source("example", "sum_square", kernel=corpus_example.sum_square), "h100", 10.0)).loops
    assert record.guess == "no options, small tiles" and loop.status == "optimal"


def test_a_loop_that_is_infeasible_as_it_is_is_split() -> None:
    """A 128 x 256 accumulator takes 256 registers of each thread of four warps."""
    wide = next(source for source in sources(SHIPPED)[0] if source.name == "gemm_persistent/task:blackwell")
    (loop,) = measure(wide, "h100", 10.0).loops
    assert (loop.status, loop.subtiles) == ("optimal", 2)


def test_a_guess_compiles_and_its_loop_is_scheduled() -> None:
    record = measure(EXAMPLE, "h100", 10.0)
    assert record.compiled and record.guess == "no options"
    (loop,) = record.loops
    assert loop.status == "optimal" and loop.ii_cycles == loop.lower_bound_cycles
    assert KernelRecord.from_json(json.loads(json.dumps(record.as_json()))) == record


def test_a_process_that_ends_costs_one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_run, "_compile", lambda *_: os._exit(3))
    record = measure(EXAMPLE, "h100", 1.0)
    assert not record.compiled
    assert (record.rule, record.message) == ("process-ended", "the process ended with code 3")


def test_a_kernel_without_a_loop_is_compiled_and_has_none() -> None:
    record = measure(Source("example", "add_row", kernel=corpus_example.add_row), "h100", 1.0)
    assert record.compiled and record.loops == ()


def test_a_kernel_that_does_not_compile_tells_the_reason() -> None:
    record = measure(EXAMPLE, "no-such-machine", 1.0)
    assert not record.compiled and record.rule == "unknown-machine" and "no-such-machine" in record.message


def test_every_task_of_this_project_is_in_the_corpus() -> None:
    found, broken = sources(SHIPPED)
    names = {source.name for source in found}
    assert not broken
    assert names >= {"gemm/task", "gemm/task:bf16", "attention_backward/dq", "layer_norm/backward_weight"}


def test_a_package_that_is_missing_is_exit_code_4(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setitem(corpus_packages.PACKAGES, "liger-kernel", "no_such_package_here")
    assert corpus.main(["--package", "liger-kernel", "--out", str(tmp_path / "c.jsonl")]) == 4
    assert "pip install" in capsys.readouterr().err
    assert corpus.main(["--package", "nonsense", "--out", str(tmp_path / "c.jsonl")]) == 2


def _record(name: str, *loops: LoopRecord, rule: str = "") -> KernelRecord:
    return KernelRecord("p", name, "h100", 30.0, rule=rule, loops=loops)


RECORDS = (
    _record("a", LoopRecord("0", "optimal", time_s=1.0), LoopRecord("1", "feasible", time_s=3.0)),
    _record("b", LoopRecord("0", "refused", "while-loop", time_s=2.0)),
    _record("c", rule="compile-error"),
)


def test_summary_counts_and_times() -> None:
    summary = corpus.summarize("p", RECORDS)
    assert (summary.kernels, summary.compiled, summary.loops) == (3, 2, 3)
    assert summary.statuses == {
        "optimal": 1, "feasible": 1, "infeasible": 0, "timeout": 0, "refused": 1, "internal": 0,
    }  # fmt: skip
    assert summary.reasons == {"refused: while-loop": 1, "not compiled: compile-error": 1}
    assert (summary.median_s, summary.p95_s) == (2.0, 3.0)
    assert summary.scheduled == pytest.approx(2 / 3) and summary.optimal == pytest.approx(1 / 3)
    text = corpus.table([summary])
    assert "66.7% of the loops scheduled, 33.3% proven optimal" in text and "1  refused: while-loop" in text


def test_an_empty_package_has_no_times() -> None:
    assert corpus.summarize("p", []).median_s is None


def test_a_run_goes_on_where_it_was_cut_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    done = KernelRecord("example", "one", "h100", 5.0)
    path.write_text(json.dumps(done.as_json()) + "\n" + '{"package": "exam')
    measured = []

    def fake(source: Source, machine: str, limit_s: float) -> KernelRecord:
        measured.append(source.name)
        return KernelRecord(source.package, source.name, machine, limit_s)

    monkeypatch.setattr(corpus, "measure", fake)
    monkeypatch.setattr(corpus, "sources", lambda p: ([Source(p, "one"), Source(p, "two"), Source(p, "three")], []))
    options = Namespace(slice="0:2", out=str(path), machine="h100", limit_s=5.0)
    records, _ = corpus.run("example", options)
    assert measured == ["two"]
    assert [r.kernel for r in records] == ["one", "two"]


def test_json_form(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr(corpus, "run", lambda package, _: (list(RECORDS), []))
    assert corpus.main(["--package", "p", "--json", "--out", str(tmp_path / "c.jsonl")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema_version"] == 1
    assert told["packages"][0]["scheduled_fraction"] == 0.6667
