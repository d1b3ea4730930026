"""Promise that arguments are read only and do not overlap, so that loads may be moved and cached as read-only.

Precondition: pointer parameters; `const` for those that are never written and passed to nothing, `__restrict__` for
all. With detail `ldg`, loads of such parameters are `__ldg`.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(float* x, float* y, int n) {
...     for (int i = threadIdx.x; i < n; i += 256) y[i] = x[i] + y[i];
... }''', "in:x inout:y n", detail="ldg")
__global__ void f(const float* __restrict__ x, float* __restrict__ y, int n) {
    for (int i = threadIdx.x; i < n; i += 256) y[i] = __ldg(&x[i]) + y[i];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule, Parameter
from optiml.propose.rules.cuda.loops import subscript
from optiml.propose.rules.rewrite import Rewrite

_LOADABLE = ("float", "int", "double", "unsigned", "float2", "float4")


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    source = kernel.source
    plain = [p for p in kernel.pointers.values() if _is_only_loaded(kernel, p)]
    promises = [(p.node, _promised(kernel, p, p in plain)) for p in kernel.pointers.values()]
    if any(new != source.of(node) for node, new in promises):
        yield Rewrite("restrict", source.replaced(*promises))
    names = {p.name for p in plain if p.type in _LOADABLE}
    loads = [n for n in walk(kernel.body, "subscript_expression") if _name(kernel, n) in names and not _is_inner(n)]
    loads = [n for n in loads if not any(m != n and m in _below(n, loads) for m in loads)]
    if loads:
        yield Rewrite("ldg", source.replaced(*promises, *((n, f"__ldg(&{source.of(n)})") for n in loads)))


def _below(node: Node, others: list[Node]) -> list[Node]:
    return [m for m in others if node.start_byte < m.start_byte < node.end_byte]


def _is_inner(node: Node) -> bool:
    """Whether it is an address already."""
    return node.parent is not None and node.parent.type == "pointer_expression"


def _name(kernel: CudaKernel, node: Node) -> str:
    place = subscript(kernel.source, node)
    return place[0] if place is not None else ""


def _is_only_loaded(kernel: CudaKernel, parameter: Parameter) -> bool:
    uses = [n for n in walk(kernel.body, "identifier") if kernel.source.of(n) == parameter.name]
    return parameter.argument.get("role") == "in" and all(_is_load(n) for n in uses)


def _is_load(use: Node) -> bool:
    """Whether it is subscripted and not assigned to."""
    place = use.parent
    if place is None or place.type != "subscript_expression" or place.parent is None:
        return False
    is_target = place.parent.type in ("assignment_expression", "update_expression")
    return not (is_target and place.parent.children[0] == place)


def _promised(kernel: CudaKernel, parameter: Parameter, is_constant: bool) -> str:
    text = kernel.source.of(parameter.node)
    if "__restrict__" not in text:
        head, _, _ = text.rpartition(parameter.name)
        text = f"{head.rstrip()} __restrict__ {parameter.name}"
    return f"const {text}" if is_constant and "const" not in text else text


RULE = CudaRule(
    "read-only",
    frozenset({"latency", "l1", "issue"}),
    "The compiler may move and merge loads of what nobody writes, and load it through the read-only path.",
    _find,
)
