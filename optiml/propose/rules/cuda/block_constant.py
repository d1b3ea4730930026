"""Put the block's size into the kernel as a number: the compiler folds it into addresses, shifts and loop counts.

Precondition: the block size is known without the sizes, and the kernel uses `blockDim`.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(float* x, int n) {
...     for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] += 1.0f;
... }''', "inout:x n", launch_block=[128])
__global__ void f(float* x, int n) {
    for (int i = threadIdx.x; i < n; i += 128) x[i] += 1.0f;
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block, source = kernel.unit.block(), kernel.source
    if block is None:
        return
    known = {f"blockDim.{axis}": str(extent) for axis, extent in zip("xyz", block, strict=True)}
    uses = [n for n in walk(kernel.body, "field_expression") if source.of(n) in known]
    if uses:
        yield Rewrite("x".join(map(str, block)), source.replaced(*((n, known[source.of(n)]) for n in uses)))


RULE = CudaRule(
    "block-constant",
    frozenset({"issue", "alu"}),
    "With the block's size as a number, divisions become shifts and loops have known counts.",
    _find,
)
