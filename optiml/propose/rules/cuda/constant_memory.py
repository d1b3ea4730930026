"""Move a table of literals from each thread's local memory to constant memory, which all threads share.

Precondition: a `const` array with an initialiser of literals, declared in the kernel.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(float* y, int n) {
...     const float weights[3] = {0.25f, 0.5f, 0.25f};
...     for (int i = 0; i < n; ++i) y[i] = weights[i % 3];
... }''', "out:y n")
__constant__ float weights_table[3] = {0.25f, 0.5f, 0.25f};
__global__ void f(float* y, int n) {
    for (int i = 0; i < n; ++i) y[i] = weights_table[i % 3];
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_LITERALS = re.compile(r"\{[-\s\d.,eExXfFuU+{}]*\}")


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for declaration in walk(kernel.body, "declaration"):
        name = _table(kernel, declaration)
        if name is None:
            continue
        # The table's new name is one that nothing else in the file has, functions included.
        free = next(
            c for c in (f"{name}_table", *(f"{name}_table_{i}" for i in range(2, 100))) if c not in kernel.source.text
        )
        text = re.sub(rf"\b{name}\b", free, kernel.source.of(declaration), count=1)
        moved = "__constant__ " + re.sub(r"\b(static|constexpr|const)\s+", "", text) + "\n"
        top = kernel.top.start_byte
        uses = [n for n in walk(kernel.body, "identifier") if kernel.source.of(n) == name]
        outside = [n for n in uses if not declaration.start_byte <= n.start_byte < declaration.end_byte]
        changes = [(n.start_byte, n.end_byte, free) for n in outside]
        gone = (declaration.start_byte, declaration.end_byte, "")
        yield Rewrite(name, kernel.source.spliced((top, top, moved), gone, *changes))


def _table(kernel: CudaKernel, declaration: Node) -> str | None:
    """The name of the array, if the declaration is a table of literals."""
    text = kernel.source.of(declaration)
    match = re.fullmatch(r"(?:static\s+)?const(?:expr)?\s+\w+\s+(\w+)((?:\[\w*\])+)\s*=\s*(\{.*\});", text, re.DOTALL)
    return match[1] if match is not None and _LITERALS.fullmatch(match[3]) else None


RULE = CudaRule(
    "constant-memory",
    frozenset({"l1", "latency", "issue"}),
    "A table of literals is kept once, in constant memory, and not written by every thread.",
    _find,
)
