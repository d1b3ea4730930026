"""One way to write each update: `m = fmaxf(m, v)` for `if (v > m) m = v`, and `s += v` for `s = s + v`."""

from __future__ import annotations

import re

from tree_sitter import Node

from optiml.cuda_source import Source, named, walk
from optiml.propose.rules.cuda.loops import assignment, conjuncts, statements

_FLOATS = re.compile(r"\b(?:const\s+)?float\s+(\w+)\s*[=;,]")
_LARGER = {">": "fmaxf", ">=": "fmaxf", "<": "fminf", "<=": "fminf"}
_CALLS = {"max": "fmaxf", "min": "fminf", "fmax": "fmaxf", "fmin": "fminf", "std::max": "fmaxf", "std::min": "fminf"}


def idioms(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first update that is written in another way; of variables that are declared as float.

    >>> source = Source.parse("void f(float* y) { float m = 0; if (y[1] > m) { m = y[1]; } m = m + 1; }")
    >>> source.spliced(*idioms(source, next(walk(source.root, "function_definition"))))
    'void f(float* y) { float m = 0; m = fmaxf(m, y[1]); m = m + 1; }'
    """
    floats = set(_FLOATS.findall(source.of(function)))
    for node in walk(function, "if_statement", "expression_statement"):
        text = _taken(source, node, floats) if node.type == "if_statement" else _assigned(source, node, floats)
        if text is not None:
            return [(node.start_byte, node.end_byte, text)]
    return []


def _taken(source: Source, node: Node, floats: set[str]) -> str | None:
    """`if (v > m) m = v;`"""
    condition, then = node.child_by_field_name("condition"), node.child_by_field_name("consequence")
    tests = conjuncts(source, condition) if condition is not None else []
    body = statements(then) if then is not None else []
    change = assignment(source, body[0]) if len(body) == 1 else None
    is_plain = (
        len(tests) == 1 and tests[0].type == "binary_expression" and node.child_by_field_name("alternative") is None
    )
    if change is None or not is_plain or change[1] != "=" or source.of(change[0]) not in floats:
        return None
    return _extreme(source, source.of(change[0]), change[2], tests[0])


def _assigned(source: Source, node: Node, floats: set[str]) -> str | None:
    change = assignment(source, node)
    if change is not None and change[2].type == "parenthesized_expression":
        return f"{source.of(change[0])} {change[1]} {source.of(named(change[2])[0])};"
    if change is None or change[1] != "=" or source.of(change[0]) not in floats:
        return None
    name, value = source.of(change[0]), change[2]
    if value.type == "binary_expression" and source.of(value.children[1]) == "+":
        left, right = value.children[0], value.children[2]
        if source.of(left) == name and name not in source.names(right):
            return f"{name} += {source.of(right)};"
        return f"{name} += {source.of(left)};" if source.of(right) == name and name not in source.names(left) else None
    if value.type == "call_expression":
        return _called(source, name, value)
    return _chosen(source, name, value) if value.type == "conditional_expression" else None


def _called(source: Source, name: str, call: Node) -> str | None:
    """`m = max(v, m)`"""
    function, arguments = source.of(call.children[0]), named(call.children[1])
    new = _CALLS.get(function, function)
    if new not in ("fmaxf", "fminf") or len(arguments) != 2:
        return None
    texts = [source.of(a) for a in arguments]
    if name not in texts or (function == new and texts[0] == name):
        return None
    other = texts[1 - texts.index(name)]
    return f"{name} = {new}({name}, {other});"


def _chosen(source: Source, name: str, value: Node) -> str | None:
    """`m = v > m ? v : m`"""
    test, then, other = (value.child_by_field_name(n) for n in ("condition", "consequence", "alternative"))
    if test is None or then is None or other is None:
        return None
    test = conjuncts(source, test)[0]
    if test.type != "binary_expression":
        return None
    if source.of(other) == name:
        return _extreme(source, name, then, test)
    swapped = source.of(then) == name
    found = _extreme(source, name, other, test) if swapped else None
    return found and (found.replace("fmaxf", "fminf") if "fmaxf" in found else found.replace("fminf", "fmaxf"))


def _extreme(source: Source, name: str, value: Node, test: Node) -> str | None:
    """`name` replaced by `value` where the comparison holds between both."""
    left, operator, right = (source.of(c) for c in test.children)
    call = _LARGER.get(operator)
    if call is None or {left, right} != {name, source.of(value)} or left == right:
        return None
    if left == name:
        call = "fminf" if call == "fmaxf" else "fmaxf"
    return f"{name} = {call}({name}, {source.of(value)});"
