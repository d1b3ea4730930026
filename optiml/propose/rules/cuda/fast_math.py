"""Use the approximate functions of the hardware: exponentials, quotients and roots in one or two instructions.

Precondition: the kernel has calls with an approximate twin, or divides; the tolerance of the task decides whether the
error is small enough. `flag` sets the compiler's option, `calls` replaces the calls one by one.

>>> from optiml.propose.rules.example import show
>>> show(RULE, "__global__ void f(float* x) { x[0] = expf(x[0]) / 3.0f; }", "inout:x", detail="calls")
__global__ void f(float* x) { x[0] = __expf(x[0]) / 3.0f; }
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

# Source: CUDA programming guide, intrinsic functions in single precision.
_TWINS = {
    "expf": "__expf", "exp10f": "__exp10f", "logf": "__logf", "log2f": "__log2f", "log10f": "__log10f",
    "sinf": "__sinf", "cosf": "__cosf", "tanf": "__tanf", "powf": "__powf",
}  # fmt: skip


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    source = kernel.source
    calls = [n.children[0] for n in walk(kernel.body, "call_expression") if source.of(n.children[0]) in _TWINS]
    divides = any(source.of(n.children[1]) == "/" for n in walk(kernel.body, "binary_expression"))
    is_fast = kernel.unit.settings.get("compile", {}).get("fast_math", False)
    if calls:
        yield Rewrite("calls", source.replaced(*((n, _TWINS[source.of(n)]) for n in calls)))
    if (calls or divides) and not is_fast:
        yield Rewrite("flag", source.text, {"compile.fast_math": True})


RULE = CudaRule(
    "fast-math",
    frozenset({"special", "fma", "issue", "latency"}),
    "Approximate functions take one or two instructions; the tolerance decides whether they are good enough.",
    _find,
)
