"""Copy from global to shared memory asynchronously (cp.async), so that the data passes no register.

Precondition: statements `tile[..] = inside ? array[index] : 0` with equal types of 4, 8 or 16 bytes, where the value is
nothing but the load; the hardware fills with zeros what is outside. A wait stands before every barrier.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     __shared__ float tile[64];
...     tile[threadIdx.x] = threadIdx.x < n ? x[threadIdx.x] : 0.0f;
...     __syncthreads();
...     y[threadIdx.x] = tile[63 - threadIdx.x];
... }''', "in:x out:y n", launch_block=[64])
#include <cuda_pipeline.h>
__global__ void f(const float* x, float* y, int n) {
    __shared__ float tile[64];
    {
            bool inside = threadIdx.x < n;
            __pipeline_memcpy_async(&tile[threadIdx.x], inside ? &x[threadIdx.x] : x, 4, inside ? 0 : 4);
        }
    __pipeline_commit();
        __pipeline_wait_prior(0);
        __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import ZEROS, assignment, subscript
from optiml.propose.rules.cuda.shared_arrays import shared_arrays
from optiml.propose.rules.rewrite import Rewrite

_BYTES = {"float": 4, "int": 4, "unsigned": 4, "float2": 8, "double": 8, "float4": 16}
_HEADER = "#include <cuda_pipeline.h>\n"
_COPY = """\
{{
            bool {inside} = {condition};
            __pipeline_memcpy_async(&{tile}, {inside} ? &{load} : {array}, {size}, {inside} ? 0 : {size});
        }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    source, tiles = kernel.source, {a.name: a.type for a in shared_arrays(kernel)}
    copies = [(n, new) for n in walk(kernel.body, "expression_statement") if (new := _copy(kernel, n, tiles))]
    barriers = [n for n in walk(kernel.body, "expression_statement") if source.of(n) == "__syncthreads();"]
    if not copies or not barriers or kernel.has("__pipeline_memcpy_async", "__pipeline_commit"):
        return
    waits = ((n, f"__pipeline_commit();\n        __pipeline_wait_prior(0);\n        {source.of(n)}") for n in barriers)
    text = source.replaced(*copies, *waits)
    yield Rewrite(f"{len(copies)}", text if "<cuda_pipeline.h>" in text else _HEADER + text)


def _copy(kernel: CudaKernel, node: Node, tiles: dict[str, str]) -> str | None:
    source, store = kernel.source, assignment(kernel.source, node)
    if store is None or store[1] != "=" or store[2].type != "conditional_expression":
        return None
    parts = [store[2].child_by_field_name(n) for n in ("condition", "consequence", "alternative")]
    condition, value, other = (source.of(p) for p in parts)
    to, load = subscript(source, store[0]), subscript(source, parts[1]) if parts[1] is not None else None
    pointer = kernel.pointers.get(load[0]) if load is not None else None
    if to is None or load is None or pointer is None or other not in ZEROS:
        return None
    kind = tiles.get(to[0])
    if kind != pointer.type or kind not in _BYTES:
        return None
    texts = {"tile": source.of(store[0]), "load": value, "array": load[0], "condition": condition}
    return _COPY.format(**texts, size=_BYTES[kind], inside=kernel.fresh("inside"))


RULE = CudaRule(
    "async-copy",
    frozenset({"latency", "issue", "l1"}),
    "Asynchronous copies pass no register and leave the warp free while the data is under way.",
    _find,
)
