"""Calls of device functions replaced by the functions' bodies, so that a rule sees the whole kernel."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from tree_sitter import Node

from optiml.cuda_source import Source, above, named, unqualified, walk
from optiml.propose.rules.cuda.loops import written

_LIMIT = 40
_ATOMS = (
    "identifier",
    "number_literal",
    "field_expression",
    "subscript_expression",
    "call_expression",
    "true",
    "false",
)
# What may stand between a call and its statement, if statements are put before it: nothing that skips or repeats it.
_CONDITIONAL = ("conditional_expression", "lambda_expression", "condition_clause")


@dataclass(frozen=True)
class _Function:
    """A device function: parameters as (type, name), statements, and the expression of a `return` at its end."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    statements: tuple[Node, ...] = field(repr=False)
    result: Node | None = field(repr=False)
    source: Source = field(repr=False)


def inlined(text: str, entry: str) -> str:
    """The text with every call in the entry that can be inlined so; the functions stay.

    >>> inlined("__device__ float g(float x) { return x * x; } __global__ void f(float* y) { *y = g(*y + 1); }", "f")
    '__device__ float g(float x) { return x * x; } __global__ void f(float* y) { *y = ((*y + 1) * (*y + 1)); }'
    """
    for _ in range(_LIMIT):
        changed = _once(Source.parse(text), entry)
        if changed is None:
            return text
        text = changed
    return text


def _once(source: Source, entry: str) -> str | None:
    defined = [f for n in walk(source.root, "function_definition") if (f := _function(source, n)) is not None]
    names = Counter(source.function_name(n) for n in walk(source.root, "function_definition"))
    # Which of several functions of a name is meant is for a compiler to say.
    functions = {f.name: f for f in defined if names[f.name] == 1}
    kernel = source.function(entry)
    for call in walk(kernel, "call_expression") if kernel is not None else ():
        function = functions.get(unqualified(source.of(call.children[0])))
        if function is not None and kernel is not None and function.name != unqualified(entry):
            changed = _inlined(source, kernel, call, function)
            if changed is not None:
                return changed
    return None


def _inlined(source: Source, kernel: Node, call: Node, function: _Function) -> str | None:
    arguments = named(call.children[1])
    if len(arguments) != len(function.parameters):
        return None
    taken = source.names(kernel)
    names, copies = _bindings(source, arguments, function, taken)
    if not function.statements and function.result is not None and not copies:
        return source.replaced((call, f"({function.source.substituted(function.result, names)})"))
    local = {n: _fresh(n, taken) for s in function.statements for n in _locals(function.source, s)}
    body = " ".join(function.source.substituted(s, {**names, **local}) for s in function.statements)
    before = " ".join([*copies, body])
    if function.result is None:
        statement = call.parent
        is_whole = statement is not None and statement.type == "expression_statement"
        return source.replaced((statement, f"{{ {before} }}")) if is_whole and statement is not None else None
    result = f"({function.source.substituted(function.result, {**names, **local})})"
    return _hoisted(source, call, before, result)


def _hoisted(source: Source, call: Node, before: str, result: str) -> str | None:
    """`before` put in front of the statement of the call, where the statement evaluates it exactly once."""
    statement = above(call, "expression_statement", "declaration", *_CONDITIONAL, "for_statement", "while_statement")
    if statement is None or statement.type not in ("expression_statement", "declaration"):
        return None
    if statement.parent is None or (statement.parent.type == "for_statement" and statement.type == "declaration"):
        return None
    if any(source.of(n) in ("&&", "||") for n in walk(statement)):
        return None
    place = statement.start_byte, statement.start_byte
    if statement.parent.type == "compound_statement":
        return source.spliced((*place, f"{before} "), (call.start_byte, call.end_byte, result))
    end = statement.end_byte
    return source.spliced((*place, f"{{ {before} "), (call.start_byte, call.end_byte, result), (end, end, " }"))


def _bindings(
    source: Source, arguments: list[Node], function: _Function, taken: frozenset[str]
) -> tuple[dict[str, str], list[str]]:
    """Parameter -> what it stands for; and declarations of copies, for parameters that the function changes."""
    bodies = [*function.statements, *([function.result] if function.result is not None else [])]
    changed = frozenset(name for node in bodies for name in written(function.source, node))
    names, copies = {}, []
    for (kind, name), argument in zip(function.parameters, arguments, strict=True):
        text = source.of(argument)
        if "&" not in kind and (name in changed or any(walk(argument, "update_expression", "assignment_expression"))):
            names[name] = _fresh(name, taken)
            copies.append(f"{kind} {names[name]} = {text};")
            continue
        names[name] = text if argument.type in _ATOMS else f"({text})"
    return names, copies


def _function(source: Source, node: Node) -> _Function | None:
    """Only a `return` at the end; no templates, whose parameters would have to be deduced; no pragmas lost."""
    body, name = node.child_by_field_name("body"), source.function_name(node)
    is_template = node.parent is not None and node.parent.type == "template_declaration"
    if body is None or is_template or not re.search(r"\b__device__\b", source.of(node).partition("(")[0]):
        return None
    *first, last = [*named(body)] or [body]
    returns = list(walk(body, "return_statement"))
    has_result = last.type == "return_statement"
    if len(returns) != int(has_result) or any(walk(body, "initializer_list", "goto_statement")):
        return None
    parameters = tuple(_parameter(source, n) for n in walk(node, "parameter_declaration"))
    rest = tuple(first) if has_result else (*first, last)
    return _Function(name, parameters, rest, named(last)[0] if has_result and named(last) else None, source)


def _parameter(source: Source, node: Node) -> tuple[str, str]:
    name = list(walk(node, "identifier"))[-1:]
    if not name:
        return source.of(node), ""
    return source.of(node)[: name[0].start_byte - node.start_byte].strip(), source.of(name[0])


def _locals(source: Source, node: Node) -> list[str]:
    declarations = (d for d in walk(node, "declaration"))
    declarators = (n for d in declarations for n in d.children if "declarator" in n.type or n.type == "identifier")
    return [source.of(next(walk(n, "identifier"))) for n in declarators]


def _fresh(name: str, taken: frozenset[str]) -> str:
    return next(c for c in (name, *(f"{name}_{i}" for i in range(2, 100))) if c not in taken)
