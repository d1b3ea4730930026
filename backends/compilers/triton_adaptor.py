"""The one place that calls Triton's compiler: supports 3.6 to 3.9, and says so where a version differs.

Nothing here needs a GPU. Compilation stops after TTIR (inlining, canonicalisation, common subexpressions).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ir.diagnostics import fail, missing

# Attribute on the module whose only purpose is to make it invalid, see `generic_text`.
_MARK = "printed-generically"
# Options on which the TTIR does not depend; to give them silences Triton's advice about its future default.
FIXED_OPTIONS = {"enable_fp_fusion": True}


@dataclass(frozen=True)
class Request:
    """One compilation: signature (parameter -> type or `constexpr`), constants, attributes by position, options."""

    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    attributes: Mapping[tuple[int], list[list[Any]]]
    capability: int
    num_warps: int
    num_stages: int


def require_triton() -> Any:
    """The module `triton`. Raises UserError (`missing-part`)."""
    try:
        import triton
    except ImportError:
        works = "graphs and PTX files can be scheduled without it"
        raise missing("triton", "pip install 'triton>=3.6,<3.10'", works) from None
    return triton


def dtype(name: str) -> Any:
    """Triton's dtype `float16` or `fp16`. Raises UserError (`unknown-dtype`)."""
    require_triton()
    import triton.language

    found = getattr(triton.language, name, None)
    if isinstance(found, triton.language.dtype):
        return found
    try:
        return triton.language.dtype(name)
    except AssertionError:
        raise fail("unknown-dtype", f"`tl.{name}` is no dtype", remedy="write tl.float16 or the like") from None


@functools.cache
def backend(capability: int) -> Any:
    """Triton's CUDA backend for a compute capability."""
    require_triton()
    from triton.backends.compiler import GPUTarget
    from triton.compiler.compiler import make_backend

    return make_backend(GPUTarget("cuda", capability, 32))


def new_context(capability: int) -> Any:
    """A fresh MLIR context with the dialects of Triton and of its CUDA backend."""
    from triton._C.libtriton import ir

    context = ir.context()
    ir.load_dialects(context)
    backend(capability).load_dialects(context)
    return context


def compile_ttir(function: Any, request: Request) -> str:
    """Compile a `triton.JITFunction` to TTIR; the module in generic form.

    Raises what Triton raises: CompilationError for the user's errors, RuntimeError where a pass fails.
    """
    from triton.compiler.compiler import ASTSource

    cuda = backend(request.capability)
    chosen = {"num_warps": request.num_warps, "num_stages": request.num_stages, **FIXED_OPTIONS}
    options = cuda.parse_options(chosen)
    context = new_context(request.capability)
    source = ASTSource(function, dict(request.signature), dict(request.constants), dict(request.attributes))
    module = source.make_ir(
        cuda.target, options, cuda.get_codegen_implementation(options), cuda.get_module_map(), context
    )
    return generic_text(cuda.make_ttir(module, {}, options, request.capability), context)


def parse_module(path: str, capability: int) -> str:
    """Parse a .ttir, .ttgir or .mlir file; the module in generic form.

    Raises RuntimeError for an invalid file, after MLIR has written its diagnostics to file descriptor 2. A file that
    is bad enough can end the process: parse it in a process of its own.
    """
    from triton._C.libtriton import ir

    context = new_context(capability)
    module = ir.parse_mlir_module(path, context)
    module.context = context
    return generic_text(module, context)


def generic_text(module: Any, context: Any) -> str:
    """Print a verified module in MLIR's generic form, with locations.

    The bindings have no switch for it. MLIR's printer verifies what it prints and falls back on the generic form for
    a module that is not valid, since custom syntax may rely on invariants; so the module gets an attribute that a
    builtin.module must not have (one without a dialect's prefix). The module is of no other use afterwards.
    """
    from triton._C.libtriton import ir

    if not module.verify():
        raise RuntimeError("the module is not valid")
    module.set_attr(_MARK, ir.builder(context).get_unit_attr())
    text: str = module.str() if inspect.ismethod(getattr(module, "str", None)) else str(module)
    assert text.lstrip().startswith(('"builtin.module"', "#", "!")), "MLIR's printer changed its fallback"
    return text
