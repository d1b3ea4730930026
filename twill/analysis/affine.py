"""Addresses as polynomials in the iteration number, the tile axes and values that the loop leaves unchanged.

A loop-carried value that grows by an invariant amount in each iteration is `initial + iteration * amount`. What is not
understood becomes a symbol of its own, so that the result is always exact. Integers are assumed not to wrap around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ir.loop import Operation
from ir.types import Type
from twill.analysis.polynomial import Polynomial, Symbol, axis, iteration
from twill.analysis.scope import Induction, LoopArgument, Scope

# More terms than this are not worth comparing: the value becomes a symbol.
_MAX_TERMS = 64


@dataclass
class Affine:
    """Evaluates values of a scope; answers are remembered. `opaque` values are taken as symbols."""

    scope: Scope
    opaque: frozenset[str] = frozenset()
    known: dict[str, Polynomial] = field(default_factory=dict)

    def __call__(self, name: str) -> Polynomial:
        """The value as a polynomial; offsets of pointers count elements, axes are those of the value's own tile."""
        if name not in self.known:
            found = self._evaluate(name)
            self.known[name] = found if len(found.terms) <= _MAX_TERMS else self.symbol(name)
        return self.known[name]

    def symbol(self, name: str) -> Polynomial:
        """The value as an unknown of its own, which varies along each axis of more than one element."""
        shape = self.scope.types[name].shape if name in self.scope.types else ()
        return Polynomial.of(Symbol(name, tuple(i for i, n in enumerate(shape) if n > 1)))

    def _evaluate(self, name: str) -> Polynomial:
        definition = self.scope.definitions.get(name)
        if name in self.scope.unit_strides:
            return Polynomial.number(1)
        if name in self.opaque or definition is None:
            return self.symbol(name)
        if isinstance(definition, Operation):
            return self._operation(name, definition)
        if isinstance(definition, Induction):
            loop = definition.loop
            return self(loop.lower) + Polynomial.of(iteration(loop.name)) * self(loop.step)
        return self._carried(name, definition) if isinstance(definition, LoopArgument) else self.symbol(name)

    def _carried(self, name: str, definition: LoopArgument) -> Polynomial:
        inner = Affine(self.scope, self.opaque | {name})
        growth = inner(definition.carried.yielded) - self.symbol(name)
        loop = definition.loop
        varying = self.scope.defined_inside(loop)
        if any(s.name in varying or s == iteration(loop.name) for s in growth.symbols):
            return self.symbol(name)
        return self(definition.carried.initial) + growth * Polynomial.of(iteration(loop.name))

    def _operation(self, name: str, operation: Operation) -> Polynomial:
        rule = _RULES.get(operation.opcode)
        type_ = self.scope.types[name]
        if rule is None or not (type_.pointer or type_.element.startswith(("i", "index"))):
            return self.symbol(name)
        found = rule(self, operation, type_)
        return self.symbol(name) if found is None else found


def _sum(affine: Affine, operation: Operation, _type: Type) -> Polynomial:
    return affine(operation.operands[0]) + affine(operation.operands[1])


def _difference(affine: Affine, operation: Operation, _type: Type) -> Polynomial:
    return affine(operation.operands[0]) - affine(operation.operands[1])


def _product(affine: Affine, operation: Operation, _type: Type) -> Polynomial:
    return affine(operation.operands[0]) * affine(operation.operands[1])


def _shift_left(affine: Affine, operation: Operation, _type: Type) -> Polynomial | None:
    places = affine(operation.operands[1]).value
    return None if places is None or not 0 <= places < 64 else affine(operation.operands[0]) * (1 << places)


def _same(affine: Affine, operation: Operation, _type: Type) -> Polynomial:
    return affine(operation.operands[0])


def _constant(_affine: Affine, operation: Operation, _type: Type) -> Polynomial | None:
    value = operation.attributes.get("value")
    return Polynomial.number(int(value)) if isinstance(value, int) else None


def _range(_affine: Affine, operation: Operation, type_: Type) -> Polynomial:
    start = operation.attributes.get("start", 0)
    along = Polynomial.of(axis(0)) if type_.elements > 1 else Polynomial()
    return along + (start if isinstance(start, int) else 0)


def _expand(affine: Affine, operation: Operation, type_: Type) -> Polynomial:
    at = int(operation.attributes["axis"])  # type: ignore[arg-type]
    return affine(operation.operands[0]).with_axes({i: i + (i >= at) for i in range(len(type_.shape))})


def _transpose(affine: Affine, operation: Operation, _type: Type) -> Polynomial | None:
    order = operation.attributes.get("order")
    if not isinstance(order, tuple):
        return None
    return affine(operation.operands[0]).with_axes({old: new for new, old in enumerate(order)})


def _reshape(affine: Affine, operation: Operation, type_: Type) -> Polynomial | None:
    """Only where axes of one element come or go."""
    source = affine.scope.types[operation.operands[0]].shape
    old = [i for i, n in enumerate(source) if n > 1]
    new = [i for i, n in enumerate(type_.shape) if n > 1]
    if [source[i] for i in old] != [type_.shape[i] for i in new]:
        return None
    return affine(operation.operands[0]).with_axes(dict(zip(old, new, strict=True)))


_Rule = Callable[[Affine, Operation, Type], Polynomial | None]
_RULES: Mapping[str, _Rule] = {
    "arith.addi": _sum,
    "arith.subi": _difference,
    "arith.muli": _product,
    "arith.shli": _shift_left,
    "arith.constant": _constant,
    "arith.extsi": _same,
    "arith.extui": _same,
    "arith.trunci": _same,
    "arith.index_cast": _same,
    "tt.addptr": _sum,
    "tt.splat": _same,
    "tt.broadcast": _same,
    "tt.unsplat": _same,
    "tt.make_range": _range,
    "tt.expand_dims": _expand,
    "tt.trans": _transpose,
    "tt.reshape": _reshape,
}
