"""The guards by themselves: what a task needs, what a candidate may change, what is noted, what may be forged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backends.machines import load_machine
from ir.diagnostics import UserError
from ir.task import Task, load_task
from optiml.candidate import Candidate, as_task, candidate_of
from optiml.evaluate.compiling import artifacts_in
from optiml.evaluate.flags import flags
from optiml.evaluate.floors import check_touched, distinct_bytes
from optiml.evaluate.flops import flops_us, needed_flops
from optiml.evaluate.job import Limits, job_document, without_secrets
from optiml.evaluate.problem import changes
from optiml.evaluate.questions import FULL_WARP_INSTRUCTIONS, guarded, in_full, question
from optiml.evaluate.repeats import probe_size
from optiml.evaluate.secret import _secret, secret_seed
from optiml.verdict import Metrics, SizeTime

KERNELS = Path(__file__).parents[3] / "kernels"
SGEMM, SOFTMAX, ADD = (load_task(KERNELS / name) for name in ("sgemm", "softmax_cuda", "vector_add"))
TOTAL = load_task(KERNELS.parent / "tests/adversarial/tasks/total")
SIZES = {"M": 64, "N": 32, "K": 16}


def with_formula(formula: str, folder: Path) -> Task:
    (folder / "reference.py").write_text(f"import torch\ndef reference(a, b, c):\n    return {{'c': {formula}}}\n")
    return replace(SGEMM, reference_file=folder / "reference.py")


@pytest.mark.parametrize(
    ("formula", "counted"),
    [
        ("a @ b", 1),
        ("2 * (a.t().contiguous().t() @ b) + c", 1),
        ("torch.relu(torch.addmm(c, a, b))", 1),
        ("(a @ b) + (a @ b).sum()", 0),
        ("(a @ b).sum(0, keepdim=True).expand(64, 32)", 0),
        ("torch.tril(a @ b)", 0),
        ("(a @ b).tril_()", 0),
        ("a.tril_() @ b", 0),
        ("(a @ b).add_(c).relu_()", 1),
        ("(a @ b).mul_(torch.ones(64, 32, device=a.device).tril())", 0),
        ("(a @ b) * torch.ones(64, 32, device=a.device).tril()", 0),
        ("a @ (torch.diag(b[0, :16]) @ b)", 0),
        ("(a @ b) @ (b.t() @ b)", 0),
        ("torch.full((64, 32), a.flatten()[0].item())", 0),
        ("a @ torch.ones(16, 32, dtype=a.dtype, device=a.device)", 0),
    ],
)
def test_flops_are_counted_only_where_nothing_less_will_do(formula: str, counted: int, tmp_path: Path) -> None:
    assert needed_flops(with_formula(formula, tmp_path), SIZES) == counted * 64 * 32 * 16


def test_the_floor_of_flops_takes_the_fastest_format_that_will_do() -> None:
    a100 = load_machine("a100")
    loose, tight = flops_us(1e12, a100, 1e-2), flops_us(1e12, a100, 1e-6)
    assert 1e12 / 1300e6 < loose < tight < 1e12 / 19.5e6
    assert flops_us(0.0, a100, 1e-6) == 0.0


def test_a_candidate_that_touches_less_than_the_baseline_is_told_by_how_much() -> None:
    times = (SizeTime({"N": 4}, 1.0, 1.0, 1.0),)
    assert not check_touched(Metrics("modelled", times, counters={"unique_bytes": 81.0}), 100.0)
    assert "79" in check_touched(Metrics("modelled", times, counters={"unique_bytes": 79.0}), 100.0)
    assert not check_touched(Metrics("modelled", times), 100.0)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({}, ""),
        ({"entry": "sgemm_shared<16>", "launch.block": [256], "constants.BM": 16, "compile.fast_math": True}, ""),
        ({"tolerance": 1.0}, "tolerance"),
        ({"reference": "kernel.cu"}, "reference"),
        ({"regimes": []}, "regimes"),
        ({"sizes.verify": []}, "sizes"),
        ({"compile.include": ["/etc"]}, "include"),
        ({"argument": SGEMM.document.data["argument"][:-1]}, "arguments"),
        ({"argument": [{**a, "role": "out"} for a in SGEMM.document.data["argument"]]}, "the problem"),
    ],
)
def test_what_a_candidate_may_change(overrides: dict[str, object], told: str, tmp_path: Path) -> None:
    if "argument" in overrides and told == "the problem":
        overrides = {"argument": [{**a, **({"dtype": "fp16"} if a["name"] == "a" else {})}
                                  for a in SGEMM.document.data["argument"]]}  # fmt: skip
    try:
        made = as_task(Candidate("cuda", SGEMM.source.read_text(), overrides), SGEMM, tmp_path)
    except UserError:
        assert told == "include", "a folder that is not there is refused before"
        return
    found = "; ".join(changes(SGEMM, made, [SIZES]))
    assert told in found and bool(told) == bool(found)


def test_a_constant_that_the_reference_is_told_is_the_problems() -> None:
    task = load_task(KERNELS / "reduction")
    other = replace(task, constants={**task.constants, "CHUNK": 2 * int(task.constants["CHUNK"])})
    assert any("problem" in told for told in changes(task, other, [{"N": 5000}]))


@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        (Candidate("cuda", 'asm volatile("mov.u64 %0, %clock64;" : "=l"(t));'), "clock"),
        (Candidate("cuda", "__device__ int calls;"), "global variables"),
        (Candidate("cuda", "__device__ float f(float x) { return x; }"), ""),
        (Candidate("cuda", "if (n == 8192) return;"), "8192"),
        (Candidate("triton", "import os\nimport triton"), "imports os"),
        (Candidate("triton", "import triton\nprint(1)"), "runs statements"),
        (Candidate("triton", '"""Text."""\nimport triton\nX = 3\ndef f(): pass'), ""),
    ],
)
def test_flags_note_and_refuse_nothing(candidate: Candidate, told: str) -> None:
    found = "; ".join(flags(candidate, [{"N": 8192}]))
    assert told in found and bool(told) == bool(found)


def test_seeds_cannot_be_foreseen_without_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one"))
    first = secret_seed(0, "search", "key")
    assert secret_seed(0, "search", "key") == first
    assert (tmp_path / "one" / "optiml" / "secret").stat().st_mode & 0o777 == 0o600
    _secret.cache_clear()
    assert secret_seed(0, "search", "key") == first, "it stays in the file"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    assert secret_seed(0, "search", "key") != first


def test_what_python_of_a_candidate_is_told_has_no_secret() -> None:
    job = replace(question(ADD, "a100", ADD.sizes["report"], 7, Limits()), floors_us=(3.0,), needed_bytes=(5.0,))
    assert job.timing_seed
    told = json.dumps(job_document(without_secrets(job)))
    assert str(job.timing_seed) not in told and '"seed": 7' not in told


def test_the_questions_of_a_run() -> None:
    job = question(SGEMM, "a100", SGEMM.sizes["report"], 0, Limits())
    size = SGEMM.sizes["report"][0]
    metrics = Metrics("modelled", (SizeTime(size, 1.0, 1.0, 1.0),), counters={"unique_bytes": 1e30})
    asked = guarded(job, SGEMM, load_machine("a100"), metrics)
    assert asked.needed_bytes == (float(distinct_bytes(SGEMM, size)),) and asked.floors_us[0] > 0
    for executed, sizes in ((FULL_WARP_INSTRUCTIONS, (size,)), (FULL_WARP_INSTRUCTIONS * 1.1, ())):
        whole = in_full(asked, SGEMM, replace(metrics, counters={"warp_instructions": executed}))
        assert (whole.verify, whole.profile, whole.result_alone) == (sizes, (), True)


def test_the_size_of_further_launches_is_small_and_says_something() -> None:
    assert probe_size(SGEMM, [{"M": 1, "N": 1, "K": 1}, {"M": 5, "N": 40, "K": 0}, SIZES]) == SIZES
    assert probe_size(SOFTMAX, [{"ROWS": 1, "COLS": 1}]) == {"ROWS": 1, "COLS": 1}
    assert probe_size(TOTAL, [{"N": 1}, {"N": 700}]) == {"N": 700}, "its scratch memory is large at all sizes"


@pytest.mark.parametrize("source", ["x" + ".x" * 100_000, "-" * 100_000 + "1", "(" * 5000, "\ud800", "a" * (1 << 21)])
@pytest.mark.parametrize("language", ["cuda", "triton"])
def test_a_text_that_nobody_can_parse_has_a_key_all_the_same(language: str, source: str) -> None:
    candidate = Candidate(language, source)
    assert len(candidate.key) == 64 and candidate.source.encode()


def _artifact(**changed: object) -> str:
    made = {
        "language": "triton", "entry": "add", "architecture": "sm_80", "ptx": ".visible .entry add()", "cubin": None,
        "parameters": [], **changed,
    }  # fmt: skip
    return json.dumps(made)


@pytest.mark.parametrize(
    ("texts", "at", "rule"),
    [
        ([_artifact()], [0, 0], ""),
        ([_artifact(), _artifact(cluster=[2, 1, 1])], [0, 1], "unverified-code"),
        ([_artifact(options={"ptx_options": "-o x"})], [0, 0], "bad-artifact"),
        ([_artifact(entry="other")], [0, 0], "bad-artifact"),
        ([_artifact(cubin="AAAA")], [0, 0], "bad-artifact"),
        ([_artifact()], [0], "bad-artifact"),
        ([_artifact()], [0, 7], "bad-artifact"),
        ("text", [0, 0], "bad-artifact"),
        (None, None, "bad-artifact"),
    ],
)
def test_an_answer_that_may_be_forged_is_looked_at(texts: object, at: object, rule: str) -> None:
    job = replace(question(ADD, "a100", ADD.sizes["report"][:1], 0, Limits()), verify=({"N": 1},))
    answer = {"artifacts": texts, "at": at}
    if not rule:
        assert artifacts_in(answer, job) == (tuple(texts), tuple(at))  # type: ignore[arg-type]
        return
    with pytest.raises(UserError, match=rule):
        artifacts_in(answer, job)


def test_the_tasks_own_kernel_changes_nothing(tmp_path: Path) -> None:
    for task in (SGEMM, SOFTMAX, ADD):
        made = as_task(candidate_of(task), task, tmp_path)
        assert not list(changes(task, made, task.sizes["verify"]))
