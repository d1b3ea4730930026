"""The `optiml` command: quick to start, codes of the contract, and the commands that read a run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ir.diagnostics import UserError
from ir.task import load_task
from optiml.cli.main import COMMANDS, optiml
from optiml.scaffold import scaffold
from optiml.store.store import Store
from optiml.store.toml import toml_text
from tests.optiml.landscape import baseline, bowl, program, search

ROOT = Path(__file__).parents[3]
KERNELS = ROOT / "kernels"
HEAVY = {"torch", "triton", "numpy", "tree_sitter", "sqlite3", "rich", "ortools", "z3", "networkx", "pydantic"}
RUN_MAIN = "import sys; from optiml.cli.main import main; main(sys.argv[1:])"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(optiml, list(arguments), standalone_mode=False)


def as_process(*arguments: str, code: str = RUN_MAIN, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"
    return subprocess.run(
        [sys.executable, "-c", path, *arguments], capture_output=True, text=True, cwd=cwd, timeout=250
    )


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    took_s = []
    for _ in range(5):
        started = time.perf_counter()
        help_ = as_process("--help")
        took_s.append(time.perf_counter() - started)
        assert help_.returncode == 0
    assert all(name in help_.stdout for name in COMMANDS)
    code = "from optiml.cli.main import optiml; optiml.main(['--help'], standalone_mode=False); print(*sys.modules)"
    assert not set(as_process(code=code).stdout.split()) & HEAVY
    assert min(took_s) < 0.2, took_s


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    assert run(name, "--help").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["optimize"], 2, "Missing argument"),
        (["optimize", "kernels/none"], 2, "missing-file"),
        (["optimize", "kernels/sgemm", "--strategy", "prayer"], 2, "unknown-strategy"),
        (["optimize", "kernels/sgemm", "--proposer", "oracle"], 2, "unknown-proposer"),
        (["optimize", "kernels/sgemm", "--target", "abacus"], 2, "unknown-machine"),
        (["optimize", "kernels/sgemm", "--run", "none/r"], 2, "bad-folder"),
        (["resume", "none.optiml"], 2, "missing-file"),
        (["show", "README.md"], 2, "no-run"),
        (["report", "README.md"], 2, "no-run"),
        (["report", "none.optiml"], 2, "missing-file"),
        (["init", "README.md"], 2, "unsupported-source"),
        (["nothing"], 2, "No such command"),
    ],
)
def test_bad_input_gives_its_code_and_no_traceback(arguments: list[str], code: int, says: str, tmp_path: Path) -> None:
    if arguments[:1] == ["optimize"] and "--run" not in arguments:
        arguments = [*arguments, "--run", str(tmp_path / "r.optiml")]
    found = as_process(*arguments)
    assert (found.returncode, found.stdout) == (code, ""), found.stderr
    assert says in found.stderr and "Traceback" not in found.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run over made-up programs, with a baseline and a winner."""
    path = tmp_path / "run.optiml"
    searched = search(path, "mcts", seed=0)
    best = min((t for t in searched.told if t.result.verdict.time_us), key=lambda t: t.result.verdict.time_us or 0.0)
    with Store.open(path) as store:
        settings = {"task": "kernels/x", "target": "a100", "strategy": "mcts", "proposer": "steps", "seed": 0}
        store.state({"settings": settings, "winner": best.result.key, "ended": "evaluations"})
        store.keep_verdict(program(0, 0), "baseline", baseline(0, 0).verdict)
        for candidate in (program(0, 0), best.result.candidate):
            store.keep_verdict(candidate, "confirm", bowl((0, 0) if candidate == program(0, 0) else (3, 3)))
    return path


def test_show_lists_every_step_and_marks_the_best(path: Path) -> None:
    found = run("show", str(path))
    lines = found.output.partition("\nstep ")[2].splitlines()[1:]
    assert found.exit_code == 0 and len([line for line in lines if "axis" in line]) == 40
    assert sum("*" in line.split()[0] for line in lines) >= 1
    document = json.loads(run("show", str(path), "--json").output)
    assert len(document["steps"]) == 40 and document["is_finished"]
    assert {s["status"] for s in document["steps"]} == {"ok", "wrong-result"}
    timing = document["timing"]
    assert timing["evaluations"] == len({s["key"] for s in document["steps"]} - {document["baseline"]["key"]})
    assert timing["evaluations_per_minute"] == pytest.approx(60 * timing["evaluations"] / timing["elapsed_s"])
    assert f"{timing['evaluations']} programs evaluated in " in found.output


def test_best_tells_the_way_to_the_winner(path: Path) -> None:
    document = json.loads(run("best", str(path), "--json").output)
    assert document["speedup"] == pytest.approx(19.0) and document["is_confirmed"] and document["kind"] == "modelled"
    assert document["edits"] and document["edits"][-1]["key"] == document["key"]
    assert run("best", str(path), "--source").output == "AT = (3, 3)"
    assert "19.00x (modelled)" in run("best", str(path)).output


