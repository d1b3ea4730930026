"""Swap two nested loops, so that the inner one goes along rows.

Precondition: two counted loops with nothing between their headers, neither of whose bounds depends on the other; the
body is one assignment `array[..] = value` or `array[..] += value` whose value loads only from arrays that it does not
write.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     for (int j = threadIdx.x; j < n; j += 32)
...         for (int i = 0; i < n; ++i) y[i * n + j] = x[i * n + j];
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    for (int i = 0; i < n; ++i) for (int j = threadIdx.x; j < n; j += 32)
        y[i * n + j] = x[i * n + j];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, assignment, loop_of, loops, statements, subscript
from optiml.propose.rules.rewrite import Rewrite


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for outer in loops(kernel.source, kernel.body):
        nodes = statements(outer.body)
        inner = loop_of(kernel.source, nodes[0]) if len(nodes) == 1 else None
        if inner is not None and _is_independent(kernel, outer, inner):
            yield Rewrite(f"{outer.var}{inner.var}", _swapped(kernel, outer, inner))


def _swapped(kernel: CudaKernel, outer: Loop, inner: Loop) -> str:
    heads = [(x.node.start_byte, x.body.start_byte) for x in (outer, inner)]
    first, second = (kernel.source.between(*h) for h in heads)
    return kernel.source.spliced((*heads[0], second), (*heads[1], first))


def _is_independent(kernel: CudaKernel, outer: Loop, inner: Loop) -> bool:
    source, body = kernel.source, statements(inner.body)
    store = assignment(source, body[0]) if len(body) == 1 else None
    place = subscript(source, store[0]) if store is not None else None
    if store is None or place is None or store[1] not in ("=", "+=") or place[0] in source.names(store[2]):
        return False
    header = kernel.source.between(inner.node.start_byte, inner.body.start_byte)
    return outer.var not in _words(header) and inner.var not in _words(
        outer.start + " " + outer.stop + " " + outer.step
    )


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


RULE = CudaRule(
    "loop-interchange",
    frozenset({"l1", "dram", "latency"}),
    "With the loops swapped, the inner one goes along rows, or its loads stay the same from step to step.",
    _find,
)
