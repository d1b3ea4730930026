"""Passes through the tags of the L1, against those that gpu-strides of RRZE gpu-benches counted on A100."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model.counts.tags import tag_passes

# Passes of a warp's load by the width of a block of threads, 4 and 8 bytes each, whose rows are 4098 elements apart.
BLOCKS = {
    4: {1: 9.2, 2: 5.1, 4: 3.12, 8: 2.10, 16: 1.32, 32: 1.00, 64: 1.00},
    8: {1: 9.3, 2: 5.4, 4: 3.32, 8: 2.25, 16: 1.40, 32: 1.04, 64: 1.04},
}
# The same by stride, from 0 on.
STRIDES = {
    4: [
        1.00, 1.00, 1.24, 1.62, 1.89, 2.19, 2.36, 2.67, 2.83, 3.03, 3.31, 3.64, 3.57, 4.01, 4.00, 4.44, 4.67, 5.1, 5.1,
        5.6, 5.3, 6.0, 6.1, 6.2, 6.2, 7.0, 7.1, 7.3, 7.3, 8.0, 8.0, 8.5, 8.3, 8.8, 8.9, 9.0, 8.9, 9.2, 9.4, 9.4, 9.8,
        9.3, 9.3, 9.0, 9.3, 9.8, 9.9, 10.1, 10.4, 10.2, 10.2, 9.5, 10.2, 11.1, 10.5, 10.5, 9.6, 9.2, 9.5, 9.5, 10.0,
        9.8, 9.2, 8.8, 8.0,
    ],
    8: [
        1.00, 1.22, 1.92, 2.42, 2.86, 3.33, 3.67, 4.04, 4.75, 5.1, 5.4, 6.1, 6.4, 7.1, 7.6, 8.0, 8.6, 8.9, 9.2, 9.4,
        9.8, 9.3, 9.3, 10.0, 10.5, 10.2, 10.2, 10.5, 9.5, 9.4, 10.0, 9.2, 8.3, 9.0, 10.3, 9.6, 9.6, 9.7, 10.6, 11.9,
        13.5, 10.5, 10.2, 9.7, 10.2, 11.6, 12.1, 11.7, 12.4, 11.6, 11.2, 9.8, 10.7, 12.8, 11.6, 11.5, 10.0, 9.6, 9.7,
        9.8, 10.9, 10.6, 9.3, 9.1, 8.0,
    ],
}  # fmt: skip


def passes(addresses: np.ndarray, nbytes: int) -> float:
    """On average over where loads begin in a line; addresses (warps, 32): of the first of eight loads by each warp."""
    counted = []
    for shift in range(0, 32, 4):
        for warp in addresses + shift * nbytes:
            lines = np.unique(np.r_[warp // 128, (warp + nbytes - 1) // 128])
            counted.append(tag_passes(lines, np.zeros(len(lines)), 4))
    return float(np.mean(counted))


@pytest.mark.parametrize("nbytes", BLOCKS)
def test_blocks_of_threads(nbytes: int) -> None:
    thread = np.arange(1024).reshape(32, 32)
    for width, published in BLOCKS[nbytes].items():
        places = thread % width % 64 + thread // width % 32 * 4098 + 4098
        assert passes(places * nbytes, nbytes) == pytest.approx(published, rel=0.10), width


@pytest.mark.parametrize("nbytes", STRIDES)
def test_strides(nbytes: int) -> None:
    threads = np.arange(64).reshape(2, 32)
    found = [passes(threads * stride * nbytes, nbytes) for stride in range(len(STRIDES[nbytes]))]
    errors = np.abs(np.array(found) / STRIDES[nbytes] - 1)
    assert errors.mean() < 0.025 and errors.max() < 0.20


@given(st.lists(st.sets(st.integers(0, 1 << 32), min_size=1, max_size=32), max_size=6), st.sampled_from([1, 2, 4, 8]))
def test_passes_lie_between_an_even_spread_and_one_bank(requests: list[set[int]], banks: int) -> None:
    lines = np.array([line for request in requests for line in sorted(request)], np.int64)
    numbers = np.repeat(np.arange(len(requests)), [len(request) for request in requests])
    found = tag_passes(lines, numbers, banks)
    assert sum(-(-len(r) // banks) for r in requests) <= found <= len(lines)
    assert found == sum(tag_passes(np.array(sorted(r)), np.zeros(len(r)), banks) for r in requests)
