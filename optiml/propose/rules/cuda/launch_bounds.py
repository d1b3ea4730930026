"""Tell the compiler the block size, so that it can spend registers, or must save them for more blocks on an SM.

Precondition: the block size is known without the sizes, and the kernel has no bounds yet.

>>> from optiml.propose.rules.example import show
>>> show(RULE, "__global__ void f(float* x) { x[threadIdx.x] = 1.0f; }", "out:x", launch_block=[128])
__global__ void __launch_bounds__(128) f(float* x) { x[threadIdx.x] = 1.0f; }
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

# Threads of an SM on every architecture since sm_80 but the consumer ones, which have 1536. Source: CUDA programming
# guide, technical specifications per compute capability.
_SM_THREADS = 1536
_MOST_BLOCKS = 8


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block = kernel.unit.block()
    if block is None or "__launch_bounds__" in kernel.source.of(kernel.function):
        return
    threads = prod(block)
    declarator = kernel.function.child_by_field_name("declarator")
    if declarator is None:
        return
    for blocks in (0, 2, 4, _MOST_BLOCKS):
        if blocks * threads <= _SM_THREADS:
            bounds = f"{threads}, {blocks}" if blocks else f"{threads}"
            place = declarator.start_byte
            text = kernel.source.spliced((place, place, f"__launch_bounds__({bounds}) "))
            yield Rewrite(bounds.replace(", ", "x"), text)


RULE = CudaRule(
    "launch-bounds",
    frozenset({"occupancy", "latency"}),
    "With the block size known, the compiler gives each thread as many registers as the blocks wanted leave it.",
    _find,
)
