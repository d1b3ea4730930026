"""Runs that are killed by SIGKILL at random moments, and resumed: the same steps and winner, and nothing left behind.

OPTIML_KILLS says how many kills (`make kills` wants 50), OPTIML_KILL_SEED which moments; the seed is printed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from optiml.isolate import folders

ROOT = Path(__file__).parents[3]
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from optiml.cli.main import main; main(sys.argv[1:])"
TASK = str(ROOT / "kernels" / "transpose")
KILLS = int(os.environ.get("OPTIML_KILLS", "5"))
SEED = int(os.environ.get("OPTIML_KILL_SEED") or random.SystemRandom().randrange(10**6))
# Zygotes that are still importing when their parent is killed hear of it after that.
PATIENCE_S = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 200 * KILLS)]


def optimize(path: Path) -> list[str]:
    return ["optimize", TASK, "--budget", "5", "--seed", "1", "--run", str(path), "--json", "-q"]


def resume(path: Path) -> list[str]:
    return ["resume", str(path), "--json", "-q"]


@dataclass
class Chain:
    """A run that goes on until it is done; processes that it started are known by their temporary folder."""

    path: Path
    temporary: Path
    kills: int = 0
    moments_s: list[float] = field(default_factory=list)

    def go_on(self, kill_after_s: float | None) -> dict[str, Any] | None:
        """The document, None where the run was killed before it was done."""
        is_begun = self.path.exists() and self._has_facts()
        arguments = resume(self.path) if is_begun else optimize(self.path)
        process = self._started(arguments)
        try:
            said, errors = process.communicate(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.kills += 1
            self.moments_s.append(kill_after_s or 0.0)
            return None
        assert process.returncode == 0, errors
        found: dict[str, Any] = json.loads(said)
        return found

    def steps(self) -> dict[str, Any]:
        """What `optiml show` says, but for the clock."""
        said, errors = self._started(["show", str(self.path), "--json"]).communicate()
        assert said, errors
        found: dict[str, Any] = json.loads(said)
        return {name: found[name] for name in ("steps", "best", "baseline", "ended")}

    def processes(self) -> list[int]:
        """Processes that live and have this chain's temporary folder."""
        return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and self._is_ours(p)]

    def _is_ours(self, process: Path) -> bool:
        try:
            is_dead = (process / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            return not is_dead and f"TMPDIR={self.temporary}".encode() in (process / "environ").read_bytes()
        except OSError:
            return False

    def _has_facts(self) -> bool:
        said, _ = self._started(["show", str(self.path), "--json"]).communicate()
        return bool(said)

    def _started(self, arguments: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CODE, *arguments]
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=self.path.parent
        )


def chain(folder: Path) -> Chain:
    (folder / "temporary").mkdir(parents=True)
    return Chain(folder / "run.optiml", folder / "temporary")


def test_kills_at_random_moments_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, whole = random.Random(SEED), chain(tmp_path / "whole")
    started_s = time.monotonic()
    expected, steps = whole.go_on(None), whole.steps()
    span_s = time.monotonic() - started_s
    print(f"{KILLS} kills, seed {SEED}, a whole run takes {span_s:.1f} s")
    done = 0
    for number in range(2 * KILLS):
        killed = chain(tmp_path / str(number))
        while (found := killed.go_on(chance.uniform(0.1, span_s / 2) if done + killed.kills < KILLS else None)) is None:
            pass
        assert found == expected, (SEED, number, killed.moments_s)
        assert killed.steps() == steps, (SEED, number, killed.moments_s)
        _check_nothing_left(killed, monkeypatch)
        done += killed.kills
        print(f"run {number}: killed after {', '.join(f'{s:.1f} s' for s in killed.moments_s)}; {done} kills")
        if done >= KILLS:
            return
    raise AssertionError(f"{done} kills in {2 * KILLS} runs")


def _check_nothing_left(killed: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while killed.processes() and time.monotonic() < until_s:
        time.sleep(0.2)
    assert not killed.processes()
    monkeypatch.setattr(folders, "_YOUNG_S", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(killed.temporary))
    folders.sweep()
    monkeypatch.undo()
    assert not list(killed.temporary.iterdir())
