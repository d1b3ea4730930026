"""Replace costly arithmetic by cheaper: a division in a loop by a multiplication, expf by exp2f of a scaled argument.

Precondition: `reciprocal`: a loop divides by a float variable that it does not change; `exp2`: calls of expf.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(float* x, int n, float sum) {
...     for (int i = threadIdx.x; i < n; i += 256) x[i] = x[i] / sum;
... }''', "inout:x n sum", detail="reciprocal")
__global__ void f(float* x, int n, float sum) {
    float inverse_sum = 1.0f / sum;
    for (int i = threadIdx.x; i < n; i += 256) x[i] = x[i] * inverse_sum;
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optiml.cuda_source import named, walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, loops, written
from optiml.propose.rules.rewrite import Rewrite

_LOG2_E = "1.4426950408889634f"


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for number, loop in enumerate(loops(kernel.source, kernel.body)):
        text = _multiplied(kernel, loop)
        if text is not None:
            yield Rewrite(f"reciprocal{number}", text)
    calls = [n for n in walk(kernel.body, "call_expression") if kernel.source.of(n.children[0]) == "expf"]
    if calls:
        scaled = ((n, f"exp2f(({kernel.source.of(named(n.children[1])[0])}) * {_LOG2_E})") for n in calls)
        yield Rewrite("exp2", kernel.source.replaced(*scaled))


def _multiplied(kernel: CudaKernel, loop: Loop) -> str | None:
    source, changed = kernel.source, written(kernel.source, loop.node)
    divisions = [n for n in walk(loop.body, "binary_expression") if source.of(n.children[1]) == "/"]
    invariant = [
        n for n in divisions if source.of(n.children[2]) not in changed and _is_float(kernel, source.of(n.children[2]))
    ]
    divisors = dict.fromkeys(source.of(n.children[2]) for n in invariant)
    if not divisors:
        return None
    names = {d: kernel.fresh(f"inverse_{d}") for d in divisors}
    before = " ".join(f"float {names[d]} = 1.0f / {d};" for d in divisors)
    places = [
        (n.children[1].start_byte, n.children[2].end_byte, f"* {names[source.of(n.children[2])]}") for n in invariant
    ]
    start = loop.node.start_byte
    return source.spliced((start, start, f"{before}\n    "), *places)


def _is_float(kernel: CudaKernel, name: str) -> bool:
    return re.search(rf"\bfloat\s+{re.escape(name)}\s*[=;,)]", kernel.source.of(kernel.function)) is not None


RULE = CudaRule(
    "strength-reduction",
    frozenset({"special", "alu", "fma", "issue", "latency"}),
    "A division takes many instructions; multiplying by a reciprocal that is computed once takes one.",
    _find,
)
