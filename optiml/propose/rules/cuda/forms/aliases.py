"""Names for the thread's and the block's number: `int tx = threadIdx.x;` goes, and `tx` becomes `threadIdx.x`."""

from __future__ import annotations

import re

from tree_sitter import Node

from optiml.cuda_source import Source
from optiml.propose.rules.cuda.forms.variables import Variable, is_fixed, variables

_BUILTIN = re.compile(r"(?:threadIdx|blockIdx|blockDim|gridDim)\.[xyz]")
_END = ("compound_statement", "expression_statement", "declaration", "if_statement", "for_statement")


def aliases(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first such name; none is replaced where it could become negative, which an unsigned one cannot.

    >>> from optiml.cuda_source import walk
    >>> source = Source.parse("void f(float* y) { int t = threadIdx.x; y[t] = t + 1; }")
    >>> source.spliced(*aliases(source, next(walk(source.root, "function_definition"))))
    'void f(float* y) {  y[threadIdx.x] = threadIdx.x + 1; }'
    """
    for variable in variables(source, function):
        value = source.of(variable.value)
        is_alias = variable.is_integer and _BUILTIN.fullmatch(value) and is_fixed(source, function, variable.name)
        if is_alias and not any(map(_is_subtracted, variable.uses)):
            return _replaced(variable, value)
    return []


def _replaced(variable: Variable, value: str) -> list[tuple[int, int, str]]:
    uses = [(n.start_byte, n.end_byte, value) for n in variable.uses]
    return [(variable.node.start_byte, variable.node.end_byte, ""), *uses]


def _is_subtracted(use: Node) -> bool:
    """Whether it is part of a difference, or of a number with a sign."""
    node = use.parent
    while node is not None and node.type not in _END:
        if node.type in ("binary_expression", "unary_expression") and any(c.type == "-" for c in node.children):
            return True
        node = node.parent
    return False
