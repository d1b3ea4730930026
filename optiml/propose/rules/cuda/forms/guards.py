"""Threads beyond the data: `if (beyond) return; work` and `if (not beyond) { work }` are the same."""

from __future__ import annotations

from tree_sitter import Node

from optiml.cuda_source import Source, named, walk

_NEGATED = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_OTHER = {"&&": "||", "||": "&&"}


def guarded(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """The first `if (beyond) return;` of the function's own block, and what follows it, as an `if`.

    >>> source = Source.parse("void f(int i, int j, int n) { if (i >= n || j >= n) return; g(i); h(j); }")
    >>> source.spliced(*guarded(source, next(walk(source.root, "function_definition"))))
    'void f(int i, int j, int n) { if (i < n && j < n) { g(i); h(j); } }'
    """
    nodes = _statements(function)
    for node in nodes[:-1]:
        condition = node.child_by_field_name("condition") if is_early_return(source, node) else None
        if condition is not None:
            last = nodes[-1].end_byte
            start = f"if ({negated(source, named(condition)[0])}) {{"
            return [(node.start_byte, node.end_byte, start), (last, last, " }")]
    return []


def returning(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """An `if` without `else` that is the last statement of the function's block, as an early return.

    >>> source = Source.parse("void f(int i, int n) { if (i < n) { g(i); h(i); } }")
    >>> source.spliced(*returning(source, next(walk(source.root, "function_definition"))))
    'void f(int i, int n) { if (i >= n) return; g(i); h(i);  }'
    """
    nodes = _statements(function)
    node = nodes[-1] if nodes else function
    condition, then = node.child_by_field_name("condition"), node.child_by_field_name("consequence")
    is_plain = node.type == "if_statement" and node.child_by_field_name("alternative") is None
    if not is_plain or condition is None or then is None or then.type != "compound_statement":
        return []
    start = f"if ({negated(source, named(condition)[0])}) return;"
    return [(node.start_byte, then.start_byte + 1, start), (then.end_byte - 1, then.end_byte, "")]


def merged(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """The first `if` that has nothing but another one in it, as one `if` with both conditions.

    >>> source = Source.parse("void f(int i, int n) { if (i < n) { if (i > 2 || n) { g(i); } } }")
    >>> source.spliced(*merged(source, next(walk(source.root, "function_definition"))))
    'void f(int i, int n) { if (i < n && (i > 2 || n)) { g(i); } }'
    """
    for node in walk(function, "if_statement"):
        inner = _only_if(node)
        conditions = [n.child_by_field_name("condition") for n in (node, inner) if n is not None]
        body = inner.child_by_field_name("consequence") if inner is not None else None
        if len(conditions) == 2 and None not in conditions and body is not None:
            both = " && ".join(_conjunct(source, named(c)[0]) for c in conditions if c is not None)
            return [(node.start_byte, body.start_byte, f"if ({both}) "), (body.end_byte, node.end_byte, "")]
    return []


def _only_if(node: Node) -> Node | None:
    """The `if` without `else` that is all there is in another one without."""
    then = node.child_by_field_name("consequence")
    body = [] if then is None else named(then) if then.type == "compound_statement" else [then]
    is_plain = node.child_by_field_name("alternative") is None and len(body) == 1 and body[0].type == "if_statement"
    return body[0] if is_plain and body[0].child_by_field_name("alternative") is None else None


def _conjunct(source: Source, node: Node) -> str:
    operator = source.of(node.children[1]) if node.type == "binary_expression" else ""
    return f"({source.of(node)})" if operator == "||" or node.type == "conditional_expression" else source.of(node)


def negated(source: Source, node: Node) -> str:
    """A condition that holds where another one does not.

    >>> source = Source.parse("bool b = !(i < n && (j == 1));")
    >>> negated(source, next(walk(source.root, "unary_expression")))
    'i < n && (j == 1)'
    """
    if node.type == "parenthesized_expression":
        return negated(source, named(node)[0])
    if node.type == "unary_expression" and source.of(node.children[0]) == "!":
        inner = source.of(node.children[1])
        return inner[1:-1] if node.children[1].type == "parenthesized_expression" else inner
    operator = source.of(node.children[1]) if node.type == "binary_expression" else ""
    if operator in _NEGATED:
        return f"{source.of(node.children[0])} {_NEGATED[operator]} {source.of(node.children[2])}"
    if operator in _OTHER:
        left, right = (negated(source, node.children[i]) for i in (0, 2))
        is_mixed = any(_OTHER[operator] != o and o in f"{left} {right}" for o in _OTHER)
        return f"({left}) {_OTHER[operator]} ({right})" if is_mixed else f"{left} {_OTHER[operator]} {right}"
    return f"!({source.of(node)})"


def is_early_return(source: Source, node: Node) -> bool:
    """Whether a statement is `if (...) return;`, without `else`."""
    then = node.child_by_field_name("consequence")
    is_plain = node.type == "if_statement" and node.child_by_field_name("alternative") is None
    return is_plain and then is not None and source.of(then).strip("{} \n") == "return;"


def _statements(function: Node) -> list[Node]:
    body = function.child_by_field_name("body")
    return named(body) if body is not None else []
