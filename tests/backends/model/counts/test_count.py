"""Counts from a sample of CTAs: exact where one can count by hand, and equal to a run of every CTA."""

from __future__ import annotations

import numpy as np
import pytest

from backends.device import LaunchConfig
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator
from backends.machines.loader import load_machine
from backends.model.counts import count as count_module
from backends.model.counts.count import count
from tests.backends.model.counts.launches import column, counted, launch_of, ptx

COPY = "(unsigned* out, unsigned* in, int n) { int i = blockIdx.x * 256 + threadIdx.x; if (i < n) out[i] = in[i]; }"
STRIDED = "(unsigned* out, unsigned* in, int s) { out[blockIdx.x * 256 + threadIdx.x] = in[(threadIdx.x & 31) * s]; }"
TRANSPOSE = """(unsigned* out, unsigned* in) { __shared__ unsigned t[32][PITCH];
    int x = threadIdx.x & 31, y = threadIdx.x / 32;
    for (int j = y; j < 32; j += 8) t[j][x] = in[(blockIdx.y * 32 + j) * 1024 + blockIdx.x * 32 + x];
    __syncthreads();
    for (int j = y; j < 32; j += 8) out[(blockIdx.x * 32 + j) * 1024 + blockIdx.y * 32 + x] = t[x][j]; }"""
TRIANGLE = """(unsigned* out, unsigned* in) { unsigned s = 0;
    for (int i = 0; i <= blockIdx.x; i++) s += in[i * 256 + threadIdx.x]; out[threadIdx.x] = s; }"""
RAGGED = """(unsigned* out, unsigned* in, int m, int n) {
    int x = blockIdx.x * 32 + (threadIdx.x & 31), y = blockIdx.y * 8 + threadIdx.x / 32;
    if (x < n && y < m) { out[y * n + x] = in[y * n + x]; if (x + 1 == n) out[0] = 1; } }"""
HISTOGRAM = """(unsigned* out, unsigned* in) { unsigned v = in[blockIdx.x * 256 + threadIdx.x];
    #pragma unroll 1
    for (unsigned i = 0; i < v; i++) atomicAdd(out + i, 1); }"""


def test_a_copy_is_counted_by_hand() -> None:
    """100,000 CTAs of 8 warps, the last of them with 3 warps and a half at work."""
    n = 99_999 * 256 + 3 * 32 + 16
    counts = counted(COPY, 100_000, numbers=(n,), words=1 << 25)
    assert counts.is_regular
    assert counts.ran_ctas < 200
    assert sorted(c.weight for c in counts.classes) == [1, 99_999]
    warps = 99_999 * 8 + 4
    for opcode in ("ld.global", "st.global"):
        assert column(counts, opcode, "executions") == [warps]
        assert column(counts, opcode, "requests") == [warps]
        assert column(counts, opcode, "sectors") == pytest.approx([warps * 4 - 2])
        assert column(counts, opcode, "lines") == pytest.approx([warps])
        assert column(counts, opcode, "bytes") == pytest.approx([4 * n])


@pytest.mark.parametrize(("stride", "sectors", "lines"), [(0, 1, 1), (1, 4, 1), (2, 8, 2), (8, 32, 8), (32, 32, 32)])
def test_strides_and_broadcasts(stride: int, sectors: int, lines: int) -> None:
    counts = counted(STRIDED, 1000, numbers=(stride,))
    assert column(counts, "ld.global", "sectors", "requests") == [sectors]
    assert column(counts, "ld.global", "lines", "requests") == [lines]


@pytest.mark.parametrize(("pitch", "wavefronts"), [(32, 32), (33, 1), (34, 2)])
def test_the_conflicts_of_a_transpose(pitch: int, wavefronts: int) -> None:
    counts = counted(TRANSPOSE.replace("PITCH", str(pitch)), (32, 32, 1), words=1 << 20)
    assert set(column(counts, "ld.shared", "shared_wavefronts", "shared_requests")) == {wavefronts}
    assert set(column(counts, "st.shared", "shared_wavefronts", "shared_requests")) == {1}
    assert sum(column(counts, "st.global", "sectors")) == 1024 * 1024 / 8


def test_a_triangle_has_a_class_for_each_cta() -> None:
    """Every CTA differs from its neighbour: all of them are found and run."""
    counts = counted(TRIANGLE, (64, 1, 1))
    assert len(counts.classes) == 64
    assert sum(column(counts, "ld.global", "executions")) == 8 * 64 * 65 / 2


def test_edges_of_a_ragged_grid() -> None:
    m, n = 4099, 5003
    counts = counted(RAGGED, (157, 513, 1), numbers=(m, n), words=1 << 25)
    assert counts.is_regular
    assert counts.ran_ctas < 1000
    first = column(counts, "ld.global", "executions")
    assert first == [157 * m]
    assert column(counts, "ld.global", "bytes") == pytest.approx([4 * m * n])


def test_data_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trip counts are in memory; a sample of the CTAs is close to their mean, and said to be a sample."""
    monkeypatch.setattr(count_module, "EVERY_CTA_S", 0.05)
    values = np.random.default_rng(3).integers(0, 9, 256 * 4096)
    counts = counted(HISTOGRAM, 4096, fill=values.tolist())
    assert not counts.is_regular
    most = values.reshape(-1, 32).max(axis=1).sum()
    atomics = sum(column(counts, "red.", "executions")) + sum(column(counts, "atom.", "executions"))
    assert atomics == pytest.approx(most, rel=0.03)


@pytest.mark.parametrize(
    ("source", "numbers"), [(COPY, (32 * 256 - 100,)), (STRIDED, (3,)), (TRIANGLE, ()), (TRANSPOSE, ())]
)
def test_scaled_counts_are_those_of_a_full_launch(source: str, numbers: tuple[int, ...]) -> None:
    source = source.replace("PITCH", "33")
    device = Emulator(Settings(counters=True, engine="numpy", counted_ctas=1 << 20))
    buffers = [device.allocate(4 << 20, name) for name in ("out", "in")]
    for buffer in buffers:
        device.write(buffer, np.zeros(1 << 20, np.uint32))
    kernel = device.load(ptx(f'extern "C" __global__ void k{source}'))
    full = device.launch(kernel, LaunchConfig((32, 1, 1), (256, 1, 1)), [*buffers, *numbers]).profile
    assert full is not None
    counts = count(launch_of(source, (32, 1, 1), numbers=numbers, words=1 << 20), load_machine("h100"))
    assert counts.executions.tolist() == full.columns["inst_executed"].tolist()
    memory = counts.memory
    for name, other in (("sectors", "global_sectors"), ("shared_wavefronts", "shared_wavefronts")):
        assert getattr(memory, name) == pytest.approx(full.columns[other])
    assert memory.requests == pytest.approx(full.columns["global_requests"])
