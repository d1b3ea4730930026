"""Requests and sectors of global and local memory on kernels that one can count by hand."""

from __future__ import annotations

import pytest

from tests.backends.emulator.counters.launches import counted, run

LOAD, STORE = "pipe_lsu_mem_global_op_ld", "pipe_lsu_mem_global_op_st"
STRIDED = (
    "(unsigned* out, unsigned* in, int stride, int shift) { int i = threadIdx.x; out[i] = in[i * stride + shift]; }"
)


def accesses(result, end: str) -> tuple[float, ...]:
    return counted(result, f"l1tex__t_requests_{end}", f"l1tex__t_sectors_{end}")


@pytest.mark.parametrize(
    ("stride", "sectors"), [(0, 1), (1, 4), (2, 8), (3, 12), (4, 16), (5, 20), (7, 28), (8, 32), (16, 32), (32, 32)]
)
def test_strided_loads_take_a_sector_for_every_32_bytes_that_they_span(stride: int, sectors: int) -> None:
    result = run(STRIDED, block=64, numbers=(stride, 0))
    assert accesses(result, LOAD) == (2, 2 * sectors)
    assert accesses(result, STORE) == (2, 8)
    assert result.counters[f"l1tex__average_t_sectors_per_request_{LOAD}.ratio"] == sectors


@pytest.mark.parametrize(("shift", "sectors"), [(0, 4), (1, 5), (4, 5), (7, 5), (8, 4)])
def test_a_misaligned_load_takes_one_sector_more(shift: int, sectors: int) -> None:
    assert accesses(run(STRIDED, numbers=(1, shift)), LOAD) == (1, sectors)


@pytest.mark.parametrize(
    ("kind", "sectors"), [("unsigned char", 1), ("short", 2), ("int", 4), ("int2", 8), ("int4", 16)]
)
def test_vectors_are_one_request_of_as_many_sectors_as_they_are_wide(kind: str, sectors: int) -> None:
    source = f"({kind}* out, {kind}* in) {{ out[threadIdx.x] = in[threadIdx.x]; }}"
    result = run(source, block=128)
    assert accesses(result, LOAD) == accesses(result, STORE) == (4, 4 * sectors)
    assert result.counters["smsp__sass_average_data_bytes_per_sector_mem_global_op_ld.pct"] == 100


def test_lanes_in_any_order_touch_the_same_sectors() -> None:
    source = "(unsigned* out, unsigned* in) { out[31 - threadIdx.x] = in[threadIdx.x ^ 21]; }"
    result = run(source)
    assert accesses(result, LOAD) == accesses(result, STORE) == (1, 4)


def test_only_lanes_that_take_part_count() -> None:
    source = "(unsigned* out, unsigned* in, int n) { if (threadIdx.x < n) out[threadIdx.x] = in[threadIdx.x * 8] + 1; }"
    result = run(source, block=96, numbers=(40,))
    assert accesses(result, LOAD) == (2, 40)
    assert accesses(result, STORE) == (2, 5)
    assert result.counters["smsp__sass_average_data_bytes_per_sector_mem_global_op_ld.pct"] == pytest.approx(12.5)


def test_atomics_are_reductions_where_nobody_wants_the_old_value() -> None:
    lost = run("(unsigned* out, unsigned* in) { atomicAdd(out + threadIdx.x / 2, 1); }", block=64)
    kept = run("(unsigned* out, unsigned* in) { in[threadIdx.x] = atomicAdd(out + threadIdx.x / 2, 1); }", block=64)
    red, atom = "pipe_lsu_mem_global_op_red", "pipe_lsu_mem_global_op_atom"
    assert accesses(lost, red) == accesses(kept, atom) == (2, 4)
    assert accesses(lost, atom) == accesses(kept, red) == (0, 0)
    assert counted(lost, "lts__t_sectors_op_red", "lts__t_sectors_op_atom") == (4, 0)
    assert counted(kept, "lts__t_sectors_op_red", "lts__t_sectors_op_atom") == (0, 4)
    assert (
        counted(lost, "smsp__inst_executed_op_global_red")
        == counted(kept, "smsp__inst_executed_op_global_atom")
        == (2,)
    )


def test_local_memory_is_interleaved_by_lane() -> None:
    """One word of 32 lanes is 128 bytes in a row: four sectors where all lanes use the same word, else more."""
    source = """(unsigned* out, unsigned* in, int a) {
        volatile unsigned t[64];
        t[a] = threadIdx.x; out[threadIdx.x] = t[(threadIdx.x & 1) + a]; }"""
    result = run(source, numbers=(3,))
    assert accesses(result, "pipe_lsu_mem_local_op_st") == (1, 4)
    assert accesses(result, "pipe_lsu_mem_local_op_ld") == (1, 8)


def test_cp_async_goes_to_the_l1_or_past_it() -> None:
    source = """(unsigned* out, unsigned* in) {{
        __shared__ __align__(16) unsigned t[128];
        unsigned to = __cvta_generic_to_shared(t + {words} * threadIdx.x);
        asm volatile("cp.async.{way}.shared.global [%0], [%1], {nbytes};" :: "r"(to), "l"(in + {words} * threadIdx.x));
        asm volatile("cp.async.wait_all;");
        __syncthreads(); out[threadIdx.x] = t[threadIdx.x]; }}"""
    near = run(source.format(way="ca", words=1, nbytes=4))
    far = run(source.format(way="cg", words=4, nbytes=16))
    sectors = "sm__sass_l1tex_t_sectors_pipe_lsu_mem_global_op_ldgsts_cache"
    assert counted(near, f"{sectors}_access", f"{sectors}_bypass") == (4, 0)
    assert counted(far, f"{sectors}_access", f"{sectors}_bypass") == (0, 16)
    passes = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ldgsts"
    assert counted(near, passes) + counted(far, passes) == (1, 4)
    assert counted(near, "smsp__inst_executed_op_ldgsts") == (1,)
