"""Integer expressions over named sizes, as task files write them; parsed once, never handed to `eval`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class ExpressionError(ValueError):
    """A text that is no expression, or one that has no value; `column` counts from 1 within the text."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


def cdiv(a: int, b: int) -> int:
    """Quotient rounded up.

    >>> cdiv(130, 64)
    3
    """
    return -(-a // b)


_BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CALLS: dict[str, Callable[..., int]] = {"cdiv": cdiv, "min": min, "max": max}
_GRAMMAR = "integers, names, + - * // %, parentheses, cdiv(a, b), min(...), max(...)"


@dataclass(frozen=True)
class Expression:
    """A checked expression; two are equal when their texts are.

    >>> tiles = Expression.parse("cdiv(M, BLOCK_M) * HEADS")
    >>> sorted(tiles.names)
    ['BLOCK_M', 'HEADS', 'M']
    >>> tiles.evaluate({"M": 300, "BLOCK_M": 128, "HEADS": 2})
    6
    """

    text: str
    tree: ast.expr = field(repr=False, compare=False)

    @staticmethod
    def parse(text: str | int) -> Expression:
        """Check a text (or a plain integer); raises ExpressionError with the column of the offending part."""
        try:
            tree = ast.parse(str(text).strip(), mode="eval").body
        except SyntaxError as error:
            raise ExpressionError(f"`{text}` is not an expression", error.offset or 1) from None
        _check(tree)
        return Expression(str(text).strip(), tree)

    @property
    def names(self) -> frozenset[str]:
        """The names it needs a value for."""
        calls = {id(n.func) for n in ast.walk(self.tree) if isinstance(n, ast.Call)}
        return frozenset(n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and id(n) not in calls)

    def evaluate(self, values: Mapping[str, int]) -> int:
        """Its value; raises ExpressionError for a name without a value or a division by zero."""
        try:
            return _evaluate(self.tree, values)
        except KeyError as error:
            raise ExpressionError(f"`{self.text}` needs {error.args[0]}, which has no value here") from None
        except ZeroDivisionError:
            raise ExpressionError(f"`{self.text}` divides by zero") from None

    def __str__(self) -> str:
        return self.text


def _check(node: ast.expr) -> None:
    match node:
        case ast.Constant(value=value) if type(value) is int:
            return
        case ast.Name():
            return
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left)
            _check(right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS and _arity_fits(name, args):
            for argument in args:
                _check(argument)
        case _:
            message = f"`{ast.unparse(node)}` is not allowed; an expression has {_GRAMMAR}"
            raise ExpressionError(message, node.col_offset + 1)


def _arity_fits(name: str, args: list[ast.expr]) -> bool:
    return len(args) == 2 if name == "cdiv" else len(args) >= 2


def _evaluate(node: ast.expr, values: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(operand=operand):
            return -_evaluate(operand, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _CALLS[name](*(_evaluate(a, values) for a in args))
    raise AssertionError(f"unchecked node {ast.dump(node)}")
