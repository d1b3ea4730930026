"""Every diagnostic of the frontend has a test that provokes it."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
# What the frontend refuses to read, CUDA C++ and Gluon, is tested beside the kernels.
TESTS = (HERE, HERE.parents[1] / "kernels")
FRONTEND = HERE.parents[2] / "twill" / "frontend"
# Rules that are raised through a variable or another function: where they come from.
INDIRECT = {"missing-part"}


def _rules(path: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and node.args]
    named = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id in ("fail", "Diagnostic")]
    return {c.args[0].value for c in named if isinstance(c.args[0], ast.Constant) and isinstance(c.args[0].value, str)}


def test_every_rule_is_provoked_by_a_test() -> None:
    rules = INDIRECT.union(*(_rules(path) for path in FRONTEND.glob("*.py")))
    tests = "".join(path.read_text() for folder in TESTS for path in folder.glob("test_*.py") if path != Path(__file__))
    assert len(rules) > 15
    assert not {rule for rule in rules if rule not in tests}
