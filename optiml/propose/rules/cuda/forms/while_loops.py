"""`int i = a; while (i < b) { ...; i += c; }`, or `for (; i < b; i += c)`, as `for (int i = a; i < b; i += c) ...`."""

from __future__ import annotations

from tree_sitter import Node

from optiml.cuda_source import Source, named, walk
from optiml.propose.rules.cuda.forms.variables import Variable, variables
from optiml.propose.rules.cuda.loops import expression, written


def counted(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first such loop: its variable is changed at the end of the body alone, and not used elsewhere.

    >>> source = Source.parse("void f(int n) { int i = 0; while (i < n) { g(i); i += 2; } }")
    >>> source.spliced(*counted(source, next(walk(source.root, "function_definition"))))
    'void f(int n) {  for (int i = 0; i < n; i += 2) { g(i);  } }'
    """
    known = {v.name: v for v in variables(source, function) if v.is_integer}
    for node in walk(function, "while_statement"):
        condition, body = node.child_by_field_name("condition"), node.child_by_field_name("body")
        if condition is None or body is None or body.type != "compound_statement" or not named(body):
            continue
        test = named(condition)[0]
        variable = known.get(source.of(test.children[0])) if test.type == "binary_expression" else None
        if variable is not None and _is_counted(source, node, body, variable):
            return _changes(source, node, test, named(body)[-1], variable)
    return []


def headed(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first `for` whose variable is declared before it, and used in it alone.

    >>> source = Source.parse("void f(int n) { int i = 0; for (; i < n; i += 2) g(i); }")
    >>> source.spliced(*headed(source, next(walk(source.root, "function_definition"))))
    'void f(int n) {  for (int i = 0; i < n; i += 2) g(i); }'
    """
    known = {v.name: v for v in variables(source, function) if v.is_integer}
    for node in walk(function, "for_statement"):
        test = node.child_by_field_name("condition")
        is_open = node.child_by_field_name("initializer") is None and test is not None and bool(test.children)
        variable = known.get(source.of(test.children[0])) if is_open and test is not None else None
        if variable is None or node.parent != variable.node.parent:
            continue
        if all(node.start_byte <= use.start_byte < node.end_byte for use in variable.uses):
            place = source.of(node).index(";") + node.start_byte
            head = f"for ({variable.type} {variable.name} = {source.of(variable.value)}"
            return [(variable.node.start_byte, variable.node.end_byte, ""), (node.start_byte, place, head)]
    return []


def _is_counted(source: Source, node: Node, body: Node, variable: Variable) -> bool:
    *rest, last = named(body)
    update = expression(last)
    changes = update is not None and variable.name in written(source, last)
    is_alone = not any(variable.name in written(source, n) for n in rest) and not any(walk(body, "continue_statement"))
    inside = all(node.start_byte <= use.start_byte < node.end_byte for use in variable.uses)
    return changes and is_alone and inside and node.parent == variable.node.parent


def _changes(source: Source, node: Node, test: Node, last: Node, variable: Variable) -> list[tuple[int, int, str]]:
    update = source.of(expression(last))
    start = f"for ({variable.type} {variable.name} = {source.of(variable.value)}; {source.of(test)}; {update}) "
    body = node.child_by_field_name("body")
    assert body is not None, "asked before"
    return [
        (variable.node.start_byte, variable.node.end_byte, ""),
        (node.start_byte, body.start_byte, start),
        (last.start_byte, last.end_byte, ""),
    ]
