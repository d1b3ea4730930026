"""Ctrl-C stays Python's after CP-SAT, which by default leaves it to end the process at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ir", "backends", "twill", "optiml")
USES = {
    "normalize": "from twill.solve.normalize import normalize; normalize([7, 13, 29], 30)",
    "solve_flow": (
        "from backends.model.matching.flow import solve_flow\n"
        "from tests.backends.model.matching.programs import Built, Straight\n"
        "assert solve_flow(Built((Straight(),)).function, []) is not None"
    ),
}
INTERRUPT = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("use", USES)
def test_an_interrupt_after_the_solver_is_an_exception(use: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{USES[use]}\n{INTERRUPT}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "interrupted\n"), run.stderr


def test_every_solver_is_told_to_leave_the_signal_alone() -> None:
    texts = {path: path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    users = {path: text for path, text in texts.items() if "CpSolver()" in text}
    assert len(users) >= 4
    for path, text in users.items():
        assert text.count("CpSolver()") == text.count("catch_sigint_signal = False"), path
