"""Permute each row of a square tile in shared memory by its number: a column lies in different banks, without padding.

Precondition: an array of N x N words in shared memory, N a power of two of at most 32, used through its subscripts
alone.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y) {
...     __shared__ float tile[32][32];
...     tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];
...     __syncthreads();
...     y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
... }''', "in:x out:y", launch_block=[32, 32])
__global__ void f(const float* x, float* y) {
    __shared__ float tile[32][32];
    tile[threadIdx.y][(threadIdx.x) ^ (threadIdx.y)] = x[threadIdx.y * 32 + threadIdx.x];
    __syncthreads();
    y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][(threadIdx.y) ^ (threadIdx.x)];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import named, walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import subscript
from optiml.propose.rules.cuda.shared_arrays import shared_arrays
from optiml.propose.rules.rewrite import Rewrite

_SIDES = (8, 16, 32)
_RANK = 2


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for array in shared_arrays(kernel):
        sides = {kernel.constant(kernel.source.of(e)) for e in array.extents}
        if len(array.extents) != _RANK or len(sides) != 1 or not sides <= set(_SIDES) or not array.uses:
            continue
        if any(use.parent is not None and use.parent.type == "pointer_expression" for use in array.uses):
            continue
        yield Rewrite(array.name, kernel.source.replaced(*(_permuted(kernel, use) for use in array.uses)))


def _permuted(kernel: CudaKernel, use: Node) -> tuple[Node, str]:
    place = subscript(kernel.source, use)
    assert place is not None, "uses are subscripts"
    row, column = map(kernel.source.of, place[1])
    inner = next(walk(use.children[1], "subscript_argument_list"))
    return named(inner)[0], f"({column}) ^ ({row})"


RULE = CudaRule(
    "swizzle-shared",
    frozenset({"shared"}),
    "Each row permuted by its number: the elements of a column lie in different banks, and no memory is lost.",
    _find,
)
