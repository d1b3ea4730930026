"""Rules of the layout: folder order, light imports, file sizes, no path or host of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["ir", "backends", "twill", "optiml"]
HEAVY = ["torch", "triton", "ortools", "z3", "pysmt", "networkx", "pydantic", "rich", "numpy"]
SOURCES = [path for package in ORDER for path in sorted((ROOT / package).rglob("*.py"))]


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_imports_only_those_before_it(path: Path) -> None:
    mine = ORDER.index(path.relative_to(ROOT).parts[0])
    roots = {name.partition(".")[0] for name in _imports(ast.parse(path.read_text()))}
    later = [package for package in ORDER[mine + 1 :] if package in roots]
    assert not later and not roots & {"tests", "bench", "kernels"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 600
    assert ast.get_docstring(ast.parse(text)), "the first line says which idea the file holds"


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(chr(10).join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import twill, optiml, ir.graph, ir.schedule, backends",
        "from twill.cli.main import twill\ntwill.main(['--help'], standalone_mode=False)",
        "from twill.cli.main import twill\ntwill.main(['--version'], standalone_mode=False)",
    ],
)
def test_light_commands_import_nothing_heavy(code: str) -> None:
    assert not _modules_after(code) & set(HEAVY)


def test_listing_machines_imports_no_compiler_and_no_solver() -> None:
    code = "from twill.cli.main import twill\ntwill.main(['machines'], standalone_mode=False)"
    assert not _modules_after(code) & {"torch", "triton", "ortools", "z3", "pysmt"}


def test_no_path_of_one_machine() -> None:
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split()
    pattern = re.compile(r"(?<![\w.])/(work|home|root|Users)/\w")
    for name in files:
        path = ROOT / name
        if path.suffix in {".py", ".toml", ".md", ".yml", ""} and path.is_file() and path != Path(__file__):
            assert not pattern.search(path.read_text(errors="replace")), name
