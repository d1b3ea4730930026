"""Fill the next tiles in shared memory while the present ones are used, with one barrier a step.

Precondition: a loop `for (start = a; start < b; start += s)` whose body is fills of arrays in shared memory, a
barrier, a part that only reads them, and a barrier; fills beyond b are harmless, as each is guarded or within the
loop's `if`.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     __shared__ float tile[64];
...     float sum = 0.0f;
...     for (int start = 0; start < n; start += 64) {
...         tile[threadIdx.x] = start + threadIdx.x < n ? x[start + threadIdx.x] : 0.0f;
...         __syncthreads();
...         for (int i = 0; i < 64; ++i) sum += tile[i] * threadIdx.x;
...         __syncthreads();
...     }
...     y[threadIdx.x] = sum;
... }''', "in:x out:y n", launch_block=[64])
__global__ void f(const float* x, float* y, int n) {
    __shared__ float tile[2][64];
    float sum = 0.0f;
    int stage = 0;
    if (0 < n) {
        tile[stage][threadIdx.x] = (0) + threadIdx.x < n ? x[(0) + threadIdx.x] : 0.0f;
    }
    for (int start = 0; start < n; start += 64) {
        __syncthreads();
        if (start + 64 < n) {
            tile[stage ^ 1][threadIdx.x] = (start + 64) + threadIdx.x < n ? x[(start + 64) + threadIdx.x] : 0.0f;
        }
        for (int i = 0; i < 64; ++i) sum += tile[stage][i] * threadIdx.x;
        stage ^= 1;
    }
    __syncthreads();
    y[threadIdx.x] = sum;
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from optiml.propose.rules.cuda.contraction import substituted
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, loops, statements, written
from optiml.propose.rules.cuda.shared_arrays import SharedArray, shared_arrays
from optiml.propose.rules.rewrite import Rewrite

_LOOP = """\
int {stage} = 0;
    if ({start} < {stop}) {{
        {first}
    }}
    for (int {var} = {start}; {var} < {stop}; {var} += {step}) {{
        __syncthreads();
        if ({var} + {step} < {stop}) {{
            {next}
        }}
        {use}
        {stage} ^= 1;
    }}
    __syncthreads();"""


@dataclass(frozen=True)
class _Step:
    """One step of the loop: the statements before the first barrier, those between both."""

    fills: list[Node]
    uses: list[Node]


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    arrays = [a for a in shared_arrays(kernel) if a.uses is not None]
    for number, loop in enumerate(loops(kernel.source, kernel.body)):
        step = _step(kernel, loop)
        filled = [a for a in arrays if step and a.name in {w for n in step.fills for w in written(kernel.source, n)}]
        if step is None or not filled or not _is_private(loop, filled) or kernel.has("__pipeline_memcpy_async"):
            continue
        if any(a.name in written(kernel.source, n) for a in filled for n in step.uses):
            continue
        yield Rewrite(f"{number}", _buffered(kernel, loop, step, filled))


def _buffered(kernel: CudaKernel, loop: Loop, step: _Step, arrays: list[SharedArray]) -> str:
    stage = kernel.fresh("stage")
    fills = _staged(kernel, step.fills, arrays, f"{stage} ^ 1")
    text = _LOOP.format(
        stage=stage, var=loop.var, start=loop.start, stop=loop.stop, step=loop.step,
        first=substituted(_staged(kernel, step.fills, arrays, stage), {loop.var: f"({loop.start})"}),
        next=substituted(fills, {loop.var: f"({loop.var} + {loop.step})"}),
        use=_staged(kernel, step.uses, arrays, stage),
    )  # fmt: skip
    sizes = (
        (a.declaration, re.sub(rf"\b{a.name}\[", f"{a.name}[2][", kernel.source.of(a.declaration))) for a in arrays
    )
    return kernel.source.replaced(*sizes, (loop.node, text))


def _staged(kernel: CudaKernel, nodes: list[Node], arrays: list[SharedArray], stage: str) -> str:
    """Statements with each use of the arrays going to one stage."""
    uses = [(a.name, use) for a in arrays for use in a.uses or ()]
    changes = []
    for name, use in uses:
        at = use.start_byte + len(name.encode())
        changes.append((at, at, f"[{stage}]"))
    return "\n        ".join(
        kernel.source.spliced_within(
            n.start_byte, n.end_byte, tuple(c for c in changes if n.start_byte <= c[0] < n.end_byte)
        )
        for n in nodes
    )


def _step(kernel: CudaKernel, loop: Loop) -> _Step | None:
    nodes = statements(loop.body)
    barriers = [i for i, n in enumerate(nodes) if kernel.source.of(n) == "__syncthreads();"]
    if len(barriers) != 2 or barriers[1] != len(nodes) - 1 or barriers[0] == 0:
        return None
    return _Step(nodes[: barriers[0]], nodes[barriers[0] + 1 : -1])


def _is_private(loop: Loop, arrays: list[SharedArray]) -> bool:
    """Whether the arrays are used in the loop alone."""
    uses = [u for a in arrays for u in a.uses or ()]
    return all(loop.node.start_byte <= u.start_byte < loop.node.end_byte for u in uses)


RULE = CudaRule(
    "double-buffer",
    frozenset({"latency", "barrier"}),
    "The next tiles are loaded while the present ones are used, and one barrier a step is enough.",
    _find,
)
