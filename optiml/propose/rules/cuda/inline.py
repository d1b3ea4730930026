"""Put the bodies of device functions where they are called, so that other rules see through the calls.

Precondition: functions of the file that return only at their end and are no templates.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __device__ float twice(float v) { return 2.0f * v; }
... __global__ void f(float* x) { x[0] = twice(x[0]); }''', "inout:x")
__device__ float twice(float v) { return 2.0f * v; }
__global__ void f(float* x) { x[0] = (2.0f * x[0]); }
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.inlining import inlined
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    text = inlined(kernel.source.text, kernel.unit.entry)
    if text != kernel.source.text:
        yield Rewrite("all", text)


RULE = CudaRule(
    "inline",
    frozenset({"issue", "latency"}),
    "With no calls left, the whole kernel can be rewritten.",
    _find,
)
