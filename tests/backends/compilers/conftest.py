"""Every test of the compilers has an empty cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.compilers.cache import FOLDER_VARIABLE, SIZE_VARIABLE


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    monkeypatch.delenv(SIZE_VARIABLE, raising=False)
    return folder
