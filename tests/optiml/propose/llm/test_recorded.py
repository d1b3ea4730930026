"""A recorded run with a model, on a shipped kernel: replies of an expert in a folder, one of which had to be mended."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[4]
REPLIES = Path(__file__).parent / "replies" / "matvec"
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from optiml.cli.main import main; main(sys.argv[1:])"
SECRET = "sk-secret-0123456789"
SETTINGS = ("--strategy", "greedy", "--seed", "0", "--width", "1", "--budget", "6", "--json", "-q")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPENAI_API_KEY": SECRET}
    return subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, timeout=800, env=environment
    )


def optimize(path: Path, proposer: str, *more: str) -> dict[str, Any]:
    run = command("optimize", str(ROOT / "kernels" / "matvec"), "-p", proposer, "--run", str(path), *SETTINGS, *more)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    shutil.copytree(REPLIES, folder / "talk")
    path = folder / "run.optiml"
    return path, optimize(path, f"dir:{folder / 'talk'}", "--edits", "2", "--answer-limit", "30")


def test_the_replies_make_the_kernel_faster(run: tuple[Path, dict[str, Any]]) -> None:
    assert run[1]["speedup"] > 2.0
    assert "warp-per-row:all-lanes" in run[1]["winner"]["edits"]


def test_a_wrong_result_went_back_and_was_mended(run: tuple[Path, dict[str, Any]]) -> None:
    steps = json.loads(command("show", str(run[0]), "--json").stdout)["steps"]
    assert [(s["tag"], s["status"]) for s in steps[:2]] == [
        ("warp-per-row", "wrong-result"), ("warp-per-row:all-lanes", "ok")
    ]  # fmt: skip
    (prompt,) = rows(run[0], "SELECT messages FROM exchanges WHERE role = 'repair'")[0]
    assert "wrong-result" in prompt and "elements wrong" in prompt


def test_an_answer_that_was_cut_off_went_back(run: tuple[Path, dict[str, Any]]) -> None:
    outcomes = [outcome for (outcome,) in rows(run[0], "SELECT outcome FROM exchanges ORDER BY question, turn")]
    cut = next(i for i, outcome in enumerate(outcomes) if outcome.startswith("truncated"))
    assert outcomes[cut + 1] == "used"


def test_it_replays_bit_for_bit_without_a_model(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = tmp_path / "again.optiml"
    document = optimize(again, f"replay:{run[0]}")
    assert {**document, "proposer": ""} == {**run[1], "proposer": ""}
    steps = "SELECT number, key, parent, tag, limiter, why, proposer, reward FROM steps ORDER BY number"
    assert rows(again, steps) == rows(run[0], steps)
    proposals = "SELECT number, key, edits FROM proposals ORDER BY number"
    assert rows(again, proposals) == rows(run[0], proposals)
    assert rows(again, "SELECT * FROM exchanges") == []


def test_a_finished_run_is_resumed_without_a_call(run: tuple[Path, dict[str, Any]]) -> None:
    before = rows(run[0], "SELECT * FROM exchanges")
    again = command("resume", str(run[0]), "--json", "-q")
    assert json.loads(again.stdout) == run[1]
    assert rows(run[0], "SELECT * FROM exchanges") == before


def test_the_key_is_nowhere_and_the_calls_are_told(run: tuple[Path, dict[str, Any]]) -> None:
    files = [f for f in run[0].parent.rglob("*") if f.is_file()]
    assert files and not any(SECRET.encode() in f.read_bytes() for f in files)
    told = command("show", str(run[0])).stdout
    assert "dir: 12 calls" in told and "cost unknown" in told
