"""Every diagnostic of the compilers has a test that provokes it, here or where kernels are read."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# Fails only where NVRTC has no memory left.
UNPROVOKED = {"nvrtc-failure"}


def _rules(path: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and node.args]
    named = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id in ("fail", "Diagnostic")]
    return {c.args[0].value for c in named if isinstance(c.args[0], ast.Constant) and isinstance(c.args[0].value, str)}


def test_every_rule_is_provoked_by_a_test() -> None:
    rules = set().union(*(_rules(path) for path in (ROOT / "backends" / "compilers").glob("*.py"))) - UNPROVOKED
    folders = (HERE, ROOT / "tests" / "twill" / "frontend")
    tests = "".join(p.read_text() for f in folders for p in f.glob("test_*.py") if p.name != Path(__file__).name)
    assert len(rules) > 20
    assert not {rule for rule in rules if rule not in tests}
