"""Turn a branch around one assignment into a selection, so that the lanes of a warp stay together.

Precondition: `if (condition) x = value;` where x is a local variable and value has no load, call or side effect.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     float best = x[0];
...     for (int i = 1; i < n; ++i) {
...         float v = x[i];
...         if (v > best) best = v;
...     }
...     y[0] = best;
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    float best = x[0];
    for (int i = 1; i < n; ++i) {
        float v = x[i];
        best = (v > best) ? v : best;
    }
    y[0] = best;
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import assignment, statements
from optiml.propose.rules.rewrite import Rewrite

_IMPURE = (
    "subscript_expression",
    "call_expression",
    "assignment_expression",
    "update_expression",
    "pointer_expression",
)


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for number, node in enumerate(walk(kernel.body, "if_statement")):
        text = _selected(kernel, node)
        if text is not None:
            yield Rewrite(f"{number}", kernel.source.replaced((node, text)))


def _selected(kernel: CudaKernel, node: Node) -> str | None:
    source = kernel.source
    condition, then = (node.child_by_field_name(n) for n in ("condition", "consequence"))
    if condition is None or then is None or node.child_by_field_name("alternative") is not None:
        return None
    inner = statements(then)
    store = assignment(source, inner[0]) if len(inner) == 1 else None
    if store is None or store[0].type != "identifier" or store[1] not in ("=", "+=") or any(walk(store[2], *_IMPURE)):
        return None
    name, value = source.of(store[0]), source.of(store[2])
    if not _is_local(kernel, name):
        return None
    chosen = value if store[1] == "=" else f"{name} + ({value})"
    return f"{name} = {source.of(condition)} ? {chosen} : {name};"


def _is_local(kernel: CudaKernel, name: str) -> bool:
    """Whether each thread has its own: it is declared in the kernel, and not as shared."""
    texts = (kernel.source.of(n) for n in walk(kernel.body, "declaration"))
    declarations = [t for t in texts if re.search(rf"\b{name}\s*[=;,]", t.partition("=")[0] + "=")]
    return bool(declarations) and not any("__shared__" in t for t in declarations)


RULE = CudaRule(
    "predication",
    frozenset({"issue", "latency", "alu"}),
    "A selection keeps the lanes of a warp together where a branch would part them.",
    _find,
)
