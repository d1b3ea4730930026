"""Count in shared memory, and add a block's counts to global memory at its end.

Precondition: `atomicAdd(&counts[bin], value)` on an int or float argument of a constant number of elements, in a
one-dimensional kernel that reads it nowhere and returns nowhere early. With detail `xC` there are C counts of each
bin next to each other, and lane l adds to number l mod C: with 32 of them no two lanes of a warp meet at a bank.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const int* x, int* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) atomicAdd(&y[x[i]], 1);
... }''', "in:x:i32 inout:y:i32:64 n")
__global__ void f(const int* x, int* y, int n) {
    __shared__ int mine[64];
    for (int b = threadIdx.x; b < 64; b += blockDim.x) mine[b] = 0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(&mine[x[i]], 1);
    __syncthreads();
    for (int b = threadIdx.x; b < 64; b += blockDim.x) {
        if (mine[b] != 0) atomicAdd(&y[b], mine[b]);
    }
}
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import named, walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule, Parameter
from optiml.propose.rules.cuda.loops import subscript
from optiml.propose.rules.rewrite import Rewrite

_MOST_BYTES = 16384
# Static shared memory of a block: CUDA programming guide, technical specifications.
_STATIC_BYTES = 49152
_WORD = 4
_COUNTABLE = ("int", "float", "unsigned", "unsigned int", "uint", "uint32_t", "int32_t")
_START = """
    __shared__ {type} {mine}[{bins}];
    for (int {b} = threadIdx.x; {b} < {bins}; {b} += blockDim.x) {mine}[{b}] = 0;
    __syncthreads();"""
_START_COPIES = """
    __shared__ {type} {mine}[{bins} * {copies}];
    for (int {b} = threadIdx.x; {b} < {bins} * {copies}; {b} += blockDim.x) {mine}[{b}] = 0;
    __syncthreads();"""
# Threads begin with different copies: neighbours would meet at a bank.
_END_COPIES = """\
    __syncthreads();
    for (int {b} = threadIdx.x; {b} < {bins}; {b} += blockDim.x) {{
        {type} {all} = 0;
        for (int {c} = 0; {c} < {copies}; ++{c}) {all} += {mine}[{b} * {copies} + ({c} + threadIdx.x) % {copies}];
        if ({all} != 0) atomicAdd(&{counts}[{b}], {all});
    }}
"""
_COPIES = (32, 8)
_END = """\
    __syncthreads();
    for (int {b} = threadIdx.x; {b} < {bins}; {b} += blockDim.x) {{
        if ({mine}[{b}] != 0) atomicAdd(&{counts}[{b}], {mine}[{b}]);
    }}
"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block = kernel.unit.block()
    if block is None or block[1:] != (1, 1) or any(walk(kernel.body, "return_statement")):
        return
    for parameter in kernel.pointers.values():
        bins, places = _bins(parameter), _places(kernel, parameter.name)
        if bins is None or not places:
            continue
        names = {key: kernel.fresh(key) for key in ("mine", "b", "c", "all")}
        texts = {**names, "bins": bins, "type": parameter.type, "counts": parameter.name}
        yield Rewrite(parameter.name, _private(kernel, places, 1, _START.format(**texts), _END.format(**texts)))
        for copies in _COPIES:
            if bins * copies * _WORD <= _STATIC_BYTES:
                start, end = (t.format(**texts, copies=copies) for t in (_START_COPIES, _END_COPIES))
                yield Rewrite(f"{parameter.name}x{copies}", _private(kernel, places, copies, start, end))


def _private(kernel: CudaKernel, places: list[Node], copies: int, start: str, end: str) -> str:
    body, mine = kernel.body, kernel.fresh("mine")
    first, last = body.start_byte + 1, body.end_byte - 1
    inner = [(n.start_byte, n.end_byte, mine) for n in places]
    for node in places if copies > 1 else ():
        index = subscript(kernel.source, node.parent) if node.parent is not None else None
        assert index is not None, "asked before"
        at, end_at = index[1][0].start_byte, index[1][0].end_byte
        inner += [(at, at, "("), (end_at, end_at, f") * {copies} + threadIdx.x % {copies}")]
    return kernel.source.spliced((first, first, start), *inner, (last, last, end))


def _bins(parameter: Parameter) -> int | None:
    shape = parameter.argument.get("shape", ())
    if " ".join(parameter.type.split()) not in _COUNTABLE or len(shape) != 1 or not str(shape[0]).isdigit():
        return None
    return int(shape[0]) if int(shape[0]) * _WORD <= _MOST_BYTES else None


def _places(kernel: CudaKernel, name: str) -> list[Node]:
    """The array's name in each atomicAdd; empty if it is used in any other way."""
    uses = [n for n in walk(kernel.body, "identifier") if kernel.source.of(n) == name]
    return uses if uses and all(_is_added(kernel, n) for n in uses) else []


def _is_added(kernel: CudaKernel, use: Node) -> bool:
    """Whether it is the array of `atomicAdd(&array[bin], ...)`."""
    place = use.parent
    address = place.parent if place is not None else None
    call = address.parent.parent if address is not None and address.parent is not None else None
    if place is None or address is None or call is None or call.type != "call_expression":
        return False
    is_whole = subscript(kernel.source, place) is not None and address.type == "pointer_expression"
    return is_whole and kernel.source.of(call.children[0]) == "atomicAdd" and named(call.children[1])[0] == address


RULE = CudaRule(
    "private-histogram",
    frozenset({"atomics", "l2", "latency"}),
    "Blocks count in shared memory; global memory sees one addition for each block and bin.",
    _find,
)
