"""Counted loops and statements as rules recognise them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from optiml.cuda_source import Source, named, walk

ASSIGNMENTS = ("assignment_expression", "update_expression")
# A thread's number in a one-dimensional launch, without spaces.
GLOBAL_INDEX = "blockIdx.x*blockDim.x+threadIdx.x"
ZEROS = ("0", "0.0f", "0.f", "0.0")


@dataclass(frozen=True)
class Loop:
    """`for (TYPE var = start; var < stop; var += step) body`; the step of `++var` is "1"."""

    var: str
    start: str
    stop: str
    step: str
    body: Node = field(repr=False)
    node: Node = field(repr=False)


def loop_of(source: Source, node: Node) -> Loop | None:
    """A `for` statement as a counted loop, None for any other shape."""
    parts = [node.child_by_field_name(name) for name in ("initializer", "condition", "update", "body")]
    if node.type != "for_statement" or any(p is None for p in parts):
        return None
    first, condition, update, body = (p for p in parts if p is not None)
    start = declared(source, first)
    if start is None or condition.type != "binary_expression" or source.of(condition.children[1]) != "<":
        return None
    step = _step(source, update, start[0])
    if step is None or source.of(condition.children[0]) != start[0]:
        return None
    return Loop(start[0], start[1], source.of(condition.children[2]), step, body, node)


def _step(source: Source, update: Node, var: str) -> str | None:
    if update.type == "update_expression" and source.of(update).replace(var, "") == "++":
        return "1"
    if update.type == "assignment_expression" and source.of(update.children[1]) == "+=":
        return source.of(update.children[2]) if source.of(update.children[0]) == var else None
    return None


def loops(source: Source, node: Node) -> Iterator[Loop]:
    """The counted loops in a node, outer before inner."""
    found = (loop_of(source, n) for n in walk(node, "for_statement"))
    return (loop for loop in found if loop is not None)


def declared(source: Source, node: Node | None) -> tuple[str, str] | None:
    """(name, value) of a declaration of one plain variable with a value."""
    if node is None or node.type != "declaration":
        return None
    inits = [n for n in node.children if n.type == "init_declarator"]
    if len(inits) != 1 or len([n for n in node.children if n.type in (",", "array_declarator")]):
        return None
    name, value = inits[0].child_by_field_name("declarator"), inits[0].child_by_field_name("value")
    if name is None or name.type != "identifier" or value is None:
        return None
    return source.of(name), source.of(value)


def statements(body: Node) -> list[Node]:
    """The statements of a body, whether it has braces or is one statement."""
    return named(body) if body.type == "compound_statement" else [body]


def expression(node: Node) -> Node | None:
    """The expression of an expression statement."""
    inner = named(node)
    return inner[0] if node.type == "expression_statement" and inner else None


def assignment(source: Source, node: Node) -> tuple[Node, str, Node] | None:
    """(left, operator, right) of a statement that is an assignment."""
    inner = expression(node)
    if inner is None or inner.type != "assignment_expression":
        return None
    return inner.children[0], source.of(inner.children[1]), inner.children[2]


def subscript(source: Source, node: Node) -> tuple[str, list[Node]] | None:
    """(array, indices outermost first) of `array[i][j]`."""
    indices: list[Node] = []
    while node.type == "subscript_expression":
        inner = [n for n in walk(node.children[1], "subscript_argument_list")][:1]
        if not inner or len(named(inner[0])) != 1:
            return None
        indices.insert(0, named(inner[0])[0])
        node = node.children[0]
    return (source.of(node), indices) if indices and node.type == "identifier" else None


def written(source: Source, node: Node) -> frozenset[str]:
    """The variables and arrays that a node assigns to; of a store through a pointer, all that its address mentions."""
    targets = (n.child_by_field_name("left") or n.child_by_field_name("argument") for n in walk(node, *ASSIGNMENTS))
    return frozenset(name for t in targets if t is not None for name in _roots(source, t))


def _roots(source: Source, node: Node) -> frozenset[str]:
    while node.type in ("subscript_expression", "field_expression", "parenthesized_expression"):
        node = next(n for n in node.children if n.is_named)
    return frozenset({source.of(node)}) if node.type != "pointer_expression" else source.names(node)


def conjuncts(source: Source, node: Node) -> list[Node]:
    """The parts of `a && b && c`, parentheses around all of it aside."""
    if node.type in ("parenthesized_expression", "condition_clause"):
        return conjuncts(source, named(node)[0])
    if node.type == "binary_expression" and source.of(node.children[1]) == "&&":
        return conjuncts(source, node.children[0]) + conjuncts(source, node.children[2])
    return [node]
