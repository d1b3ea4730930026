"""Indices as sums of products: `(y - 1) * w + x` is y w - w + x."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping

# Sorted factors of a product -> how often it is added; no factors for the constant.
Sums = Mapping[tuple[str, ...], int]
_DEPTH = 8


def polynomial(expression: ast.expr, definition: Callable[[str], ast.expr | None], depth: int = _DEPTH) -> Sums | None:
    """The sum; None where it is none. `definition`: what stands for a name, None for the name itself.

    >>> polynomial(ast.parse("(y - 1) * w + x", mode="eval").body, lambda name: None)
    {('w', 'y'): 1, ('w',): -1, ('x',): 1}
    """
    if isinstance(expression, ast.Constant) and isinstance(expression.value, int):
        return {(): expression.value}
    if isinstance(expression, ast.Name):
        inner = definition(expression.id) if depth else None
        return {(expression.id,): 1} if inner is None else polynomial(inner, definition, depth - 1)
    if not isinstance(expression, ast.BinOp) or type(expression.op) not in _OPERATIONS:
        return None
    left, right = (polynomial(side, definition, depth) for side in (expression.left, expression.right))
    if left is None or right is None:
        return None
    found = _OPERATIONS[type(expression.op)](left, right)
    return {factors: count for factors, count in found.items() if count}


def _sum(left: Sums, right: Sums, sign: int = 1) -> Sums:
    found = Counter(dict(left))
    for factors, count in right.items():
        found[factors] += sign * count
    return found


def _product(left: Sums, right: Sums) -> Sums:
    found = Counter[tuple[str, ...]]()
    for one, times in left.items():
        for other, count in right.items():
            found[tuple(sorted((*one, *other)))] += times * count
    return found


_OPERATIONS: Mapping[type[ast.operator], Callable[[Sums, Sums], Sums]] = {
    ast.Add: _sum,
    ast.Sub: lambda left, right: _sum(left, right, -1),
    ast.Mult: _product,
}
