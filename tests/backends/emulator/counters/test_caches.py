"""The cache model: against a plain simulation of one access after the other, and on kernels with known traffic."""

from __future__ import annotations

from collections import OrderedDict, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.emulator.counters.caches import GROUPS, Cache, _spread, group_of
from backends.emulator.counters.sizes import CacheSizes, cache_sizes, machine_for
from backends.emulator.counters.stream import Stream
from backends.emulator.geometry import Geometry
from backends.machines import load_machine
from tests.backends.emulator.counters.launches import counted, run

ACCESSES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(1, 15), st.booleans(), st.integers(0, 1)), min_size=1, max_size=200
)


def plain(cache: Cache, accesses: list[tuple[int, int, bool, int]]) -> tuple[list[int], int]:
    """One access after the other: sets as ordered maps of line -> (valid, dirty), the least recently used first."""
    ways, allocates = cache.lines.shape[1], cache.allocates_writes
    sets: dict[tuple[int, int, int], OrderedDict[int, tuple[int, int]]] = defaultdict(OrderedDict)
    found, written_back = [], 0
    for line, sectors, writes, which in accesses:
        group = int(group_of(np.array([line]))[0])
        place = int(_spread(np.array([line // GROUPS]), cache.sets_per_group)[0])
        lines = sets[which, group, place]
        valid, dirty = lines.pop(line, (None, 0))
        found.append((valid or 0) & sectors)
        if valid is None and writes and not allocates:
            continue
        if valid is None and len(lines) == ways:
            written_back += lines.popitem(last=False)[1][1].bit_count()
        lines[line] = ((valid or 0) | sectors, dirty | sectors if writes and allocates else dirty)
    return found, written_back


@given(ACCESSES, st.booleans(), st.sampled_from([4096, 8192, 65536]), st.integers(1, 3))
def test_all_sets_at_once_are_one_access_after_the_other(accesses, allocates: bool, nbytes: int, parts: int) -> None:
    cache = Cache(nbytes, 2, allocates)
    lines, sectors, writes, which = (np.array(column) for column in zip(*accesses, strict=True))
    sectors = sectors.astype(np.uint8)
    found = [
        cache.access(lines[part], sectors[part], writes[part], which[part])
        for part in np.array_split(np.arange(len(lines)), parts)
    ]
    wanted, written_back = plain(cache, accesses)
    assert np.concatenate(found).tolist() == wanted
    assert cache.written_back == written_back


def test_a_cache_holds_what_fits_and_no_more() -> None:
    lines = np.arange(2048)
    every, reads = np.full(2048, 15, np.uint8), np.zeros(2048, np.bool_)
    for capacity, hits in ((2048, 2048), (1024, 0)):
        cache = Cache(capacity * 128, 1, True)
        assert not cache.access(lines, every, reads).any()
        assert np.count_nonzero(cache.access(lines, every, reads)) == hits


def test_consecutive_lines_spread_over_all_groups() -> None:
    assert np.bincount(group_of(np.arange(4096, 8192))).tolist() == [4096 // GROUPS] * GROUPS
    strided = np.bincount(group_of(np.arange(4096) * 1024), minlength=GROUPS)
    assert strided.min() > 0 and strided.max() < 3 * 4096 // GROUPS


def test_what_a_kernel_reads_twice_is_in_the_l1_the_second_time() -> None:
    source = """(unsigned* out, unsigned* in) {
        unsigned i = threadIdx.x + blockIdx.x * 256, a = in[i]; __syncthreads();
        out[i] = a + ((volatile unsigned*)in)[i] + in[i ^ 32]; }"""
    result = run(source, grid=4, block=256)
    loads = "l1tex__t_sectors_pipe_lsu_mem_global_op_ld"
    # The third load hits what the first has brought; the volatile one goes past the L1 and hits in the L2.
    assert counted(result, loads, f"{loads}_lookup_hit") == (3 * 128, 128)
    assert counted(result, "lts__t_sectors_op_read", "lts__t_sectors_op_read_lookup_hit") == (256, 128)
    assert counted(result, "dram__bytes_read", "dram__bytes_write", "emulated__l2_dirty_bytes") == (4096, 0, 4096)
    assert result.counters["l1tex__t_sector_pipe_lsu_mem_global_op_ld_hit_rate.pct"] == pytest.approx(100 / 3)


def test_ctas_share_an_l1_when_they_are_on_one_sm() -> None:
    """A6000: 84 SMs, so that CTAs 0 and 84 share one."""
    source = "(unsigned* out, unsigned* in) { out[threadIdx.x + blockIdx.x * 32] = in[threadIdx.x]; }"
    for grid, hits in ((84, 0), (85, 4), (168, 84 * 4)):
        result = run(source, grid=grid, machine="a6000")
        assert counted(result, "l1tex__t_sectors_pipe_lsu_mem_global_op_ld_lookup_hit") == (hits,)
        assert counted(result, "lts__t_sectors_op_read", "dram__bytes_read") == (4 * grid - hits, 128)


def test_what_does_not_fit_the_l2_is_written_back() -> None:
    """A6000: 6 MiB of L2. 8 MiB are written twice, so that all but the last 6 have gone when the kernel ends."""
    source = """(uint4* out, uint4* in, int rounds) {
        for (int k = 0; k < rounds; k++)
            for (int i = threadIdx.x + blockIdx.x * 256; i < 524288; i += 256 * 64) out[i] = in[threadIdx.x]; }"""
    result = run(source, grid=64, block=256, numbers=(2,), words=1 << 21, machine="a6000")
    written, dirty = counted(result, "dram__bytes_write", "emulated__l2_dirty_bytes")
    assert written + dirty == pytest.approx(16 << 20, rel=0.02)
    assert dirty == pytest.approx(6 << 20, rel=0.01)
    assert counted(result, "lts__t_sectors_op_write") == (2 * 8 * 1024 * 1024 / 32,)


def test_a_long_stream_is_sampled_without_bias() -> None:
    sizes = CacheSizes("small", 32768, 1 << 20, 4, 64)
    generator = np.random.default_rng(0)
    whole, part = (Stream([("ld", "global")], sizes, limit) for limit in (1 << 30, 2000))
    for step in range(60):
        sectors = np.sort(generator.integers(0, 50_000, 1000)) if step % 2 else np.arange(step * 500, step * 500 + 1000)
        for stream in (whole, part):
            stream.add(0, step, "global", "load", sectors, sectors % 64, np.arange(1000) // 32)
    for stream in (whole, part):
        stream.flush()
    assert part.is_sampled and not whole.is_sampled
    assert part.columns["l1_sectors"] == whole.columns["l1_sectors"] == 60_000
    for name in ("l1_load_hits", "l2_read_sectors", "l2_read_hits", "dram_read_sectors"):
        assert part.columns[name][0] == pytest.approx(whole.columns[name][0], rel=0.1, abs=600), name


@pytest.mark.parametrize(
    ("architecture", "name"), [(80, "a100"), (86, "a6000"), (89, "rtx4090"), (90, "h100"), (103, "b200"), (75, "a100")]
)
def test_each_architecture_has_a_machine(architecture: int, name: str) -> None:
    assert machine_for(architecture).name == name


def test_shared_memory_takes_its_part_of_the_l1() -> None:
    """H100: 256 KiB; each CTA takes its shared memory and 1 KiB. Two fit an SM, if there are as many."""
    sizes = cache_sizes(load_machine("h100"), Geometry((264, 1, 1), (128, 1, 1), shared_bytes=100 << 10))
    assert (sizes.l1_bytes, sizes.wave_ctas) == ((256 - 202) << 10, 264)
    sizes = cache_sizes(load_machine("h100"), Geometry((132, 1, 1), (128, 1, 1), shared_bytes=100 << 10))
    assert (sizes.l1_bytes, sizes.wave_ctas) == ((256 - 101) << 10, 132)
    sizes = cache_sizes(load_machine("h100"), Geometry((99999, 1, 1), (1024, 1, 1)))
    assert (sizes.l1_bytes, sizes.wave_ctas) == (256 << 10, 264)
