"""What a sample says of the caches: by hand where one can, moved CTAs against recorded ones, windows against all."""

from __future__ import annotations

import numpy as np
import pytest

from backends.emulator.counters.sizes import CacheSizes
from backends.emulator.counters.stream import LOAD
from backends.model.counts import caching
from backends.model.counts.result import KernelCounts
from backends.model.counts.reuse import follow
from backends.model.counts.wave import Lines
from tests.backends.model.counts.launches import column, counted

COPY = "(unsigned* out, unsigned* in) { int i = blockIdx.x * 256 + threadIdx.x; out[i] = in[i]; }"
AGAIN = """(unsigned* out, unsigned* in) { unsigned s = 0, v;
    #pragma unroll 1
    for (int i = 0; i < 4; i++) {
        asm volatile("ld.global.u32 %0, [%1];" : "=r"(v) : "l"(in + blockIdx.x * 256 + threadIdx.x));
        s += v;
    }
    out[blockIdx.x * 256 + threadIdx.x] = s; }"""
SAME = """(unsigned* out, unsigned* in) { unsigned s = 0;
    for (int i = threadIdx.x; i < 262144; i += 256) s += __ldcg(in + i);
    out[blockIdx.x * 256 + threadIdx.x] = s; }"""
TILES = """(unsigned* out, unsigned* in, int n) { __shared__ unsigned a[16][16], b[16][16];
    int x = threadIdx.x & 15, y = threadIdx.x / 16, row = blockIdx.y * 16 + y, col = blockIdx.x * 16 + x;
    unsigned s = 0;
    #pragma unroll 1
    for (int k = 0; k < n; k += 16) {
        a[y][x] = in[row * n + k + x]; b[y][x] = in[(k + y) * n + col];
        __syncthreads();
        for (int e = 0; e < 16; e++) s += a[y][e] * b[e][x];
        __syncthreads();
    }
    out[row * n + col] = s; }"""
SWIZZLED = """(unsigned* out, unsigned* in, int n) {
    int group = blockIdx.x / (8 * n), row = group * 8 + blockIdx.x % 8, col = blockIdx.x / 8 % n; unsigned s = 0;
    for (int k = 0; k < 16; k++)
        s += in[(row * 16 + k) * 1024 + threadIdx.x] + in[(512 + col * 16 + k) * 1024 + threadIdx.x];
    out[(row * n + col) * 256 + threadIdx.x] = s; }"""


def test_a_copy_finds_nothing() -> None:
    counts = counted(COPY, 40_000)
    nbytes = 4 * 256 * 40_000
    assert counts.dram_read_bytes == pytest.approx(nbytes, rel=0.01)
    assert counts.dram_write_bytes == pytest.approx(nbytes, rel=0.01)
    assert counts.unique_bytes == pytest.approx(2 * nbytes, rel=0.01)
    assert column(counts, "ld.global", "l1_hit_share") == [0]
    assert column(counts, "ld.global", "l2_hit_share") == pytest.approx([0], abs=0.01)


def test_what_a_thread_reads_four_times_is_found_three_times() -> None:
    counts = counted(AGAIN, 40_000)
    assert column(counts, "ld.global", "l1_hit_share") == pytest.approx([0.75])
    assert counts.dram_read_bytes == pytest.approx(4 * 256 * 40_000, rel=0.01)


def test_what_all_ctas_read_comes_from_dram_once() -> None:
    """One MiB, past the L1; later waves find it in the L2 too."""
    counts = counted(SAME, 20_000)
    assert set(column(counts, "ld.global", "l1_hit_share")) == {0.0}
    read = [
        share
        for share, n in zip(*(column(counts, "ld.global", c) for c in ("l2_hit_share", "sectors")), strict=True)
        if n
    ]
    assert read
    assert min(read) > 0.999
    assert counts.dram_read_bytes == pytest.approx(1 << 20, rel=0.25)


@pytest.mark.parametrize(("partitions", "near"), [(1, 1.0), (2, 2 / 3)])
def test_near_is_what_sms_of_the_partition_have_read(partitions: int, near: float) -> None:
    """One line read by SM 0, from DRAM; by SM 2, beside it; by SM 1, whose partition has it from then on, twice."""
    ones = np.ones(4, np.int64)
    lines = Lines(5 * ones, np.full(4, 15, np.uint8), np.array([0, 2, 1, 1]), 0 * ones, LOAD * ones, ones < 0, ones)
    sizes = CacheSizes("small", 32768, 1 << 20, 4, 4, partitions)
    found = follow(lines, [], 1.0, 1.0, sizes, 1)
    assert found.l2_hits.tolist() == [0.75]
    assert found.near.tolist() == pytest.approx([near])


@pytest.mark.parametrize(("l2_bytes", "near"), [(1 << 20, 0.5), (3072, 0.0)])
def test_what_a_partition_keeps_of_the_wave_before(l2_bytes: int, near: float) -> None:
    """Of two lines that SM 0 has read in the wave before, one is read by SM 0 and one by SM 1."""

    def wave(sms: list[int], line: list[int]) -> Lines:
        ones = np.ones(len(sms), np.int64)
        return Lines(
            np.array(line), np.full(len(sms), 15, np.uint8), np.array(sms), 0 * ones, LOAD * ones, ones < 0, ones
        )

    # Of eight accesses one is followed, so that a wave touches 2 KiB: as much as the small L2 keeps, two thirds of it,
    # and more than a partition.
    sizes = CacheSizes("small", 32768, l2_bytes, 4, 4, 2)
    found = follow(wave([0, 1], [1, 2]), [wave([0, 0], [1, 2])], 1e9, 8.0, sizes, 1)
    assert found.l2_hits.tolist() == pytest.approx([1.0])
    assert found.near.tolist() == pytest.approx([near])


def _shares(counts: KernelCounts) -> np.ndarray:
    return np.array([*column(counts, "ld.global", "l1_hit_share"), *column(counts, "ld.global", "l2_hit_share")])


@pytest.mark.parametrize(
    ("source", "grid", "numbers"), [(TILES, (64, 64, 1), (1024,)), (SWIZZLED, (4096, 1, 1), (128,))]
)
def test_moved_ctas_do_as_recorded_ones(
    source: str, grid: tuple[int, int, int], numbers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By steps along the axes, and measured where there are none: the same as recording every CTA of the wave."""
    moved = counted(source, grid, numbers=numbers)
    assert "move" in moved.checks[-1] or "measured" in moved.checks[-1]
    monkeypatch.setattr(caching, "_ONE_CLASS", 2.0)
    monkeypatch.setattr(caching, "RECORDED_LINES", 1e9)
    monkeypatch.setattr(caching, "_WAVES_S", 1e9)
    recorded = counted(source, grid, numbers=numbers)
    assert "recorded" in recorded.checks[-1]
    assert _shares(moved) == pytest.approx(_shares(recorded), abs=0.03)
    assert moved.dram_read_bytes == pytest.approx(recorded.dram_read_bytes, rel=0.05)
    assert moved.dram_write_bytes == pytest.approx(recorded.dram_write_bytes, rel=0.05)


def test_windows_do_as_whole_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counted(TILES, (64, 64, 1), numbers=(1024,))
    monkeypatch.setattr(caching, "MOVED_LINES", 4e5)
    windowed = counted(TILES, (64, 64, 1), numbers=(1024,))
    assert _shares(windowed) == pytest.approx(_shares(whole), abs=0.06)
    assert windowed.executions.tolist() == whole.executions.tolist()
