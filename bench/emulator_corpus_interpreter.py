"""Triton's interpreter made complete: scalars are tensors, as they are where a kernel is compiled, and more.

It leaves loop variables and floating-point arguments numbers of Python, on which `i.to(tl.int64)` and the like fail.
It has no results for the functions of libdevice either, and multiplies matrices of bfloat16 by their bits as integers.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np


def make_scalars_tensors() -> None:
    """For every kernel that is first launched from now on, in this process."""
    import triton.language as tl
    from triton.runtime import interpreter

    original = interpreter.FunctionRewriter._transform_ast
    convert = interpreter._implicit_cvt

    def transform(rewriter: Any, source: str) -> ast.AST:
        return ast.fix_missing_locations(_Loops().visit(original(rewriter, source)))

    def implicit_cvt(argument: Any) -> Any:
        if not isinstance(argument, float):
            return convert(argument)
        handle = interpreter.TensorHandle(np.array([argument], np.float32), tl.float32)
        return tl.tensor(handle, tl.float32)

    def as_tensors(values: Iterable[Any]) -> Iterator[Any]:
        return map(convert, values) if isinstance(values, range) else iter(values)

    interpreter._implicit_cvt = implicit_cvt
    # The interpreter makes its own names known to the functions that it rewrites.
    interpreter.as_tensors = as_tensors  # type: ignore[attr-defined]
    interpreter.FunctionRewriter._transform_ast = transform  # type: ignore[method-assign]


def multiply_bfloat16() -> None:
    """As numbers, in this process."""
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    original = InterpreterBuilder.create_dot

    def widened(operand: Any) -> Any:
        if operand.dtype.scalar != tl.bfloat16:
            return operand
        bits = operand.data.view(np.uint16).astype(np.uint32) << 16
        return TensorHandle(bits.view(np.float32), tl.float32)

    def create_dot(builder: Any, a: Any, b: Any, *rest: Any) -> Any:
        return original(builder, widened(a), widened(b), *rest)

    InterpreterBuilder.create_dot = create_dot  # type: ignore[method-assign]


def _rsqrt(x: Any) -> Any:
    return 1 / np.sqrt(x)


# Functions of one argument in libdevice, as far as the corpus calls them.
_LIBDEVICE: Mapping[str, Callable[[Any], Any]] = {
    "rsqrt": _rsqrt,
    "tanh": np.tanh,
    "exp": np.exp,
    "fast_expf": np.exp,
    "fast_logf": np.log,
    "fast_sinf": np.sin,
    "fast_cosf": np.cos,
}


def compute_libdevice() -> None:
    """For modules that are first imported from now on, in this process."""
    from triton.language.extra import libdevice
    from triton.language.extra.cuda import libdevice as cuda_libdevice

    for name, function in _LIBDEVICE.items():
        for module in (libdevice, cuda_libdevice):
            setattr(module, name, _lanewise(function))


def _lanewise(function: Callable[[Any], Any]) -> Callable[..., Any]:
    import triton.language as tl
    from triton.runtime.interpreter import TensorHandle

    def computed(x: Any, **_options: Any) -> Any:
        data = np.asarray(function(x.handle.data), x.handle.data.dtype)
        return tl.tensor(TensorHandle(data, x.handle.dtype), x.type)

    return computed


class _Loops(ast.NodeTransformer):
    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        if not _is_unrolled(node.iter):
            node.iter = ast.copy_location(ast.Call(ast.Name("as_tensors", ast.Load()), [node.iter], []), node.iter)
        return node


def _is_unrolled(loop: ast.expr) -> bool:
    """The variable of `tl.static_range` is a constant when compiled, too."""
    return isinstance(loop, ast.Call) and "static_range" in ast.unparse(loop.func)
