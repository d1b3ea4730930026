"""Sum a row and its squares in one pass, relative to the row's first element, so that no digits cancel.

Precondition: a loop that only does `sum += value`, then a mean `sum / count` that is not changed any more, then a
loop with the same header that only does `squares += (value - mean) * (value - mean)`; sums merged by shuffles after
each loop, or not at all. With d = value - shift, the squares are sum(d^2) - count (mean - shift)^2. Source: Chan,
Golub and LeVeque, Algorithms for computing the sample variance, 1983 (shifted data).

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int row = threadIdx.x;
...     float sum = 0.0f;
...     for (int i = 0; i < n; ++i) sum += x[row * n + i];
...     float mean = sum / n;
...     float squares = 0.0f;
...     for (int i = 0; i < n; ++i) squares += (x[row * n + i] - mean) * (x[row * n + i] - mean);
...     y[row] = squares;
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    int row = threadIdx.x;
    float sum = 0.0f;
    float shift = n > 0 ? x[row * n + 0] : 0.0f;
    float squares = 0.0f;
    for (int i = 0; i < n; ++i) {
        float d = x[row * n + i] - shift;
        sum += x[row * n + i];
        squares += d * d;
    }
    float mean = sum / n;
    squares -= n * (mean - shift) * (mean - shift);
    y[row] = squares;
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.contraction import substituted
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, assignment, declared, loop_of, statements
from optiml.propose.rules.rewrite import Rewrite

_SHUFFLE = "__shfl_xor_sync"
_START = """\
float {shift} = {stop} > 0 ? {first} : 0.0f;
    float {squares} = 0.0f;
    """
_BODY = """{{
        float {d} = {value} - {shift};
        {sum} += {value};
        {squares} += {d} * {d};
    }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for block in walk(kernel.body, "compound_statement"):
        nodes = statements(block)
        for start, node in enumerate(nodes):
            loop = loop_of(kernel.source, node)
            text = _fused(kernel, nodes[start:], loop) if loop is not None else None
            if text is not None:
                yield Rewrite(f"{start}", kernel.source.spliced(*text))


def _fused(kernel: CudaKernel, nodes: list[Node], loop: Loop) -> list[tuple[int, int, str]] | None:
    source, update = kernel.source, _update(kernel, loop)
    at = 1 + (len(nodes) > 1 and _SHUFFLE in source.names(nodes[1]))
    mean = declared(source, nodes[at]) if len(nodes) > at + 2 and update else None
    squares = declared(source, nodes[at + 1]) if mean is not None else None
    second = loop_of(source, nodes[at + 2]) if squares is not None else None
    if update is None or mean is None or squares is None or second is None:
        return None
    total, value = source.of(update[0]), source.of(update[2])
    if not re.fullmatch(rf"{total}\s*/\s*[\w.]+", mean[1]) or not _is_square(
        kernel, second, squares[0], value, mean[0]
    ):
        return None
    if (loop.var, loop.start, loop.stop, loop.step) != (second.var, second.start, second.stop, second.step):
        return None
    shift, names = kernel.fresh("shift"), {"sum": total, "squares": squares[0], "value": value, "d": kernel.fresh("d")}
    first = substituted(value, {loop.var: "0"})
    start = _START.format(shift=shift, stop=loop.stop, first=first, squares=squares[0])
    count = mean[1].rpartition("/")[2].strip()
    end = f"{squares[0]} -= {count} * ({mean[0]} - {shift}) * ({mean[0]} - {shift});"
    return [
        (loop.node.start_byte, loop.node.start_byte, start),
        (loop.body.start_byte, loop.body.end_byte, _BODY.format(shift=shift, **names)),
        (nodes[at + 1].start_byte, nodes[at + 1].end_byte, ""),
        (second.node.start_byte, second.node.end_byte, ""),
        (nodes[_end(kernel, nodes, at + 2)].end_byte,) * 2 + (f"\n    {end}",),
    ]


def _end(kernel: CudaKernel, nodes: list[Node], at: int) -> int:
    """The last statement of the second loop and of its shuffles."""
    return at + int(len(nodes) > at + 1 and _SHUFFLE in kernel.source.names(nodes[at + 1]))


def _update(kernel: CudaKernel, loop: Loop) -> tuple[Node, str, Node] | None:
    """`sum += value` as the whole body."""
    body = statements(loop.body)
    update = assignment(kernel.source, body[0]) if len(body) == 1 else None
    return update if update is not None and update[1] == "+=" and update[0].type == "identifier" else None


def _is_square(kernel: CudaKernel, loop: Loop, squares: str, value: str, mean: str) -> bool:
    update = _update(kernel, loop)
    if update is None or kernel.source.of(update[0]) != squares:
        return False
    text, distance = (re.sub(r"\s", "", t) for t in (kernel.source.of(update[2]), f"({value}-{mean})"))
    return text == f"{distance}*{distance}"


RULE = CudaRule(
    "one-pass-variance",
    frozenset({"dram", "l2", "l1", "latency"}),
    "Sum and sum of squares come out of one pass over the row: it is read once less.",
    _find,
)
