"""The command line: contract of streams and exit codes, configuration, one test for each kind of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ir.diagnostics import UserError
from twill.cli.config import read_defaults
from twill.cli.options import constant, pairs

ROOT = Path(__file__).parents[3]
TOY: dict[str, Any] = {
    "machine": {"name": "toy", "units": {"tensor": 1, "exp": 1}},
    "ops": [
        {"name": "scores", "unit": "tensor", "latency_cycles": 1, "occupancy_cycles": 1},
        {"name": "exp", "unit": "exp", "latency_cycles": 1, "occupancy_cycles": 1},
        {"name": "output", "unit": "tensor", "latency_cycles": 1, "occupancy_cycles": 1},
    ],
    "edges": [
        {"source": "scores", "target": "exp"},
        {"source": "exp", "target": "output"},
        {"source": "output", "target": "output", "distance": 1},
    ],
}


def twill(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from twill.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "toy.json"
    path.write_text(json.dumps(TOY))
    return path


def test_json_is_alone_on_stdout_and_verifies(toy: Path, tmp_path: Path) -> None:
    run = twill("schedule", str(toy), "--json")
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert (document["status"], document["ii_cycles"], document["length_cycles"]) == ("optimal", 2, 4)
    saved = tmp_path / "schedule.json"
    saved.write_text(run.stdout)
    assert twill("verify", str(saved)).returncode == 0


def test_the_same_bytes_but_for_timing(toy: Path) -> None:
    first, second = (json.loads(twill("schedule", str(toy), "--json").stdout) for _ in range(2))
    first.pop("timing"), second.pop("timing")
    assert json.dumps(first) == json.dumps(second)


def test_verify_rejects_a_corrupted_schedule(toy: Path, tmp_path: Path) -> None:
    document = json.loads(twill("schedule", str(toy), "--json").stdout)
    document["placements"][1]["time_cycles"] = 0
    saved = tmp_path / "bad.json"
    saved.write_text(json.dumps(document))
    run = twill("verify", str(saved), "--json")
    assert run.returncode == 1
    assert json.loads(run.stdout)["violations"]


def test_infeasible_is_a_negative_answer(toy: Path) -> None:
    run = twill("schedule", str(toy), "--modulo", "--max-ii", "1")
    assert run.returncode == 1
    assert "infeasible" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["schedule", "absent.json"], 2, "absent.json"),
        (["schedule", "absent.py"], 2, "absent.py"),
        (["schedule", "{toy}", "--solver", "magic"], 2, "cpsat"),
        (["schedule", "{toy}", "--emit", "svg"], 2, "formats"),
        (["schedule", "{toy}", "--json", "--emit", "table"], 2, "alone"),
        (["schedule", "{toy}", "--subtile", "0"], 2, "0"),
        (["schedule", "{toy}", "--target", "h1oo"], 2, "h100"),
        (["schedule", "{toy}", "--const", "X"], 2, "NAME=VALUE"),
        (["schedule", "{toy}", "--pins", "absent.toml"], 2, "absent.toml"),
        (["schedule"], 2, "SOURCE"),
        (["sched"], 2, "sched"),
        (["verify", "absent.json"], 2, "absent.json"),
        (["machines", "b20"], 2, "b200"),
    ],
)
def test_bad_input(toy: Path, arguments: list[str], code: int, text: str) -> None:
    run = twill(*(a.format(toy=toy) for a in arguments))
    assert run.returncode == code, run.stderr
    assert text in run.stderr
    assert "Traceback" not in run.stderr and not run.stdout


BAD_GRAPHS = {
    "zero-distance cycle": (lambda d: d["edges"].append({"source": "output", "target": "scores"}), 2, "cycle"),
    "negative latency": (lambda d: d["ops"][0].update(latency_cycles=-1), 2, "latency_cycles"),
    "unknown unit": (lambda d: d["ops"][0].update(unit="tensr"), 2, "tensor"),
    "unknown edge end": (lambda d: d["edges"].append({"source": "outptu", "target": "exp"}), 2, "output"),
    "duplicate op": (lambda d: d["ops"].append(d["ops"][0]), 2, "scores"),
    "no ops": (lambda d: (d["ops"].clear(), d["edges"].clear()), 2, "op"),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_bad_graph(toy: Path, name: str) -> None:
    corrupt, code, text = BAD_GRAPHS[name]
    document = json.loads(toy.read_text())
    corrupt(document)
    toy.write_text(json.dumps(document))
    run = twill("schedule", str(toy))
    assert run.returncode == code, run.stderr
    assert text in run.stderr and "Traceback" not in run.stderr and not run.stdout


def test_an_op_larger_than_any_memory_is_infeasible(toy: Path) -> None:
    document = json.loads(toy.read_text())
    document["machine"]["smem_bytes"] = 1000
    document["ops"][0]["smem_bytes"] = 1001
    toy.write_text(json.dumps(document))
    run = twill("schedule", str(toy))
    assert run.returncode == 1
    assert "1001" in run.stdout and "1000" in run.stdout


def test_config_gives_defaults_and_flags_win(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "twill.toml").write_text("[schedule]\nsolver = 'magic'\n")
    assert twill("schedule", str(toy), cwd=tmp_path).returncode == 2
    assert twill("schedule", str(toy), "--solver", "cpsat", cwd=tmp_path).returncode == 0


def test_unknown_config_key_is_placed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.twill.schedule]\n\ntime-limt = 3\n")
    with pytest.raises(UserError) as caught:
        read_defaults(tmp_path)
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.location is not None and diagnostic.location.line == 3
    assert "time-limit" in diagnostic.remedy


def test_config_of_an_unknown_command(tmp_path: Path) -> None:
    (tmp_path / "twill.toml").write_text("[shedule]\nsolver = 'ims'\n")
    with pytest.raises(UserError, match="shedule"):
        read_defaults(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("128", 128), ("True", True), ("1.5", 1.5), ("None", None), ("tl.float16", "tl.float16")]
)
def test_constants(text: str, value: Any) -> None:
    assert constant(text) == value and type(constant(text)) is type(value)


def test_pairs_refuse_a_second_value() -> None:
    with pytest.raises(UserError, match="twice"):
        pairs(("A=1", "A=2"), "--const")
