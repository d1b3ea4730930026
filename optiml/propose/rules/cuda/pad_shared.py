"""Pad the rows of a tile in shared memory, so that a column of it lies in different banks.

Precondition: an array of two or more dimensions in shared memory whose row is a multiple of 8 words, and which is used
through its subscripts alone. Rows that are read as vectors are padded by a whole vector.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y) {
...     __shared__ float tile[32][32];
...     tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];
...     __syncthreads();
...     y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
... }''', "in:x out:y", launch_block=[32, 32])
__global__ void f(const float* x, float* y) {
    __shared__ float tile[32][32 + 1];
    tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];
    __syncthreads();
    y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.shared_arrays import SharedArray, shared_arrays
from optiml.propose.rules.rewrite import Rewrite

# Rows of so many words, or of a multiple, put neighbours in a column into few of the 32 banks.
_FEW_BANKS = 8


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for array in shared_arrays(kernel):
        row = kernel.constant(kernel.source.of(array.extents[-1])) if len(array.extents) > 1 else None
        if row is None or row % _FEW_BANKS or array.uses is None or array.type not in ("float", "int", "unsigned"):
            continue
        extent = array.extents[-1]
        pad = 4 if _has_vectors(kernel, array) else 1
        yield Rewrite(f"{array.name}+{pad}", kernel.source.replaced((extent, f"{kernel.source.of(extent)} + {pad}")))


def _has_vectors(kernel: CudaKernel, array: SharedArray) -> bool:
    parents = [use.parent for use in array.uses or ()]
    return any(p is not None and kernel.source.of(p).startswith("&") for p in parents)


RULE = CudaRule(
    "pad-shared",
    frozenset({"shared"}),
    "With rows one word longer, the elements of a column lie in different banks.",
    _find,
)
