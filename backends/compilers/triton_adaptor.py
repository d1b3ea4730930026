"""The one place that calls Triton's compiler: supports 3.6 to 3.9, and says so where a version differs.

Nothing here needs a GPU.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ir.diagnostics import fail, missing

# Attribute on the module whose only purpose is to make it invalid, see `generic_text`.
_MARK = "printed-generically"
# Works around faulty register allocation in ptxas 13; versions of Triton that bring it pass this.
_REGISTER_WORKAROUND = "--regAllocOptLevel=2"
# Options on which the TTIR does not depend; to give them silences Triton's advice about its future default.
FIXED_OPTIONS = {"enable_fp_fusion": True}


@dataclass(frozen=True)
class Request:
    """One compilation: signature (parameter -> type or `constexpr`), constants, attributes by position, options.

    Constants are by name, or by position where they are inside a tuple. `options`: other options of Triton's backend.
    """

    signature: Mapping[str, Any]
    constants: Mapping[Any, Any]
    attributes: Mapping[tuple[int, ...], list[list[Any]]]
    capability: int
    num_warps: int
    num_stages: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lowered:
    """PTX, and what Triton's passes found on the way (shared memory, warps, tensor maps, ...)."""

    ptx: str
    metadata: Mapping[str, Any]


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


def backend_options(request: Request) -> Any:
    """The options of a request as Triton's backend completes them."""
    chosen = {**FIXED_OPTIONS, "num_warps": request.num_warps, "num_stages": request.num_stages, **request.options}
    return backend(request.capability).parse_options(chosen)


def option_names(capability: int) -> tuple[str, ...]:
    """Options that the installed Triton knows."""
    return tuple(vars(backend(capability).parse_options(dict(FIXED_OPTIONS))))


def ast_source(function: Any, request: Request) -> Any:
    """The source object that Triton compiles: of a Triton or of a Gluon function."""
    if bool(getattr(function, "is_gluon", bool)()):
        from triton.experimental.gluon._runtime import GluonASTSource as Source
    else:
        from triton.compiler.compiler import ASTSource as Source
    return Source(function, dict(request.signature), dict(request.constants), dict(request.attributes))


def source_key(function: Any, request: Request) -> list[str]:
    """What the result depends on: source with all that it calls, types, constants, options, tools, environment."""
    from triton._C.libtriton import get_cache_invalidating_env_vars

    cuda = backend(request.capability)
    environment = sorted(get_cache_invalidating_env_vars().items())
    source = ast_source(function, request)
    place = f"{function.fn.__code__.co_filename}:{function.starting_line_number}"
    order = str(list(request.signature.items()))
    # The rest can be the same for two releases that differ in their native code alone.
    version = require_triton().__version__
    return [version, source.hash(), cuda.hash(), backend_options(request).hash(), place, order, str(environment)]


def compile_ttir(function: Any, request: Request) -> str:
    """Compile a `triton.JITFunction` to TTIR (inlined, canonical, common subexpressions); the module in generic form.

    Raises what Triton raises: CompilationError for the user's errors, RuntimeError where a pass fails.
    """
    cuda, options = backend(request.capability), backend_options(request)
    context = new_context(request.capability)
    module = _initial_module(ast_source(function, request), request, options, context)
    return generic_text(cuda.make_ttir(module, {}, options, request.capability), context)


def compile_ptx(function: Any, request: Request) -> Lowered:
    """Compile a Triton or Gluon function through every stage up to PTX; raises what Triton raises."""
    cuda, options = backend(request.capability), backend_options(request)
    source = ast_source(function, request)
    stages: dict[str, Any] = {}
    cuda.add_stages(stages, options, source.language)
    context = new_context(request.capability)
    module = _initial_module(source, request, options, context)
    metadata: dict[str, Any] = {"target": cuda.target, **vars(options)}
    names = list(stages)
    for name in names[names.index(source.ext) : names.index("ptx") + 1]:
        module = stages[name](module, metadata)
    return Lowered(module, metadata)


def ptxas_path(capability: int) -> str:
    """The assembler that Triton uses for a capability."""
    from triton.backends.nvidia.compiler import get_ptxas

    backend(capability)
    return str(get_ptxas(capability).path)


def assembler_flags(capability: int) -> tuple[str, ...]:
    """What the installed Triton passes to the assembler beyond the options of a kernel."""
    return (_REGISTER_WORKAROUND,) if _REGISTER_WORKAROUND in inspect.getsource(backend(capability).make_cubin) else ()


def bind(function: Any, arguments: Mapping[str, Any], capability: int) -> tuple[dict[str, Any], list[tuple[Any, Any]]]:
    """Arguments by parameter with defaults, and for each parameter the type and specialisation of Triton's launcher.

    Raises TypeError where arguments are missing, or are of a kind that no kernel takes.
    """
    from triton.runtime.jit import create_function_from_signature

    binder = create_function_from_signature(function.signature, function.params, backend(capability))
    bound, specialisation, _ = binder(**arguments)
    return dict(bound), list(specialisation)


def pack(
    function: Any, bound: Mapping[str, Any], specialisation: list[tuple[Any, Any]], capability: int
) -> tuple[dict[str, Any], dict[tuple[int, ...], Any], dict[tuple[int, ...], Any]]:
    """Signature, constants and attributes by position, as Triton's launcher makes them from a specialisation."""
    _, signature, constants, attributes = function._pack_args(
        backend(capability), dict(FIXED_OPTIONS), bound, specialisation, None
    )
    return signature, constants, attributes


def _initial_module(source: Any, request: Request, options: Any, context: Any) -> Any:
    cuda = backend(request.capability)
    codegen = cuda.get_codegen_implementation(options)
    return source.make_ir(cuda.target, options, codegen, cuda.get_module_map(), context)


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
