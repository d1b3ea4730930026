"""Options of the whole test suite: `--renew` rewrites the golden files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew", action="store_true", help="rewrite the golden files with what the tests produce")


@pytest.fixture(autouse=True, scope="session")
def _own_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Searches of tests neither see nor change what the user's own runs learnt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTIML_MEMORY_FILE", str(tmp_path_factory.mktemp("memory") / "memory.sqlite"))
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with the file `golden/<name>` beside the test, or write it with `--renew`."""

    def compare(name: str, text: str) -> None:
        path = Path(request.path).parent / "golden" / name
        if request.config.getoption("--renew"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden file {path}: run with --renew"
        assert text == path.read_text(encoding="utf-8")

    return compare
