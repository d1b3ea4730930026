"""Wavefronts and bank conflicts of shared memory on kernels that one can count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.emulator.counters.banks import Wavefronts, wavefronts
from tests.backends.emulator.counters.launches import counted, run

PASSES, CONFLICTS = "l1tex__data_pipe_lsu_wavefronts_mem_shared", "l1tex__data_bank_conflicts_pipe_lsu_mem_shared"
LANES = np.arange(32)


def of(result, operation: str) -> tuple[float, ...]:
    return counted(result, f"{PASSES}_op_{operation}", f"{CONFLICTS}_op_{operation}")


TRANSPOSE = """(unsigned* out, unsigned* in) {{
    __shared__ unsigned t[32][{width}];
    t[threadIdx.y][threadIdx.x] = in[threadIdx.y * 32 + threadIdx.x];
    __syncthreads();
    out[threadIdx.y * 32 + threadIdx.x] = t[threadIdx.x][threadIdx.y]; }}"""


@pytest.mark.parametrize(("width", "ways"), [(32, 32), (33, 1), (34, 2), (36, 4), (40, 8), (48, 16)])
def test_a_transpose_conflicts_unless_padded(width: int, ways: int) -> None:
    result = run(TRANSPOSE.format(width=width), block=(32, 32, 1))
    assert of(result, "st") == (32, 0)
    assert of(result, "ld") == (32 * ways, 32 * (ways - 1))
    assert counted(result, PASSES, CONFLICTS) == (32 + 32 * ways, 32 * (ways - 1))
    assert counted(result, "smsp__inst_executed_op_shared_ld", "smsp__inst_executed_op_shared_st") == (32, 32)


def test_a_transpose_without_shared_memory_pays_in_sectors() -> None:
    source = (
        "(unsigned* out, unsigned* in) { out[threadIdx.x * 32 + threadIdx.y] = in[threadIdx.y * 32 + threadIdx.x]; }"
    )
    result = run(source, block=(32, 32, 1))
    end = "l1tex__t_sectors_pipe_lsu_mem_global_op"
    assert counted(result, f"{end}_ld", f"{end}_st", PASSES) == (32 * 4, 32 * 32, 0)


@pytest.mark.parametrize(("kind", "passes"), [("unsigned char", 1), ("short", 1), ("int", 1), ("int2", 2), ("int4", 4)])
def test_vectors_take_a_pass_for_every_128_bytes(kind: str, passes: int) -> None:
    source = f"""({kind}* out, {kind}* in) {{
        __shared__ {kind} t[64];
        t[threadIdx.x] = in[threadIdx.x]; __syncthreads(); out[threadIdx.x] = t[threadIdx.x ^ 32]; }}"""
    result = run(source, block=64)
    assert of(result, "ld") == of(result, "st") == (2 * passes, 0)


def test_one_word_for_all_lanes_is_one_pass() -> None:
    source = """(unsigned* out, unsigned* in) {
        __shared__ unsigned t[64];
        t[threadIdx.x] = in[threadIdx.x]; __syncthreads(); out[threadIdx.x] = t[in[0]] + t[33 + threadIdx.x / 32]; }"""
    assert of(run(source, block=64), "ld") == (4, 0)


def test_atomics_on_one_word_take_turns() -> None:
    source = """(unsigned* out, unsigned* in) {{
        __shared__ unsigned t[32];
        t[threadIdx.x] = 0; __syncthreads(); atomicAdd(t + threadIdx.x / {share}, 1); __syncthreads();
        out[threadIdx.x] = t[threadIdx.x]; }}"""
    for share in (1, 4, 32):
        result = run(source.format(share=share))
        assert counted(result, f"{PASSES}_op_atom", f"{PASSES}_op_red") in ((share, 0), (0, share))


@pytest.mark.parametrize(("row_bytes", "ways"), [(16, 1), (32, 2), (64, 4), (128, 8), (144, 1)])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix_reads_eight_rows_in_a_pass(row_bytes: int, ways: int, count: int) -> None:
    registers = ", ".join(f"%{i}" for i in range(count))
    outputs = ", ".join(f'"=r"(r[{i}])' for i in range(count))
    source = f"""(unsigned* out, unsigned* in) {{
        __shared__ __align__(16) unsigned char t[32 * {row_bytes}];
        unsigned r[4] = {{}}, at = __cvta_generic_to_shared(t + threadIdx.x * {row_bytes});
        t[threadIdx.x] = in[threadIdx.x]; __syncthreads();
        asm volatile("ldmatrix.sync.aligned.m8n8.x{count}.shared.b16 {{{{{registers}}}}}, [%{count}];"
                     : {outputs} : "r"(at));
        out[threadIdx.x] = r[0] + r[1] + r[2] + r[3]; }}""".replace("{{", "{").replace("}}", "}")
    result = run(source)
    assert of(result, "ld") == (count * ways, count * (ways - 1))
    assert counted(result, "smsp__inst_executed_op_ldsm", "smsp__inst_executed_op_shared_ld") == (1, 0)


def test_a_load_shared_by_neighbours_does_two_parts_at_once() -> None:
    assert wavefronts(LANES // 2 * 16, 16) == (2, 0)
    assert wavefronts(LANES // 2 * 16, 16, "store") == (4, 0)
    assert wavefronts(LANES // 4 * 8 + LANES % 2 * 1024, 8) == (2, 1)
    assert wavefronts(LANES * 0, 16) == (2, 0)


def test_idle_quarters_take_no_pass() -> None:
    assert wavefronts(np.where(LANES < 8, LANES * 16, -1), 16) == (1, 0)
    assert wavefronts(np.full(32, -1), 4) == (0, 0)


@given(
    st.lists(st.integers(0, 255), min_size=32, max_size=32),
    st.sampled_from([4, 8, 16]),
    st.sampled_from([0, 128, 4096]),
)
def test_counting_many_warps_is_counting_each(places: list[int], nbytes: int, base: int) -> None:
    """The quick way for all warps agrees with the plain one, wherever shared memory the pattern lies."""
    one = np.array(places) * nbytes
    active = np.array(places) % 5 != 0
    flat = np.stack((one, one + base, one[::-1]))
    masks = np.stack((active, active, active[::-1]))
    passes, conflicts = Wavefronts().count(flat, nbytes, masks, "store")
    wanted = [wavefronts(np.where(m, f, -1), nbytes, "store") for f, m in zip(flat, masks, strict=True)]
    assert list(zip(passes, conflicts, strict=True)) == wanted
