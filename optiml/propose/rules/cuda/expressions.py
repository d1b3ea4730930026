"""Expressions of the task file in C++: sizes become the kernel's scalars, constants become numbers."""

from __future__ import annotations

import ast

from ir.expression import Expression, ExpressionError
from optiml.propose.rules.cuda.kernel import CudaKernel

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "/", ast.Mod: "%"}


def in_cpp(kernel: CudaKernel, text: str) -> str | None:
    """The expression in C++, None where a size is no scalar argument of the kernel."""
    scalars = {str(p.argument.get("value")): p.name for p in kernel.parameters if p.argument.get("kind") == "scalar"}
    constants = {name: str(v) for name, v in kernel.unit.constants.items() if isinstance(v, int)}
    try:
        return _text(Expression.parse(text).tree, {**scalars, **constants})
    except (ExpressionError, KeyError):
        return None


def _text(node: ast.expr, names: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(operand=operand):
            return f"-({_text(operand, names)})"
        case ast.BinOp(left=left, op=op, right=right):
            return f"({_text(left, names)} {_OPERATORS[type(op)]} {_text(right, names)})"
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, [_text(a, names) for a in args])
    raise KeyError("no expression")


def _call(name: str, arguments: list[str]) -> str:
    if name == "cdiv":
        a, b = arguments
        return f"(({a} + {b} - 1) / {b})"
    first, *rest = arguments
    for other in rest:
        first = f"{name}({first}, {other})"
    return first