def test_diff_shows_what_changed(path: Path) -> None:
    assert "-AT = (0, 0)\n+AT = (3, 3)" in run("diff", str(path)).output
    steps = run("diff", str(path), "--steps").output
    assert steps.count("# axis") == len(json.loads(run("best", str(path), "--json").output)["edits"])
    assert "+AT" in run("diff", str(path), "baseline", "0").output
    found = run("diff", str(path), "baseline", "zzz")
    assert isinstance(found.exception, UserError) and "unknown-step" in str(found.exception)


def test_a_run_without_a_winner_is_a_negative_answer(path: Path) -> None:
    with Store.open(path) as store:
        store.state({"winner": None})
    for name in ("best", "diff"):
        assert run(name, str(path)).return_value == 1


@pytest.mark.parametrize("file", sorted(KERNELS.glob("*/*.toml")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_task_file_that_is_written_again_is_the_same_task(file: Path, tmp_path: Path) -> None:
    import shutil
    import tomllib

    data = tomllib.loads(file.read_text())
    assert tomllib.loads(toml_text(data)) == data
    shutil.copytree(file.parent, tmp_path / "k")
    (tmp_path / "k" / file.name).write_text(toml_text(data))
    again, task = load_task(tmp_path / "k" / file.name), load_task(file)
    assert (again.arguments, again.launch, again.sizes) == (task.arguments, task.launch, task.sizes)


def test_init_reads_roles_off_cuda(tmp_path: Path) -> None:
    (tmp_path / "k.cu").write_text(
        "__global__ void axpy(const float* x, float* y, double* z, int n, float a) {\n"
        "  int i = threadIdx.x; if (i < n) { y[i] += a * x[i]; z[i] = 0; } }\n"
    )
    assert run("init", str(tmp_path / "k.cu")).exit_code == 0
    task = load_task(tmp_path)
    assert [(a.name, a.kind, a.role, a.dtype) for a in task.arguments] == [
        ("x", "tensor", "in", "fp32"), ("y", "tensor", "inout", "fp32"), ("z", "tensor", "out", "fp64"),
        ("n", "scalar", "in", "i32"), ("a", "scalar", "in", "fp32"),
    ]  # fmt: skip
    assert "def reference(x: torch.Tensor, y: torch.Tensor, a: float)" in (tmp_path / "reference.py").read_text()
    again = run("init", str(tmp_path / "k.cu"))
    assert isinstance(again.exception, UserError) and "file-exists" in str(again.exception)


def test_init_reads_roles_off_triton(tmp_path: Path) -> None:
    (tmp_path / "k.py").write_text((KERNELS / "softmax" / "kernel.py").read_text())
    assert run("init", str(tmp_path / "k.py")).exit_code == 0
    task, shipped = load_task(tmp_path), load_task(KERNELS / "softmax")
    roles = {a.parameter: a.role for a in shipped.arguments if a.kind == "tensor"}
    assert {a.parameter: a.role for a in task.arguments if a.kind == "tensor"} == roles
    assert set(task.constants) == set(shipped.constants)


def test_init_asks_which_of_several(tmp_path: Path) -> None:
    file = KERNELS / "transpose" / "kernel.cu"
    with pytest.raises(UserError, match="several-kernels"):
        scaffold(file)
    assert "transpose_naive" in scaffold(file, "transpose_naive")["task.toml"]


def test_check_finds_out_wrong_answers() -> None:
    found = run("check", str(KERNELS / "transpose"), "--no-run", "--json", "-q")
    document = json.loads(found.output)
    assert document["passed"] and {m["mutation"] for m in document["mutations"]} >= {
        "zeros", "constant", "input-independent", "transposed", "truncated"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "missed"),
    [
        ("torch.zeros_like(x)", "input-independent"),
        ("x.new_full(x.shape, 3.0)", "input-independent"),
        ("x * 1e-9 + 1.0", "constant"),
    ],
)
def test_check_refuses_a_task_that_cannot_tell(tmp_path: Path, body: str, missed: str) -> None:
    text = (KERNELS / "vector_add" / "task.toml").read_text()
    (tmp_path / "kernel.cu").write_text((KERNELS / "vector_add" / "kernel.cu").read_text())
    names = [a.name for a in load_task(KERNELS / "vector_add").inputs]
    output = load_task(KERNELS / "vector_add").outputs[0].name
    (tmp_path / "task.toml").write_text(text)
    (tmp_path / "reference.py").write_text(
        f"import torch\ndef reference({', '.join(names)}):\n    x = {names[0]}\n    return {{{output!r}: {body}}}\n"
    )
    found = run("check", str(tmp_path), "--no-run", "--json", "-q")
    document = json.loads(found.output)
    assert found.return_value == 1 and not document["passed"]
    assert missed in {m["mutation"] for m in document["mutations"] if not m["passed"]}
