"""Pointers into an argument: after `const float* r = x + k;`, `r[i]` becomes `x[k + i]`."""

from __future__ import annotations

from tree_sitter import Node

from optiml.cuda_source import Source, named
from optiml.propose.rules.cuda.forms.variables import Variable, are_fixed_around, is_fixed, is_simple, variables


def pointers(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first pointer that is never changed, and only subscripted.

    >>> from optiml.cuda_source import walk
    >>> source = Source.parse("void f(float* y, int k) { float* r = y + 2 * k; r[1] = r[k + 1]; }")
    >>> source.spliced(*pointers(source, next(walk(source.root, "function_definition"))))
    'void f(float* y, int k) {  y[2 * k + 1] = y[2 * k + k + 1]; }'
    """
    for variable in variables(source, function):
        place = _place(source, variable.value) if variable.is_pointer else None
        if place is None or not is_fixed(source, function, variable.name):
            continue
        base, offset = place
        indices = [_index(use) for use in variable.uses]
        names = source.names(offset) | {base}
        if is_simple(source, offset) and None not in indices and are_fixed_around(source, variable.node, names):
            return _changes(source, variable, base, offset, [i for i in indices if i is not None])
    return []


def _place(source: Source, value: Node) -> tuple[str, Node] | None:
    """(x, k) of `x + k` and of `&x[k]`."""
    if value.type == "binary_expression" and source.of(value.children[1]) == "+":
        base, offset = value.children[0], value.children[2]
        return (source.of(base), offset) if base.type == "identifier" else None
    if value.type == "pointer_expression" and source.of(value).startswith("&"):
        inner = named(value)[0]
        index = _index(inner.children[0]) if inner.type == "subscript_expression" else None
        return (
            (source.of(inner.children[0]), index)
            if index is not None and inner.children[0].type == "identifier"
            else None
        )
    return None


def _index(use: Node) -> Node | None:
    """The index with which a pointer is subscripted."""
    parent = use.parent
    if parent is None or parent.type != "subscript_expression" or parent.children[0] != use:
        return None
    inner = named(parent.children[1])
    return inner[0] if len(inner) == 1 else None


def _changes(
    source: Source, variable: Variable, base: str, offset: Node, indices: list[Node]
) -> list[tuple[int, int, str]]:
    start = source.of(offset)
    changes = [(variable.node.start_byte, variable.node.end_byte, "")]
    for use, index in zip(variable.uses, indices, strict=True):
        changes += [(use.start_byte, use.end_byte, base), (index.start_byte, index.start_byte, f"{start} + ")]
        if index.type in ("conditional_expression", "assignment_expression", "comma_expression"):
            changes += [(index.start_byte, index.start_byte, "("), (index.end_byte, index.end_byte, ")")]
    return changes
