"""Shapes and grids from indices: `(b * rows + y) * cols + x` is an element of a tensor of BATCH x ROWS x COLS.

Extents behind the first are the factors of Horner's scheme; the first is what its variable is compared with. A stride
is a factor that stands for the extent behind it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from optiml.scaffold.facts import LANE, PROGRAMS, Facts
from optiml.scaffold.polynomial import polynomial

_DEPTH = 4
_BLOCK_DIM = re.compile(r"block_dim_\w")


@dataclass
class Layout:
    """What follows from the facts. `sizes`: new symbols, where no parameter bounds; `strides`: their extents."""

    facts: Facts
    sizes: dict[str, str] = field(default_factory=dict)
    strides: dict[str, str] = field(default_factory=dict)

    def shape(self, tensor: str) -> tuple[str, ...]:
        """Extents in the symbols of the task; empty where the indices do not tell."""
        indices = (index for index in self.facts.accesses.get(tensor, ()) if index is not None)
        found = [s for index in indices if (s := self._extents(index))]
        return max(found, key=len, default=())

    def is_certain(self, tensor: str) -> bool:
        """Whether every index of a tensor goes through just its shape: variables below its extents, in their order."""
        shape = self.shape(tensor)
        return bool(shape) and all(self._exact(index) == shape for index in self.facts.accesses[tensor])

    @cached_property
    def grid(self) -> tuple[str, ...]:
        """Programs along each axis in use; `?` where the source does not tell. `blockDim` is the block's own extent."""
        axes = [self._programs(axis) for axis in PROGRAMS]
        last = max((i for i, a in enumerate(axes) if a), default=-1)
        threads = [*map(str, self.facts.threads), "1", "1", "1"]
        return tuple(_BLOCK_DIM.sub(threads[i], a) or "1" for i, a in enumerate(axes[: last + 1]))

    def within_blocks(self) -> Iterator[tuple[str, str]]:
        """(variable, its bound) of threads that do not go on to further elements: one block has to reach the bound."""
        for name in self.facts.bounds:
            definition = self._expanded(self.facts.definitions[name])
            if name not in self.facts.changing and isinstance(definition, ast.Name) and definition.id == LANE:
                yield name, self._bound(name)

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

    def _exact(self, index: ast.expr | None) -> tuple[str, ...] | None:
        """The extents of `(v0 * E1 + v1) * E2 + v2` where each variable's bound is its extent; None for all else."""
        whole = {*self.facts.whole, *self.facts.constants}
        sums = polynomial(index, self._definition) if index is not None else None
        if sums is None:
            return None
        levels: dict[tuple[str, ...], str] = {}
        for factors, count in sums.items():
            variables = [f for f in factors if f not in whole]
            level = tuple(f for f in factors if f in whole)
            if len(variables) > 1 or (variables and (count != 1 or level in levels)):
                return None
            if variables:
                levels[level] = variables[0]
        order = sorted(levels, key=len)
        offsets = {f: c for f, c in sums.items() if f in levels or not set(f) - whole}
        is_inside = all(c <= self.facts.slack.get(levels.get(f, ""), 0) for f, c in offsets.items())
        return self._nested([(level, levels[level]) for level in order]) if is_inside else None

    def _nested(self, levels: list[tuple[tuple[str, ...], str]]) -> tuple[str, ...] | None:
        """Extents, outermost first, of variables with the factors before them, innermost first."""
        if not levels:
            return ("1",)
        bounds = [self._bound(variable) for _, variable in levels]
        for (level, _), (outer, _), bound in zip(levels, levels[1:], bounds, strict=False):
            extent = list(outer)
            for factor in level:
                if factor not in extent:
                    return None
                extent.remove(factor)
            if len(extent) != 1 or self.symbol(extent[0]) != bound:
                return None
        return tuple(reversed(bounds)) if all(bounds) and not levels[0][0] else None

    def _definition(self, name: str) -> ast.expr | None:
        """What a variable is that has no bound of its own."""
        if name in self.facts.bounds or name in self.facts.changing:
            return None
        found = self.facts.definitions.get(name)
        return None if isinstance(found, ast.Name) and found.id in PROGRAMS else found

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
        is_extent = factor in self.facts.bounds.values() or factor in self.facts.constants
        if is_extent and "stride" not in factor.lower():
            return self.symbol(factor)
        named = [n.id for t in inner for n in ast.walk(t) if isinstance(n, ast.Name)]
        found = next((e for e in map(self._bound, named) if e), "")
        if not found:
            return self.symbol(factor)
        self.strides[factor] = found
        return found

    def _bound(self, name: str) -> str:
        """What a variable is below; a program's own number that nothing bounds is below a size of its own."""
        if name in self.facts.bounds:
            bound = self.facts.bounds[name]
            return bound if bound.isdigit() else self.symbol(bound)
        definition = self.facts.definitions.get(name)
        if isinstance(definition, ast.Name) and definition.id in PROGRAMS:
            taken = {self.symbol(parameter) for parameter in self.facts.whole}
            own = f"{name.upper()}S"
            return self.sizes.setdefault(name, f"{name.upper()}_COUNT" if own in taken else own)
        return ""

    def _opened(self, index: ast.expr) -> ast.expr:
        """The definition of a variable that has no bound of its own."""
        for _ in range(_DEPTH):
            definition = self._definition(index.id) if isinstance(index, ast.Name) else None
            if definition is None:
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
            if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult):
                for side, other in ((term.left, term.right), (term.right, term.left)):
                    if ast.unparse(side) == axis and isinstance(other, ast.Name | ast.Constant):
                        yield f"cdiv({bound}, {ast.unparse(other)})"

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
