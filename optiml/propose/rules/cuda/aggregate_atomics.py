"""Let the lanes of a warp that add to the same place send one of them with their sum.

Precondition: a statement `atomicAdd(&counts[bin], 1)` on integers, whose result is not used; rows of the block are
whole warps.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const int* x, int* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) atomicAdd(&y[x[i]], 1);
... }''', "in:x:i32 inout:y:i32 n")
__global__ void f(const int* x, int* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        auto* place = &y[x[i]];
        unsigned same = __match_any_sync(__activemask(), reinterpret_cast<unsigned long long>(place));
        if (__ffs(same) - 1 == static_cast<int>(threadIdx.x % 32)) atomicAdd(place, __popc(same));
    }
}
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import named, walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_WARP = 32
_SUM = """\
{{
        auto* {place} = {address};
        unsigned {same} = __match_any_sync(__activemask(), reinterpret_cast<unsigned long long>({place}));
        if (__ffs({same}) - 1 == {lane}) atomicAdd({place}, __popc({same}));
    }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block = kernel.unit.block()
    if block is None or block[0] % _WARP:
        return
    lane = "static_cast<int>(threadIdx.x % 32)"
    for number, call in enumerate(walk(kernel.body, "call_expression")):
        arguments = _added(kernel, call)
        statement = call.parent
        if not arguments or statement is None or statement.type != "expression_statement":
            continue
        names = {name: kernel.fresh(name) for name in ("place", "same")} | {"lane": lane}
        text = _SUM.format(address=kernel.source.of(arguments[0]), **names)
        yield Rewrite(f"{number}", kernel.source.replaced((statement, text)))


def _added(kernel: CudaKernel, call: Node) -> list[Node]:
    """The arguments of an atomicAdd of 1."""
    arguments = named(call.children[1]) if kernel.source.of(call.children[0]) == "atomicAdd" else []
    return arguments if arguments and kernel.source.of(arguments[-1]) == "1" else []


RULE = CudaRule(
    "aggregate-atomics",
    frozenset({"atomics", "shared"}),
    "Lanes with the same bin agree on one that adds their number: fewer additions meet at a place.",
    _find,
)
