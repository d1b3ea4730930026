"""The wheel has all that it needs and works from another folder; every README command runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN_MAIN = "import sys; from twill.cli.main import main; main(sys.argv[1:])"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def _commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in _blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith(("twill ", "optiml "))]


@pytest.mark.parametrize("command", _commands())
def test_readme_command(command: str, tmp_path: Path) -> None:
    program, *words = shlex.split(command)
    arguments = [str(ROOT / word) if (ROOT / word).exists() else word for word in words]
    start = f"from {program}.cli.main import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {start}", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout


@pytest.mark.parametrize("number", range(len(_blocks("python"))))
def test_readme_python(number: int) -> None:
    run = subprocess.run([sys.executable, "-c", _blocks("python")[number]], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("optimal")


def test_readme_graph(tmp_path: Path) -> None:
    from ir.serialize import read_graph

    path = tmp_path / "graph.json"
    path.write_text(_blocks("json")[0])
    assert len(read_graph(path)[0].ops) == 3


@pytest.mark.slow
def test_the_wheel_works_from_another_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("twill_optiml-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops - {"ir", "backends", "twill", "optiml"} == {next(t for t in tops if t.endswith(".dist-info"))}
    for arguments in (["machines"], ["schema"], ["schedule", str(_graph(tmp_path)), "--emit", "html"]):
        code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); {RUN_MAIN}"
        run = subprocess.run(
            [sys.executable, "-I", "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path
        )
        assert run.returncode == 0, run.stderr


def _graph(folder: Path) -> Path:
    path = folder / "graph.json"
    path.write_text(_blocks("json")[0])
    return path
