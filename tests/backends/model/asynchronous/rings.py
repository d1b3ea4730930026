"""A producer that copies in bulk and a consumer that computes, around a ring of slots, in CUDA, and their cycles."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from backends.compilers.artifact import Compiled
from backends.compilers.nvrtc import compile_source
from backends.emulator.arguments import packed
from backends.emulator.geometry import Geometry
from backends.machines.loader import load_machine
from backends.model.asynchronous.match import Asynchronous, asynchronous
from backends.model.counts.count import count
from backends.model.counts.launch import Launch
from backends.model.counts.loaded import load_slice
from backends.model.matching.costs import access_costs
from backends.model.matching.lines import Lines
from backends.model.matching.match import match
from backends.model.parameters import SmParameters
from backends.model.sm import SmResult, simulate
from backends.sass.function import Function, read_sass

pytest.importorskip("cuda.bindings")

HELPERS = r"""
__device__ unsigned at(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }
__device__ void init(void* b, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(at(b)), "r"(count) : "memory");
}
__device__ void arrive(void* b) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(at(b)) : "memory");
}
__device__ void expect(void* b, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at(b)), "r"(bytes) : "memory");
}
__device__ void copy(void* to, const void* from, int bytes, void* b) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 ::"r"(at(to)), "l"(from), "r"(bytes), "r"(at(b)) : "memory");
}
__device__ void wait(void* b, unsigned parity) {
    asm volatile("{\n.reg .pred done;\nagain:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n}" ::"r"(at(b)), "r"(parity) : "memory");
}
__device__ bool test(void* b, unsigned parity) {
    unsigned done;
    asm volatile("{\n.reg .pred done;\nmbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, done;\n}" : "=r"(done) : "r"(at(b)), "r"(parity) : "memory");
    return done;
}
using Barrier = unsigned long long;
"""

# Warp 0 copies BYTES for each turn, warp 1 makes a chain of CHAIN dependent additions of it.
PRODUCER_CONSUMER = r"""
extern "C" __global__ void k(float* out, const char* in, int turns) {
    extern __shared__ __align__(128) char tiles[];
    __shared__ __align__(8) Barrier full[STAGES], empty[STAGES];
    if (threadIdx.x == 0)
        for (int s = 0; s < STAGES; ++s) { init(full + s, 1); init(empty + s, 1); }
    __syncthreads();
    if (threadIdx.x < 32) {
        if (threadIdx.x > 0) return;
#pragma unroll PRODUCER_UNROLL
        for (int i = 0; i < turns; ++i) {
            int s = i % STAGES;
            wait(empty + s, i / STAGES & 1 ^ 1);
            expect(full + s, BYTES);
            copy(tiles + s * BYTES, in, BYTES, full + s);
        }
        return;
    }
    float sum = 0;
    float more = threadIdx.x;
#pragma unroll 1
    for (int i = 0; i < turns; ++i) {
        int s = i % STAGES;
        wait(full + s, i / STAGES & 1);
#pragma unroll
        for (int j = 0; j < CHAIN; ++j) asm volatile("add.f32 %0, %0, %1;" : "+f"(sum) : "f"(more));
        if (threadIdx.x == 32) arrive(empty + s);
    }
    out[threadIdx.x] = sum;
}
"""
BLOCK = 64


@cache
def compiled(source: str, defines: str = "") -> Compiled:
    """Of a kernel `k`, for Hopper."""
    return compile_source(defines + HELPERS + source, "k", "sm_90a")


def launch_of(source: str, defines: str, *numbers: int, block: int = BLOCK, smem_bytes: int = 0) -> Launch:
    """One CTA of `k(out, in, numbers...)`."""
    loaded = load_slice(compiled(source, defines).ptx, "k")
    buffers = [loaded.arena.allocate(1 << 20, name, poison=False).address for name in ("out", "in")]
    values = [*(np.uint64(b) for b in buffers), *(np.int32(n) for n in numbers)]
    parameters = packed(loaded.program.entry, values)
    shared_bytes = loaded.program.static_shared_bytes + smem_bytes
    return Launch(loaded, Geometry((1, 1, 1), (block, 1, 1), (1, 1, 1), shared_bytes, smem_bytes), parameters)


def machine_code(source: str, defines: str) -> Function:
    """As read from the cubin."""
    found = compiled(source, defines)
    assert found.cubin is not None
    return read_sass(found.cubin, "k", "sm_90a")


def simulated(
    source: str, defines: str, *numbers: int, extrapolate: bool = False, smem_bytes: int = 0
) -> tuple[Asynchronous, SmResult, SmParameters]:
    """One CTA on an SM of an H100 that is full."""
    machine = load_machine("h100")
    launch = launch_of(source, defines, *numbers, smem_bytes=smem_bytes)
    function, counts = machine_code(source, defines), count(launch, machine)
    found = asynchronous(function, launch)
    matched = match(function, counts, found.late)
    costs = access_costs(function, Lines.of(counts.sites), counts.memory).by_instruction
    parameters = SmParameters(machine)
    ctas = [matched.classes[0].warps]
    result = simulate(
        function, ctas, costs, parameters, barriers=found.barriers, shapes=found.shapes, extrapolate=extrapolate
    )
    return found, result, parameters
