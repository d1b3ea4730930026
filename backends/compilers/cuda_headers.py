"""Where the headers of CUDA are: `cuda_fp16.h`, `mma.h`, `cooperative_groups.h`, and libcu++ and CUB."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

# A header that stands for each set, and the wheel that brings it.
HEADERS = {
    "cuda_fp16.h": "nvidia-cuda-runtime",
    "crt/mma.h": "nvidia-cuda-crt",
    "cuda/barrier": "nvidia-cuda-cccl",
}


@functools.cache
def include_folders() -> tuple[str, ...]:
    """Folders to search, in order: of the installed wheels, else of a toolkit; empty where there is neither.

    The wheels come first, since they match the compiler; folders of the two are never mixed.
    """
    for places in (_wheels(), _toolkit()):
        found = [folder for place in places for folder in (place, place / "cccl") if _has_headers(folder)]
        if found:
            return tuple(map(str, found))
    return ()


def missing_headers() -> dict[str, str]:
    """Header -> wheel of those that `include_folders` does not have."""
    folders = [Path(folder) for folder in include_folders()]
    return {name: wheel for name, wheel in HEADERS.items() if not any((f / name).is_file() for f in folders)}


def _has_headers(folder: Path) -> bool:
    return any((folder / name).is_file() for name in HEADERS)


def _wheels() -> Iterator[Path]:
    """`nvidia/cu13/include` since CUDA 13; one folder for each wheel before."""
    spec = importlib.util.find_spec("nvidia")
    for place in list(spec.submodule_search_locations or ()) if spec else []:
        yield from sorted(Path(place).glob("*/include"), reverse=True)


def _toolkit() -> Iterator[Path]:
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(name):
            yield Path(os.environ[name]) / "include"
