"""Let fewer threads start a tree of sums: each adds up several elements while it loads.

Precondition: `s[t] = value` before a tree of sums in shared memory (see `reductions`), where t is `threadIdx.x`, and
the block is a power of two of at least 64 threads. Thread t takes over the elements t, t + B/F, t + 2B/F, ... of the
block.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y) {
...     __shared__ float s[256];
...     int t = threadIdx.x;
...     s[t] = x[blockIdx.x * blockDim.x + t];
...     __syncthreads();
...     for (int d = blockDim.x / 2; d > 0; d /= 2) {
...         if (t < d) s[t] += s[t + d];
...         __syncthreads();
...     }
...     if (t == 0) y[blockIdx.x] = s[0];
... }''', "in:x out:y", launch_block=[256])
__global__ void f(const float* x, float* y) {
    __shared__ float s[256];
    int t = threadIdx.x;
    float partial = 0.0f;
    for (int r = t; r < 256; r += 64) {  partial += x[blockIdx.x * 256 + r]; }
    s[t] = partial;
    __syncthreads();
    for (int d = blockDim.x / 2; d > 0; d /= 2) {
        if (t < d) s[t] += s[t + d];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = s[0];
}
// launch.block = [64]
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.contraction import substituted
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import assignment, declared, statements
from optiml.propose.rules.cuda.reductions import Tree, trees
from optiml.propose.rules.rewrite import Rewrite

_SMALLEST = 64
_FACTORS = (4, 2, 8)
_SUM = """\
{type} {part} = {neutral};
    for (int {r} = {t}; {r} < {block}; {r} += {threads}) {{ {before} {update}; }}
    {s}[{t}] = {part};"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block, tree = kernel.unit.block(), next(trees(kernel), None)
    if block is None or tree is None or block[0] & (block[0] - 1) or block[1:] != (1, 1):
        return
    fill = _fill(kernel, tree)
    if fill is None:
        return
    for factor in _FACTORS:
        if block[0] // factor >= _SMALLEST // 2:
            text = kernel.source.spliced(*_changes(kernel, tree, fill, block[0], factor))
            yield Rewrite(f"{factor}", text, {"launch.block": [block[0] // factor]})


def _fill(kernel: CudaKernel, tree: Tree) -> tuple[list[Node], Node] | None:
    """Declarations just before `s[t] = value`, and that statement, after that of t."""
    nodes = statements(kernel.body)
    if tree.node not in nodes:
        return None
    before = nodes[: nodes.index(tree.node)]
    while before and "__syncthreads" in kernel.source.names(before[-1]):
        before.pop()
    store = assignment(kernel.source, before[-1]) if before else None
    if store is None or kernel.source.of(store[0]) != f"{tree.array}[{tree.thread}]" or store[1] != "=":
        return None
    first = next((i for i, n in enumerate(before) if declared(kernel.source, n) == (tree.thread, "threadIdx.x")), None)
    if first is None and tree.thread != "threadIdx.x":
        return None
    start = len(before) - 1
    while start > (0 if first is None else first + 1) and declared(kernel.source, before[start - 1]):
        start -= 1
    return before[start:-1], before[-1]


def _changes(
    kernel: CudaKernel, tree: Tree, fill: tuple[list[Node], Node], block: int, factor: int
) -> list[tuple[int, int, str]]:
    between, last = fill
    store = assignment(kernel.source, last)
    assert store is not None, "asked before"
    r = kernel.fresh("r")
    logical = {n.start_byte: n for part in (*between, store[2]) for n in walk(part, "field_expression")}
    shift = {tree.thread: r}
    texts = [_logical(kernel, n, logical, block) for n in (*between, store[2])]
    *before, value = (substituted(t.replace("threadIdx.x", r), shift) for t in texts)
    names = {"s": tree.array, "t": tree.thread, "r": r, "part": kernel.fresh("partial"), "type": tree.type}
    rest = {"before": " ".join(before), "update": tree.update(names["part"], value), "neutral": tree.neutral}
    sum_text = _SUM.format(**names, **rest, block=block, threads=block // factor)
    start = between[0].start_byte if between else last.start_byte
    return [(start, last.end_byte, sum_text)]


def _logical(kernel: CudaKernel, node: Node, fields: dict[int, Node], block: int) -> str:
    """The text with the block's size before the change in place of `blockDim.x`."""
    inside = [n for n in fields.values() if node.start_byte <= n.start_byte < node.end_byte]
    changes = tuple((n.start_byte, n.end_byte, str(block)) for n in inside if kernel.source.of(n) == "blockDim.x")
    return kernel.source.spliced_within(node.start_byte, node.end_byte, changes)


RULE = CudaRule(
    "add-on-load",
    frozenset({"barrier", "latency", "issue"}),
    "Fewer threads, each of which adds up several elements as it loads them: a shorter tree, more loads in flight.",
    _find,
)
