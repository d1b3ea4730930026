"""Sums in indices in one order, products first: `row * n + col`, `blockIdx.x * blockDim.x + threadIdx.x`."""

from __future__ import annotations

import re

from tree_sitter import Node

from optiml.cuda_source import Source, above, walk

_SWAPPED = re.compile(r"(blockDim\.([xyz])|\w+)\s*\*\s*(blockIdx|gridDim)\.([xyz])")


def ordered(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes of the first sum or product that is in another order.

    >>> from optiml.cuda_source import walk
    >>> source = Source.parse("void f(float* y, int n) { int i = threadIdx.x + blockIdx.x * 8; y[i + 2 * n] = 1; }")
    >>> source.spliced(*ordered(source, next(walk(source.root, "function_definition"))))
    'void f(float* y, int n) { int i = blockIdx.x * 8 + threadIdx.x; y[i + 2 * n] = 1; }'
    """
    for node in walk(function, "binary_expression"):
        text = _product(source, node) or _sum(source, node)
        if text is not None:
            return [(node.start_byte, node.end_byte, text)]
    return []


def _product(source: Source, node: Node) -> str | None:
    """`blockDim.x * blockIdx.x` the other way round."""
    match = _SWAPPED.fullmatch(source.of(node))
    if match is None or match[2] not in (None, match[4]):
        return None
    return f"{match[3]}.{match[4]} * {match[1]}"


def _sum(source: Source, node: Node) -> str | None:
    parent = node.parent
    is_part = parent is not None and parent.type == "binary_expression" and source.of(parent.children[1]) == "+"
    if source.of(node.children[1]) != "+" or is_part or not _is_index(source, node):
        return None
    terms = _terms(source, node)
    if terms is None:
        return None
    new = sorted(terms, key=lambda t: not _is_product(t))
    return " + ".join(source.of(t) for t in new) if new != terms else None


def _terms(source: Source, node: Node) -> list[Node] | None:
    """The terms of `a + b + c`; None where one is not simply added."""
    if node.type == "parenthesized_expression" and _is_added(source, node.children[1]):
        return _terms(source, node.children[1])
    if node.type != "binary_expression" or source.of(node.children[1]) in "*/%":
        return [node]
    if source.of(node.children[1]) != "+":
        return None
    left, right = (_terms(source, node.children[i]) for i in (0, 2))
    return left + right if left is not None and right is not None else None


def _is_added(source: Source, node: Node) -> bool:
    return node.type == "binary_expression" and source.of(node.children[1]) == "+"


def _is_product(term: Node) -> bool:
    return term.type == "binary_expression"


def _is_index(source: Source, node: Node) -> bool:
    """Whether it is a whole subscript, or what an integer made of thread and block is declared as."""
    place = node.parent
    if place is None:
        return False
    if place.type == "subscript_argument_list":
        return True
    declaration = above(node, "declaration")
    is_value = place.type == "init_declarator" and declaration is not None and "float" not in source.of(declaration)
    return is_value and bool({"blockIdx", "threadIdx"} & source.names(node))
