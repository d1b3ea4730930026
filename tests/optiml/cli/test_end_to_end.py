"""Whole runs on real kernels: one seed gives one winner, and so does a run that was killed on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ir.task import load_task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[3]
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from optiml.cli.main import main; main(sys.argv[1:])"
TASK = str(ROOT / "kernels" / "transpose")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", CODE, *arguments]


def optimize(path: Path, *more: str) -> list[str]:
    return command("optimize", TASK, "--budget", "8", "--seed", "1", "--run", str(path), "--json", "-q", *more)


def document(arguments: list[str]) -> dict[str, Any]:
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("run") / "whole.optiml"
    return path, document(optimize(path))


def test_a_naive_transposition_gets_faster(whole: tuple[Path, dict[str, Any]]) -> None:
    found = whole[1]
    assert found["speedup"] > 1.3
    assert found["winner"]["kind"] == "modelled"
    assert found["winner"]["status"] == "ok" and len(found["winner"]["times"]) == 2


def test_one_seed_gives_one_winner_whatever_the_workers(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    assert document(optimize(tmp_path / "again.optiml", "--workers", "1")) == whole[1]


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_winner(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, chance = tmp_path / "killed.optiml", random.Random(0)
    for turn in range(6):
        arguments = command("resume", str(path), "--json", "-q") if path.exists() and turn else optimize(path)
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 9.0))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert document(command("resume", str(path), "--json", "-q")) == whole[1]


def test_a_finished_run_is_resumed_at_once(whole: tuple[Path, dict[str, Any]]) -> None:
    started = time.monotonic()
    assert document(command("resume", str(whole[0]), "--json", "-q")) == whole[1]
    assert time.monotonic() - started < 20


def test_a_finished_run_is_resumed_with_its_page(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert document(command("resume", str(whole[0]), "--json", "-q", "--html", str(page))) == whole[1]
    text = page.read_text()
    assert whole[1]["winner"]["edits"][-1] in text and "verified again with fresh inputs" in text


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "stopped.optiml"
    process = subprocess.Popen(optimize(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not path.exists():
        time.sleep(0.1)
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"optiml resume {path}" in said and "Traceback" not in said


def test_the_winner_is_exported_as_a_task_that_passes(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "winner"
    assert subprocess.run(command("export", str(whole[0]), str(folder)), capture_output=True).returncode == 0
    assert load_task(folder).name == "transpose"
    evidence = json.loads((folder / "evidence.json").read_text())
    assert evidence["key"] == whole[1]["winner"]["key"]
    check = subprocess.run(command("check", str(folder), "-q"), capture_output=True, text=True, timeout=200)
    assert check.returncode == 0, check.stdout + check.stderr
