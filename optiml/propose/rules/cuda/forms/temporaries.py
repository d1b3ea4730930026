"""Names for parts of an expression: after `int i = row * n + col;`, `x[i]` becomes `x[row * n + col]`."""

from __future__ import annotations

from tree_sitter import Node

from optiml.cuda_source import Source, above, named, walk
from optiml.propose.rules.cuda.forms.variables import (
    Variable,
    are_fixed_around,
    in_parentheses,
    is_fixed,
    is_simple,
    variables,
)
from optiml.propose.rules.cuda.loops import written

_BUILTINS = frozenset({"threadIdx", "blockIdx"})
_PURE = {"expf", "exp2f", "__expf", "logf", "log2f", "sqrtf", "rsqrtf", "fmaxf", "fminf", "fabsf", "tanhf", "__ldg"}
_BARRIERS = ("__syncthreads", "__syncwarp", "__threadfence", "atomicAdd")


def temporaries(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first name of an index, or of a value that loads something which nothing changes before its use.

    The thread's own index keeps its name, by which rules know it, and so do quotients and remainders.

    >>> source = Source.parse("void f(float* y, int k) { int i = k + 1; float d = y[i] - 2; y[i] = d * d; }")
    >>> source.spliced(*temporaries(source, next(walk(source.root, "function_definition"))))
    'void f(float* y, int k) {  float d = y[k + 1] - 2; y[k + 1] = d * d; }'
    """
    for variable in variables(source, function):
        names = source.names(variable.value)
        is_own_index = variable.is_integer and names & _BUILTINS
        if variable.is_pointer or is_own_index or not is_fixed(source, function, variable.name):
            continue
        is_split = variable.is_integer and any(n.type in ("/", "%") for n in walk(variable.value))
        if not variable.uses or not _is_repeatable(source, variable) or variable.type == "auto" or is_split:
            continue
        is_fixed_value = are_fixed_around(source, variable.node, names - written(source, function))
        is_index = are_fixed_around(source, variable.node, names) and _is_index(source, variable)
        if is_index or (is_fixed_value and _is_value(source, variable, names)):
            uses = [(n.start_byte, n.end_byte, _text(source, variable, n)) for n in variable.uses]
            return [(variable.node.start_byte, variable.node.end_byte, ""), *uses]
    return []


def _is_repeatable(source: Source, variable: Variable) -> bool:
    """Whether nothing is called, or functions without side effects for the one use there is."""
    called = {source.of(n.children[0]) for n in walk(variable.value, "call_expression")}
    return not called or (len(variable.uses) == 1 and called <= _PURE)


def _text(source: Source, variable: Variable, use: Node) -> str:
    is_whole = use.parent is not None and use.parent.type == "subscript_argument_list"
    return source.of(variable.value) if is_whole else in_parentheses(source, variable.value)


def _is_index(source: Source, variable: Variable) -> bool:
    """An integer that loads nothing, and is used in subscripts alone."""
    is_used = all(map(_is_in_subscript, variable.uses))
    return variable.is_integer and is_used and is_simple(source, variable.value)


def _is_in_subscript(use: Node) -> bool:
    place = above(use, "subscript_argument_list", "compound_statement")
    return place is not None and place.type == "subscript_argument_list"


def _is_value(source: Source, variable: Variable, names: frozenset[str]) -> bool:
    """A number in the body of a loop, all of whose uses come before anything that it loads can have changed."""
    block = variable.node.parent
    around = block.parent if block is not None else None
    if block is None or around is None or around.type != "for_statement" or variable.type not in ("float", "double"):
        return False
    after = [n for n in named(block) if n.start_byte > variable.node.start_byte]
    users = [n for n in after if any(n.start_byte <= u.start_byte < n.end_byte for u in variable.uses)]
    before_last = after[: after.index(users[-1])] if users else []
    is_plain = all(n.type in ("expression_statement", "declaration") for n in after[: len(before_last) + 1])
    stores = any(_stores(source, n) or names & written(source, n) for n in before_last)
    return bool(users) and is_plain and not stores and not _loops_inside(users)


def _stores(source: Source, node: Node) -> bool:
    """Whether a statement may change memory."""
    targets = (n.children[0] for n in walk(node, "assignment_expression", "update_expression"))
    return any(t.type != "identifier" for t in targets) or bool(source.names(node) & set(_BARRIERS))


def _loops_inside(nodes: list[Node]) -> bool:
    return any(any(walk(n, "for_statement", "while_statement")) for n in nodes)
