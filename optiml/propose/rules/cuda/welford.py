"""Update mean and squared distances with each element, in one pass over the row; no digits cancel, wherever values lie.

Precondition: a mean and the squared distances from it in two loops (see `variance`) over `count` elements, whose sum
is used for the mean alone; both loops go through all elements, or a warp shares them and merges by shuffles. Sources:
Welford, Note on a method for calculating corrected sums of squares and products, 1962; parts are merged as in Chan,
Golub and LeVeque, Algorithms for computing the sample variance, 1983.

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
    float count = 0.0f;
    float mean = 0.0f;
    float squares = 0.0f;
    for (int i = 0; i < n; ++i) {
        float value = x[row * n + i];
        float distance = value - mean;
        count += 1.0f;
        mean += distance / count;
        squares += distance * (value - mean);
    }
    y[row] = squares;
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import ZEROS, declared
from optiml.propose.rules.cuda.variance import Moments, is_warp_sum, moments
from optiml.propose.rules.rewrite import Rewrite

_START = """\
float {count} = 0.0f;
    float {mean} = 0.0f;
    float {squares} = 0.0f;
    """
_BODY = """{{
        float {value} = {element};
        float {distance} = {value} - {mean};
        {count} += 1.0f;
        {mean} += {distance} / {count};
        {squares} += {distance} * ({value} - {mean});
    }}"""
_MERGE = """for (int {lanes} = 16; {lanes} > 0; {lanes} /= 2) {{
        float {more} = __shfl_xor_sync(0xffffffffu, {count}, {lanes});
        float {distance} = __shfl_xor_sync(0xffffffffu, {mean}, {lanes}) - {mean};
        float {share} = {count} + {more} > 0.0f ? {more} / ({count} + {more}) : 0.0f;
        {squares} += __shfl_xor_sync(0xffffffffu, {squares}, {lanes}) + {distance} * {distance} * {count} * {share};
        {mean} += {distance} * {share};
        {count} += {more};
    }}"""
_LOCALS = ("count", "value", "distance", "lanes", "more", "share")


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for place, found in moments(kernel):
        if _is_whole(kernel, found):
            yield Rewrite(f"{place}", kernel.source.spliced(*_fused(kernel, found)))


def _is_whole(kernel: CudaKernel, m: Moments) -> bool:
    """Whether the mean is that of all elements of the loops, and their sum is nothing else's."""
    source, merges = kernel.source, (m.first_merge, m.second_merge)
    uses = [n for n in walk(kernel.body, "identifier") if source.of(n) == m.total]
    inside = [n for n in uses if m.first.node.start_byte <= n.start_byte < m.declarations[0].end_byte]
    found = (declared(source, n) for n in walk(kernel.body, "declaration"))
    starts = [d[1] for d in found if d is not None and d[0] == m.total]
    # The declaration is the only other place.
    if len(uses) != len(inside) + 1 or len(starts) != 1 or starts[0] not in ZEROS:
        return False
    if m.count != m.first.stop or not _is_float(kernel, m):
        return False
    if merges == (None, None):
        return (m.first.start, m.first.step) == ("0", "1")
    pairs = zip(merges, (m.total, m.squares), strict=True)
    return m.first.step == "32" and all(n is not None and is_warp_sum(source, n, name) for n, name in pairs)


def _is_float(kernel: CudaKernel, m: Moments) -> bool:
    types = (kernel.source.of(d.child_by_field_name("type")) for d in m.declarations)
    return all(t == "float" for t in types)


def _fused(kernel: CudaKernel, m: Moments) -> list[tuple[int, int, str]]:
    local = {name: kernel.fresh(name) for name in _LOCALS}
    names = {"mean": m.mean, "squares": m.squares, "element": m.value, **local}
    gone = [*m.declarations, m.second.node, *([m.second_merge] if m.second_merge is not None else [])]
    merge = [(n.start_byte, n.end_byte, _MERGE.format(**names)) for n in [m.first_merge] if n is not None]
    return [
        (m.first.node.start_byte, m.first.node.start_byte, _START.format(**names)),
        (m.first.body.start_byte, m.first.body.end_byte, _BODY.format(**names)),
        *merge,
        *((n.start_byte, n.end_byte, "") for n in gone),
    ]


RULE = CudaRule(
    "welford",
    frozenset({"dram", "l2", "l1", "latency"}),
    "Mean and squared distances come out of one pass over the row, with no cancellation: it is read once less.",
    _find,
)
