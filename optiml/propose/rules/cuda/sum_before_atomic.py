"""Add up in registers what all threads add to one place, and send one atomic addition for each warp or block.

Precondition: a statement `atomicAdd(place, value)` whose place depends on no thread and on nothing that its statement
changes, in a one-dimensional kernel of whole warps without an early return. The threads' sums are merged by shuffles.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) atomicAdd(y, x[i]);
... }''', "in:x inout:y n")
__global__ void f(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float part = 0;
    if (i < n) part += x[i];
    for (int d = 16; d > 0; d /= 2) part += __shfl_xor_sync(0xffffffffu, part, d);
    if (threadIdx.x % 32 == 0) atomicAdd(y, part);
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import above, named, walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import declared, statements, written
from optiml.propose.rules.rewrite import Rewrite

_WARP = 32
_TYPES = ("float", "int", "double", "unsigned", "unsigned int")
_SHUFFLES = "for (int {d} = 16; {d} > 0; {d} /= 2) {part} += __shfl_xor_sync(0xffffffffu, {part}, {d});"
_OF_WARP = """
    {shuffles}
    if (threadIdx.x % 32 == 0) atomicAdd({place}, {part});"""
_OF_BLOCK = """
    {shuffles}
    __shared__ {type} {parts}[{warps}];
    if (threadIdx.x % 32 == 0) {parts}[threadIdx.x / 32] = {part};
    __syncthreads();
    if (threadIdx.x < 32) {{
        {part} = threadIdx.x < {warps} ? {parts}[threadIdx.x] : 0;
        {shuffles}
        if (threadIdx.x == 0) atomicAdd({place}, {part});
    }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block = kernel.unit.block()
    if block is None or block[1:] != (1, 1) or block[0] % _WARP or any(walk(kernel.body, "return_statement")):
        return
    for outer in statements(kernel.body):
        for call in walk(outer, "call_expression"):
            place = _place(kernel, outer, call)
            kind = _type(kernel, place) if place is not None else None
            if place is not None and kind is not None:
                yield Rewrite("warp", _summed(kernel, outer, call, _OF_WARP, kind, block[0]))
                yield Rewrite("block", _summed(kernel, outer, call, _OF_BLOCK, kind, block[0]))


def _place(kernel: CudaKernel, outer: Node, call: Node) -> Node | None:
    """What an atomicAdd of more than one thread adds to, if its result is not used and all have the same place."""
    arguments = named(call.children[1]) if kernel.source.of(call.children[0]) == "atomicAdd" else []
    if len(arguments) != 2 or call.parent is None or call.parent.type != "expression_statement":
        return None
    around = above(call, "if_statement")
    if around is not None and "== 0" in kernel.source.of(around.child_by_field_name("condition")):
        return None
    names = kernel.source.names(arguments[0])
    own = {d[0] for n in walk(kernel.body, "declaration") if (d := declared(kernel.source, n))}
    differs = names & (own | written(kernel.source, outer) | {"threadIdx"})
    return None if differs or not names & kernel.pointers.keys() else arguments[0]


def _type(kernel: CudaKernel, place: Node) -> str | None:
    found = [p.type for name, p in kernel.pointers.items() if re.search(rf"\b{name}\b", kernel.source.of(place))]
    return found[0] if len(found) == 1 and " ".join(found[0].split()) in _TYPES else None


def _summed(kernel: CudaKernel, outer: Node, call: Node, end: str, kind: str, threads: int) -> str:
    source, (place, value) = kernel.source, named(call.children[1])
    names = {name: kernel.fresh(name) for name in ("part", "parts", "d")}
    shuffles = _SHUFFLES.format(**names)
    after = end.format(**names, shuffles=shuffles, place=source.of(place), type=kind, warps=threads // _WARP)
    start, stop = outer.start_byte, outer.end_byte
    return source.spliced(
        (start, start, f"{kind} {names['part']} = 0;\n    "),
        (call.start_byte, call.end_byte, f"{names['part']} += {source.of(value)}"),
        (stop, stop, after),
    )


RULE = CudaRule(
    "sum-before-atomic",
    frozenset({"atomics", "l2", "dram", "latency"}),
    "Additions of all threads to one place queue up there; a warp or block that adds up first sends one.",
    _find,
)
