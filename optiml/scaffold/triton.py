"""Triton kernels read through Python's tree: parameters, masks, addresses, and how the file itself launches them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ir.diagnostics import fail
from optiml.scaffold.facts import LANE, PROGRAMS, Facts, Parameter

_BLOCK = 128
# How (load, store, atomic) and at which index.
Access = tuple[str, ast.expr]


def triton_kernels(text: str) -> Iterator[Facts]:
    """Every function of a file under `@triton.jit`. Raises UserError `user-code-error` for what is no Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise fail("user-code-error", f"invalid syntax: {error.msg}") from None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any("jit" in ast.unparse(d) for d in node.decorator_list):
            yield _facts(tree, node)


def _facts(tree: ast.Module, function: ast.FunctionDef) -> Facts:
    launched, definitions = _launched(tree, function.name), dict(_definitions(function))
    touched = dict(_touched(function, definitions))
    parameters = tuple(_parameter(a, touched) for a in function.args.args)
    return Facts(
        entry=function.name,
        parameters=parameters,
        definitions=definitions,
        bounds=dict(_bounds(function, {p.name for p in parameters if not p.role})),
        accesses={p.name: tuple(e for _, e in touched.get(p.name, ())) for p in parameters if p.role},
        constants={p.name: launched.get(p.name, _usual(p.name)) for p in parameters if p.is_constant},
        changing=frozenset(_changing(function)),
        launch={k: v for k, v in launched.items() if k in ("num_warps", "num_stages")},
    )


def _usual(name: str) -> int:
    return _BLOCK if "BLOCK" in name.upper() else 1


def _parameter(argument: ast.arg, touched: Mapping[str, Sequence[Access]]) -> Parameter:
    name = argument.arg
    if argument.annotation is not None and "constexpr" in ast.unparse(argument.annotation):
        return Parameter(name, "i32", is_constant=True)
    ways = {way for way, _ in touched.get(name, ())}
    if not ways and not name.endswith("_ptr"):
        return Parameter(name, "i32")
    role = "out" if ways == {"store"} else "in" if ways <= {"load"} else "inout"
    return Parameter(name, "fp32", role, is_guessed=True)


def _launched(tree: ast.Module, entry: str) -> dict[str, Any]:
    """Keywords with plain values of the first launch in the file: `kernel[grid](..., BLOCK=1024, num_warps=8)`."""
    for n in ast.walk(tree):
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Subscript) and ast.unparse(n.func.value) == entry:
            return {k.arg: k.value.value for k in n.keywords if k.arg and isinstance(k.value, ast.Constant)}
    return {}


def _definitions(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """The first value of each variable."""
    for n in reversed([n for n in ast.walk(function) if isinstance(n, ast.Assign)]):
        if isinstance(n.targets[0], ast.Name):
            yield n.targets[0].id, _plain(n.value)


def _changing(function: ast.FunctionDef) -> Iterator[str]:
    """Variables of loops, and those that are set more than once."""
    seen = set[str]()
    for n in ast.walk(function):
        targets = (
            n.targets if isinstance(n, ast.Assign) else [n.target] if isinstance(n, ast.For | ast.AugAssign) else []
        )
        for name in (t.id for t in targets if isinstance(t, ast.Name)):
            if name in seen or not isinstance(n, ast.Assign):
                yield name
            seen.add(name)


def _bounds(function: ast.FunctionDef, scalars: set[str]) -> Iterator[tuple[str, str]]:
    for n in ast.walk(function):
        if isinstance(n, ast.Compare) and isinstance(n.ops[0], ast.Lt) and isinstance(n.comparators[0], ast.Name):
            named = [m.id for m in ast.walk(_plain(n.left)) if isinstance(m, ast.Name)]
            if named and n.comparators[0].id in scalars:
                yield named[-1], n.comparators[0].id


def _touched(function: ast.FunctionDef, definitions: Mapping[str, ast.expr]) -> Iterator[tuple[str, list[Access]]]:
    """For each parameter that is an address: how it is accessed, and at which index."""
    names, moved = {a.arg for a in function.args.args}, dict(_moved(function))
    found: dict[str, list[Access]] = {}
    for call in (n for n in ast.walk(function) if isinstance(n, ast.Call) and n.args):
        way = re.fullmatch(r"tl\.(load|store|atomic)\w*", ast.unparse(call.func))
        if way is None:
            continue
        terms = list(_opened(_plain(call.args[0]), definitions))
        named = [t.id for t in terms if isinstance(t, ast.Name) and t.id in names]
        pointer = next((n for n in named if "ptr" in n), named[0] if named else "")
        rest = [t for t in (*moved.get(pointer, ()), *terms) if not (isinstance(t, ast.Name) and t.id == pointer)]
        if pointer:
            found.setdefault(pointer, []).append((way[1], _sum(rest)))
    return iter(found.items())


def _moved(function: ast.FunctionDef) -> Iterator[tuple[str, list[ast.expr]]]:
    """What is added to a parameter itself: `x_ptr += row * cols`, outside of loops."""
    for n in function.body:
        if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name) and isinstance(n.op, ast.Add):
            yield n.target.id, list(_terms(_plain(n.value)))


def _opened(address: ast.expr, definitions: Mapping[str, ast.expr], depth: int = 4) -> Iterator[ast.expr]:
    """The terms of an address, with variables that hold addresses replaced by what they are."""
    for term in _terms(address):
        held = definitions.get(term.id) if isinstance(term, ast.Name) else None
        if held is not None and depth and _holds_address(held, definitions):
            yield from _opened(held, definitions, depth - 1)
        else:
            yield term


def _holds_address(expression: ast.expr, definitions: Mapping[str, ast.expr]) -> bool:
    """By name: addresses are called so, and so are the variables that they are made of."""
    names = [n.id for n in ast.walk(expression) if isinstance(n, ast.Name)]
    return any("ptr" in n or _holds_address(definitions[n], {}) for n in names if "ptr" in n or n in definitions)


def _sum(terms: Sequence[ast.expr]) -> ast.expr:
    found: ast.expr = terms[0] if terms else ast.Constant(0)
    for term in terms[1:]:
        found = ast.BinOp(found, ast.Add(), term)
    return found


def _terms(expression: ast.expr) -> Iterator[ast.expr]:
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Add):
        yield from _terms(expression.left)
        yield from _terms(expression.right)
    else:
        yield expression


def _plain(expression: ast.expr) -> ast.expr:
    """Without broadcasts (`x[:, None]`) and conversions; numbers of programs and lanes under their common names."""
    found: ast.expr = _Plain().visit(ast.parse(ast.unparse(expression), mode="eval").body)
    return found


class _Plain(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        found: ast.expr = self.visit(node.value)
        return found

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = ast.unparse(node.func)
        if name == "tl.program_id":
            axis = node.args[0] if node.args else node.keywords[0].value
            is_known = isinstance(axis, ast.Constant) and isinstance(axis.value, int)
            return ast.Name(PROGRAMS[axis.value]) if is_known else node  # type: ignore[attr-defined]
        if name == "tl.arange":
            return ast.Name(LANE)
        if name.endswith(".to") and isinstance(node.func, ast.Attribute):
            found: ast.expr = self.visit(node.func.value)
            return found
        return node
