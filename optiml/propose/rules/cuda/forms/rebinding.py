"""A variable that stands for two things in turn: `sum /= n;` becomes `float sum_2 = sum / n;`, for what follows."""

from __future__ import annotations

from tree_sitter import Node

from optiml.cuda_source import Source, named, walk
from optiml.propose.rules.cuda.forms.variables import Variable, in_parentheses, unused, variables
from optiml.propose.rules.cuda.loops import assignment, written

_OPERATORS = {"/=": "/", "*=": "*", "-=": "-"}


def rebound(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first such assignment: at the level of the declaration, and the last one to the variable.

    >>> source = Source.parse("void f(float* y, int n) { float s = 0; s += y[0]; s = s / n; y[1] = s; }")
    >>> source.spliced(*rebound(source, next(walk(source.root, "function_definition"))))
    'void f(float* y, int n) { float s = 0; s += y[0]; float s_2 = s / n; y[1] = s_2; }'
    """
    taken = {source.of(n) for n in walk(function, "identifier")}
    for variable in variables(source, function):
        siblings = named(variable.node.parent) if variable.node.parent is not None else []
        for node in siblings:
            value = _value(source, node, variable)
            if value is not None and not _is_changed_after(source, siblings, node, variable):
                fresh = unused(variable.name, taken)
                later = [n for n in variable.uses if n.start_byte >= node.end_byte]
                new = f"{variable.type} {fresh} = {value};"
                return [(node.start_byte, node.end_byte, new), *((n.start_byte, n.end_byte, fresh) for n in later)]
    return []


def _value(source: Source, node: Node, variable: Variable) -> str | None:
    """What `v /= n` or `v = v / n` makes of v."""
    change = assignment(source, node)
    if change is None or source.of(change[0]) != variable.name or variable.is_pointer or variable.is_integer:
        return None
    if change[1] in _OPERATORS:
        return f"{variable.name} {_OPERATORS[change[1]]} {in_parentheses(source, change[2])}"
    value = change[2]
    is_quotient = value.type == "binary_expression" and source.of(value.children[1]) == "/"
    return source.of(value) if is_quotient and source.of(value.children[0]) == variable.name else None


def _is_changed_after(source: Source, siblings: list[Node], node: Node, variable: Variable) -> bool:
    return any(variable.name in written(source, n) for n in siblings if n.start_byte > node.start_byte)
