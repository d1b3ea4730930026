"""`twill run`: streams, exit codes, JSON, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from twill.cli.main import main

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "tests" / "backends" / "run" / "sources"
PLAIN = ("--check", "none", "--engine", "numpy")


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


Runner = Callable[..., Ended]


@pytest.fixture
def twill_run(capfd: pytest.CaptureFixture[str]) -> Runner:
    """The command in this process, for importing torch takes a second."""

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as exit_:
            main(["run", *arguments])
        stdout, stderr = capfd.readouterr()
        return Ended(int(exit_.value.code or 0), stdout, stderr)

    return run


def test_a_process_of_its_own() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from twill.cli.main import main; main(sys.argv[1:])"
    arguments = ["run", str(SOURCES), "-t", "sm_80", "--variant", "wrong", *PLAIN]
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert "wrong-result" in run.stdout and "Traceback" not in run.stderr


def test_json_is_alone_on_stdout_and_stable(twill_run: Runner) -> None:
    first, second = (twill_run(str(SOURCES), "-t", "a100", *PLAIN, "--json") for _ in range(2))
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    again = json.loads(second.stdout)
    assert document.pop("timing") and again.pop("timing")
    assert json.dumps(document) == json.dumps(again)
    assert (document["schema_version"], document["kind"], document["status"]) == (1, "task-run", "passed")
    assert [(r["target"], r["sizes"]) for r in document["runs"]] == [("sm_80", {"N": 100}), ("sm_80", {"N": 300})]
    assert "2/2 double sm_80 N=300: passed" in first.stderr


def test_all_variants_in_one_table_with_what_is_wrong(twill_run: Runner) -> None:
    run = twill_run(str(SOURCES), "-t", "sm_80", "--variant", "all", *PLAIN, "--budget", "20000", "-q")
    assert run.returncode == 1 and not run.stderr
    for status in ("passed", "wrong-result", "fault", "budget-spent", "unsupported", "failed-compile"):
        assert status in run.stdout
    assert "kernel.py:28:5: error: 4 bytes at" in run.stdout
    assert "    tl.store(y_ptr + offsets, y, mask=mask)\n        ^" in run.stdout
    assert "y[3] is" in run.stdout and "input `x` was overwritten" in run.stdout


@pytest.mark.parametrize(("variant", "code"), [("endless", 3), ("unsupported", 4), ("refused", 2), ("wrong", 1)])
def test_exit_codes(twill_run: Runner, variant: str, code: int) -> None:
    run = twill_run(str(SOURCES), "-t", "sm_80", "--variant", variant, *PLAIN, "--budget", "20000")
    assert run.returncode == code, run.stderr


def test_a_script(twill_run: Runner) -> None:
    run = twill_run(str(SOURCES / "add_script.py"), *PLAIN, "--json", "--", "--n", "256")
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert [launch["kernel"] for launch in document["launches"]] == ["add_kernel", "scale_kernel", "scale_kernel"]
    assert "all good" in run.stderr and document["error"] is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["absent"], "absent"),
        (["absent.py"], "absent.py"),
        (["{sources}", "--variant", "wrang"], "wrong"),
        (["{sources}", "--target", "h1oo"], "h100"),
        (["{sources}", "--device", "gpu"], "emulator"),
        (["{sources}", "--check", "rice"], "race"),
        (["{sources}", "--completion", "soon"], "random"),
        (["{sources}", "--sizes", "all"], "verify"),
        (["{sources}", "--budget", "0"], "0"),
        (["{sources}", "--", "1"], "no arguments"),
        (["{sources}/add_script.py", "--variant", "x"], "--variant"),
        (["{sources}/add_script.py", "-t", "sm_80", "-t", "sm_90"], "sm_90"),
        ([], "SOURCE"),
    ],
)
def test_bad_input(twill_run: Runner, arguments: list[str], text: str) -> None:
    run = twill_run(*(a.format(sources=SOURCES) for a in arguments))
    assert run.returncode == 2, run.stderr
    assert text in run.stderr
    assert "Traceback" not in run.stderr and not run.stdout


def test_counters_on_request(twill_run: Runner) -> None:
    run = twill_run(str(SOURCES), "-t", "sm_80", *PLAIN, "--counters", "--json")
    counters = [r["counters"] for r in json.loads(run.stdout)["runs"]]
    assert all(c["smsp__inst_executed.sum"] > 0 for c in counters)
    # 100 and 300 floats are read and written: 13 and 38 sectors of 32 bytes.
    assert [c["l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"] for c in counters] == [13, 38]
    assert "l1tex__t_sectors" in twill_run(str(SOURCES), "-t", "sm_80", *PLAIN, "--counters").stdout
