"""Triton's interpreter with loop variables and numbers given as arguments that are tensors, as where it is compiled.

It leaves loop variables and floats numbers of Python, on which `i.to(tl.int64)` and the like fail, and with them most kernels of a corpus.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any


def make_scalars_tensors() -> None:
    """For every kernel that is first launched from now on, in this process."""
    import numpy as np
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


class _Loops(ast.NodeTransformer):
    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        if not _is_unrolled(node.iter):
            node.iter = ast.copy_location(ast.Call(ast.Name("as_tensors", ast.Load()), [node.iter], []), node.iter)
        return node


def _is_unrolled(loop: ast.expr) -> bool:
    """The variable of `tl.static_range` is a constant when compiled, too."""
    return isinstance(loop, ast.Call) and "static_range" in ast.unparse(loop.func)
