"""Unroll a counted loop by a pragma: fewer branches, and loads of several iterations in flight at once.

Precondition: a `for` loop with no pragma before it, no barrier in it, and no loop inside.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(float* x, int n) {
...     for (int i = threadIdx.x; i < n; i += 256) x[i] += 1.0f;
... }''', "inout:x n", detail="4")
__global__ void f(float* x, int n) {
    #pragma unroll 4
    for (int i = threadIdx.x; i < n; i += 256) x[i] += 1.0f;
}
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_FACTORS = (4, 8, 2, 16)


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    loops = [n for n in walk(kernel.body, "for_statement") if _is_plain(kernel, n)]
    for number, loop in enumerate(loops):
        indent = " " * loop.start_point.column
        for factor in _FACTORS:
            place = loop.start_byte
            text = kernel.source.spliced((place, place, f"\n{indent}#pragma unroll {factor}\n{indent}"))
            yield Rewrite(f"{number}={factor}", text)


def _is_plain(kernel: CudaKernel, loop: Node) -> bool:
    before = loop.prev_sibling
    while before is not None and before.type == "comment":
        before = before.prev_sibling
    has_pragma = before is not None and before.type == "preproc_call"
    inner = sum(1 for _ in walk(loop, "for_statement", "while_statement", "do_statement"))
    return not has_pragma and inner == 1 and "__syncthreads" not in kernel.source.names(loop)


RULE = CudaRule(
    "unroll",
    frozenset({"latency", "issue"}),
    "An unrolled loop has fewer branches, and the loads of several iterations are in flight at once.",
    _find,
)
