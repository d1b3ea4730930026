"""Give each row that a thread works on to a warp: lanes take neighbouring elements, and merge sums by shuffles.

Precondition: a one-dimensional kernel whose thread has one index, guarded by an early return; its loops go from 0 in
steps of 1 and either reduce into a variable with `+=` (from 0) or `fmaxf` / `fminf`, or write one element each. What
is written outside of the loops is written by the first lane. Blocks are whole warps; the grid has 32 times as many.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* a, const float* x, float* y, int rows, int cols) {
...     int row = blockIdx.x * blockDim.x + threadIdx.x;
...     if (row >= rows) return;
...     float sum = 0.0f;
...     for (int i = 0; i < cols; ++i) sum += a[row * cols + i] * x[i];
...     y[row] = sum;
... }''', "in:a in:x out:y rows cols")
__global__ void f(const float* a, const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    int lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 32) sum += a[row * cols + i] * x[i];
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    if (lane == 0) y[row] = sum;
}
// launch.grid = ['32 * (cdiv(N, 256))']
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, assignment, declared, loop_of, statements, subscript
from optiml.propose.rules.rewrite import Rewrite

_LANES = 32
_INDEX = "blockIdx.x*blockDim.x+threadIdx.x"
_MERGE = """
    for (int {d} = 16; {d} > 0; {d} /= 2) {sum} = {merged};"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block, nodes = kernel.unit.block(), statements(kernel.body)
    if block is None or block[1:] != (1, 1) or block[0] % _LANES or len(nodes) < 3 or kernel.has("__syncthreads"):
        return
    index = declared(kernel.source, nodes[0])
    if index is None or index[1].replace(" ", "") != _INDEX or not _is_early_return(kernel, nodes[1]):
        return
    changes = _changes(kernel, nodes[2:], kernel.fresh("lane"))
    if changes is None:
        return
    lane = f"int {index[0]} = ({index[1]}) / {_LANES};\n    int {kernel.fresh('lane')} = threadIdx.x % {_LANES};"
    grid = kernel.unit.extents("grid")
    yield Rewrite(
        index[0], kernel.source.replaced((nodes[0], lane), *changes), {"launch.grid": [f"{_LANES} * ({grid[0]})"]}
    )


def _is_early_return(kernel: CudaKernel, node: Node) -> bool:
    then = node.child_by_field_name("consequence")
    return node.type == "if_statement" and then is not None and kernel.source.of(then).strip("{} ") == "return;"


def _changes(kernel: CudaKernel, nodes: list[Node], lane: str) -> list[tuple[Node, str]] | None:
    """What becomes of each statement; None where one is of no known kind."""
    changes: list[tuple[Node, str]] = []
    zeros = {d[0] for n in nodes if (d := declared(kernel.source, n)) and d[1] in ("0", "0.0f", "0.f")}
    for node in nodes:
        loop = loop_of(kernel.source, node)
        if loop is not None:
            changed = _strided(kernel, loop, lane, zeros)
            if changed is None:
                return None
            changes.append((node, changed))
        elif assignment(kernel.source, node) is not None and subscript(kernel.source, _left(kernel, node)):
            changes.append((node, f"if ({lane} == 0) {kernel.source.of(node)}"))
        elif declared(kernel.source, node) is None:
            return None
    return changes if any(n.type == "for_statement" for n, _ in changes) else None


def _left(kernel: CudaKernel, node: Node) -> Node:
    found = assignment(kernel.source, node)
    assert found is not None, "asked before"
    return found[0]


def _strided(kernel: CudaKernel, loop: Loop, lane: str, zeros: set[str]) -> str | None:
    """The loop over every 32nd element, and the shuffles that merge what it reduced."""
    body = statements(loop.body)
    if (loop.start, loop.step) != ("0", "1") or len(body) != 1 or any(walk(loop.body, "for_statement")):
        return None
    update = assignment(kernel.source, body[0])
    if update is None:
        return None
    header = f"for (int {loop.var} = {lane}; {loop.var} < {loop.stop}; {loop.var} += {_LANES}) "
    strided = header + kernel.source.of(loop.body)
    if subscript(kernel.source, update[0]) is not None:
        return strided if update[1] == "=" else None
    merged = _merged(kernel, update, zeros, kernel.fresh("d"))
    return strided + merged if merged else None


def _merged(kernel: CudaKernel, update: tuple[Node, str, Node], zeros: set[str], d: str) -> str | None:
    total = kernel.source.of(update[0])
    other = f"__shfl_xor_sync(0xffffffffu, {total}, {d})"
    if update[1] == "+=" and total in zeros:
        return _MERGE.format(d=d, sum=total, merged=f"{total} + {other}")
    call = update[2]
    name = kernel.source.of(call.children[0]) if call.type == "call_expression" else ""
    if update[1] == "=" and name in ("fmaxf", "fminf") and total in kernel.source.names(call):
        return _MERGE.format(d=d, sum=total, merged=f"{name}({total}, {other})")
    return None


RULE = CudaRule(
    "warp-per-row",
    frozenset({"l1", "l2", "dram", "latency"}),
    "The lanes of a warp go along a row together: their loads fall into the same lines.",
    _find,
)
