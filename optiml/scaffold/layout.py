"""Shapes and grids from indices: `(b * rows + y) * cols + x` is an element of a tensor of BATCH x ROWS x COLS.

Extents behind the first are the factors of Horner's scheme; the first is what its variable is compared with. A stride
is a factor that stands for the extent behind it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from optiml.scaffold.facts import LANE, PROGRAMS, Facts

_DEPTH = 4


@dataclass
class Layout:
    """What follows from the facts. `sizes`: new symbols, where no parameter bounds; `strides`: their extents."""

    facts: Facts
    sizes: dict[str, str] = field(default_factory=dict)
    strides: dict[str, str] = field(default_factory=dict)

    def shape(self, tensor: str) -> tuple[str, ...]:
        """Extents in the symbols of the task; empty where the indices do not tell."""
        found = [s for index in self.facts.accesses.get(tensor, ()) if (s := self._extents(index))]
        return max(found, key=len, default=())

    @cached_property
    def grid(self) -> tuple[str, ...]:
        """Programs along each axis in use; `?` where the source does not tell."""
        axes = [self._programs(axis) for axis in PROGRAMS]
        last = max((i for i, a in enumerate(axes) if a), default=-1)
        return tuple(a or "1" for a in axes[: last + 1])

    def symbol(self, name: str) -> str:
        """The size that a parameter stands for."""
        return self.strides.get(name, name.upper())

    def _extents(self, index: ast.expr) -> tuple[str, ...]:
        terms = list(_terms(self._opened(index)))
        for term in terms:
            rest, factor = self._factored(term)
            if factor is None or rest is None:
                continue
            outer = self._extents(rest)
            inner = [t for t in terms if t is not term]
            return (*outer, self._inner(factor, inner)) if outer else ()
        named = [n.id for t in terms for n in ast.walk(t) if isinstance(n, ast.Name)]
        return next(((e,) for e in map(self._bound, named) if e), ("1",) if not named else ())

    def _factored(self, term: ast.expr) -> tuple[ast.expr | None, str | None]:
        """`rest * size`; two Nones for another term."""
        if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult):
            for rest, factor in ((term.left, term.right), (term.right, term.left)):
                if isinstance(factor, ast.Name) and (
                    factor.id in self.facts.whole or factor.id in self.facts.constants
                ):
                    return rest, factor.id
        return None, None

    def _inner(self, factor: str, inner: list[ast.expr]) -> str:
        if "stride" not in factor.lower():
            return self.symbol(factor)
        named = [n.id for t in inner for n in ast.walk(t) if isinstance(n, ast.Name)]
        found = next((e for e in map(self._bound, named) if e), factor.upper())
        self.strides[factor] = found
        return found

    def _bound(self, name: str) -> str:
        """What a variable is below; a program's own number that nothing bounds is below a size of its own."""
        if name in self.facts.bounds:
            bound = self.facts.bounds[name]
            return bound if bound.isdigit() else self.symbol(bound)
        definition = self.facts.definitions.get(name)
        if isinstance(definition, ast.Name) and definition.id in PROGRAMS:
            return self.sizes.setdefault(name, f"{name.upper()}S")
        return ""

    def _opened(self, index: ast.expr) -> ast.expr:
        """The definition of a variable that has no bound of its own."""
        for _ in range(_DEPTH):
            if not isinstance(index, ast.Name) or index.id in self.facts.bounds:
                break
            definition = self.facts.definitions.get(index.id)
            if definition is None or (isinstance(definition, ast.Name) and definition.id in PROGRAMS):
                break
            index = definition
        return index

    def _programs(self, axis: str) -> str:
        known = [name for name in self.facts.definitions if name in self.facts.bounds]
        found = (text for name in (*known, *self.sizes) for text in self._covered(name, axis))
        mentioned = any(axis in _names(d) for d in self.facts.definitions.values())
        return next(found, "?" if mentioned else "")

    def _covered(self, name: str, axis: str) -> Iterator[str]:
        """Programs that a variable needs along an axis to go up to its bound."""
        bound = self._bound(name)
        if not bound:
            return
        for term in _terms(self._expanded(self.facts.definitions[name])):
            if isinstance(term, ast.Name) and term.id == axis:
                yield bound
            if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult) and axis in _names(term):
                others = [side for side in (term.left, term.right) if axis not in _names(side)]
                if others and isinstance(others[0], ast.Name | ast.Constant):
                    yield f"cdiv({bound}, {ast.unparse(others[0])})"

    def _expanded(self, expression: ast.expr) -> ast.expr:
        """With variables that have definitions replaced by them."""
        for _ in range(_DEPTH):
            expression = _Opening(self.facts).visit(ast.parse(ast.unparse(expression), mode="eval").body)
        return expression


@dataclass(frozen=True)
class _Opening(ast.NodeTransformer):
    facts: Facts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.facts.definitions.get(node.id, node) if node.id not in (*PROGRAMS, LANE) else node


def _terms(expression: ast.expr) -> Iterator[ast.expr]:
    """What is added and subtracted."""
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Add | ast.Sub):
        yield from _terms(expression.left)
        yield from _terms(expression.right)
    else:
        yield expression


def _names(expression: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(expression) if isinstance(n, ast.Name)}
