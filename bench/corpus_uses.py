"""What the body of a Triton kernel does with its parameters: read from its Python syntax tree.

A parameter is a pointer if the address of a load or store has it as a term of its sum, and an index if what is loaded
there is part of another address or of the bounds of a loop; optional if it is compared with None; a flag if it is
tested; a choice if it is compared with a string or a number; a range if `tl.arange` ends there.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Functions of triton.language whose first argument is an address.
_ADDRESS_TAKERS = frozenset(
    (
        "load",
        "store",
        "make_block_ptr",
        "make_tensor_descriptor",
        "_experimental_make_tensor_descriptor",
        "atomic_add",
        "atomic_max",
        "atomic_min",
        "atomic_cas",
        "atomic_xchg",
        "atomic_and",
        "atomic_or",
    )
)
# Those that return their first argument, for the address in it.
_TRANSPARENT = frozenset(("multiple_of", "max_contiguous", "cast", "broadcast_to", "to"))
Terms = frozenset[str]


@dataclass
class Uses:
    """Parameters by what is done with them."""

    pointers: set[str] = field(default_factory=set)
    indices: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)
    choices: dict[str, str | int] = field(default_factory=dict)
    ranges: set[str] = field(default_factory=set)


@functools.cache
def uses_of(function: Any) -> Uses:
    """Uses of the parameters of a `triton.JITFunction`, seen through the functions that it calls."""
    return _Reader(function, frozenset()).read()


def named_functions(function: Any) -> Iterator[Any]:
    """The Triton functions that a Triton function calls or hands on."""
    nodes = (node for node in ast.walk(function.parse()) if isinstance(node, ast.Name | ast.Attribute))
    yield from (found for node in nodes if (found := _named(function, node)) is not None)


def _named(function: Any, node: ast.expr) -> Any:
    """The `JITFunction` that a name means; None for anything else."""
    known = function.fn.__globals__
    match node:
        case ast.Name(name):
            found = known.get(name)
        case ast.Attribute(ast.Name(module), name):
            found = getattr(known.get(module), name, None)
        case _:
            return None
    return found if type(found).__name__ == "JITFunction" else None


class _Reader(ast.NodeVisitor):
    """Walks a kernel in source order; `terms` maps a variable to the alternatives of what its sum is made of."""

    def __init__(self, function: Any, outer: frozenset[Any]) -> None:
        self.function = function
        self.outer = outer | {function}
        self.parameters = list(function.arg_names)
        self.terms: dict[str, list[Terms]] = {name: [frozenset((name,))] for name in self.parameters}
        # Variable -> pointers from which its value was loaded.
        self.loaded: dict[str, set[str]] = {}
        self.uses = Uses()

    def read(self) -> Uses:
        tree = self.function.parse()
        for _ in range(2):
            self.visit(tree)
        return self.uses

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._assign(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if node.value is not None:
            self._assign(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name):
            self._assign(node.target, ast.BinOp(node.target, node.op, node.value))

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(target.elts, value.elts, strict=False):
                self._assign(one, other)
        elif isinstance(target, ast.Name):
            known = self.terms.setdefault(target.id, [])
            known += [terms for terms in self._sum(value) if terms not in known]
            self.loaded.setdefault(target.id, set()).update(self._origins(value))

    def _origins(self, node: ast.expr) -> set[str]:
        """Pointers whose contents are part of a value."""
        match node:
            case ast.Name(name):
                return self.loaded.get(name, set())
            case ast.Call(ast.Attribute(_, "load"), [address, *_]):
                return {name for terms in self._sum(address) for name in terms & self.uses.pointers}
            case ast.Call(_, arguments, keywords):
                inner = [*arguments, *(k.value for k in keywords), *_receiver(node)]
                return set[str]().union(*(self._origins(each) for each in inner))
        parts = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
        return set[str]().union(*(self._origins(each) for each in parts))

    def _sum(self, node: ast.expr) -> list[Terms]:
        """Alternatives of the parameters that an expression is a sum of."""
        match node:
            case ast.Name(name):
                return self.terms.get(name, [frozenset()])
            case ast.BinOp(left, ast.Add(), right):
                others = frozenset[str]().union(*self._sum(right))
                return [terms | others for terms in self._sum(left)] or [others]
            case ast.BinOp(left, ast.Sub(), _) | ast.Subscript(left):
                return self._sum(left)
            case ast.IfExp(_, body, orelse):
                return self._sum(body) + self._sum(orelse)
            case ast.Call(ast.Attribute(inner, name), arguments) if name in _TRANSPARENT:
                return self._sum(arguments[0] if _is_language(inner) and arguments else inner)
        return [frozenset()]

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _ADDRESS_TAKERS:
            self._addresses([*node.args[:1], *(k.value for k in node.keywords if k.arg in ("base", "pointer"))][:1])
            self._note_indices(node.args if "make" in node.func.attr else node.args[:1])
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "arange":
            self.uses.ranges |= {a.id for a in node.args[1:2] if isinstance(a, ast.Name)}
        elif isinstance(node.func, ast.Name) and node.func.id == "range":
            self._note_indices(node.args)
        elif (callee := _named(self.function, node.func)) is not None and callee not in self.outer:
            self._through(node, callee)

    def _note_indices(self, nodes: list[ast.expr]) -> None:
        self.uses.indices |= set[str]().union(*(self._origins(node) for node in nodes))

    def _through(self, node: ast.Call, callee: Any) -> None:
        inner = _Reader(callee, self.outer).read()
        named = {k.arg: k.value for k in node.keywords if k.arg}
        bound = {**dict(zip(callee.arg_names, node.args, strict=False)), **named}
        self._addresses([value for name, value in bound.items() if name in inner.pointers])
        for name, value in bound.items():
            if isinstance(value, ast.Name) and value.id in self.parameters:
                self._inherit(inner, name, value.id)

    def _inherit(self, inner: Uses, name: str, own: str) -> None:
        for kind in ("optional", "flags", "ranges", "indices"):
            if name in getattr(inner, kind):
                getattr(self.uses, kind).add(own)
        if name in inner.choices:
            self.uses.choices.setdefault(own, inner.choices[name])

    def _addresses(self, nodes: list[ast.expr]) -> None:
        """The first parameter of a sum is taken for the pointer, an offset for one of the others."""
        for node in nodes:
            for terms in self._sum(node):
                known = terms & self.uses.pointers
                if terms and not known:
                    self.uses.pointers.add(min(terms, key=self._unlikeliness))

    def _unlikeliness(self, name: str) -> tuple[bool, int]:
        return not name.lower().endswith(("ptr", "ptrs")), self.parameters.index(name)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        if not isinstance(node.left, ast.Name):
            return
        value = self._constant(node.comparators[0])
        if isinstance(node.ops[0], ast.Is | ast.IsNot) and value is None:
            self.uses.optional.add(node.left.id)
        elif isinstance(value, str | int) and isinstance(node.ops[0], ast.Eq):
            self.uses.choices.setdefault(node.left.id, value)

    def _constant(self, node: ast.expr) -> Any:
        """A literal, or the value of a global `tl.constexpr`."""
        if isinstance(node, ast.Name):
            return getattr(self.function.fn.__globals__.get(node.id), "value", node)
        return node.value if isinstance(node, ast.Constant) else node

    def visit_If(self, node: ast.If) -> None:
        self.generic_visit(node)
        self.uses.flags |= set(_tested(node.test))

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.generic_visit(node)
        self.uses.flags |= set(_tested(node.test))


def _receiver(call: ast.Call) -> list[ast.expr]:
    """`x` of `x.method()`, nothing for `tl.function()`."""
    match call.func:
        case ast.Attribute(inner, _) if not _is_language(inner):
            return [inner]
    return []


def _is_language(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("tl", "triton")


def _tested(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name(name):
            yield name
        case ast.UnaryOp(ast.Not(), operand):
            yield from _tested(operand)
        case ast.BoolOp(_, values):
            for value in values:
                yield from _tested(value)
