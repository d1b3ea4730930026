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

from collections.abc import Iterator

from optiml.propose.rules.cuda.contraction import substituted
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.variance import Moments, moments
from optiml.propose.rules.rewrite import Rewrite

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
    for place, found in moments(kernel):
        yield Rewrite(f"{place}", kernel.source.spliced(*_fused(kernel, found)))


def _fused(kernel: CudaKernel, m: Moments) -> list[tuple[int, int, str]]:
    shift, loop = kernel.fresh("shift"), m.first
    start = _START.format(shift=shift, stop=loop.stop, first=substituted(m.value, {loop.var: "0"}), squares=m.squares)
    body = _BODY.format(shift=shift, sum=m.total, squares=m.squares, value=m.value, d=kernel.fresh("d"))
    end = f"{m.squares} -= {m.count} * ({m.mean} - {shift}) * ({m.mean} - {shift});"
    return [
        (loop.node.start_byte, loop.node.start_byte, start),
        (loop.body.start_byte, loop.body.end_byte, body),
        (m.declarations[1].start_byte, m.declarations[1].end_byte, ""),
        (m.second.node.start_byte, m.second.node.end_byte, ""),
        (m.end_byte, m.end_byte, f"\n    {end}"),
    ]


RULE = CudaRule(
    "one-pass-variance",
    frozenset({"dram", "l2", "l1", "latency"}),
    "Sum and sum of squares come out of one pass over the row: it is read once less.",
    _find,
)
