"""Triton and Gluon kernels to artifacts, specialised as Triton's launcher would specialise them; needs no GPU."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.compilers import triton_adaptor as adaptor
from backends.compilers.architecture import capability_of, full_name
from backends.compilers.artifact import Compiled, Scratch
from backends.compilers.cache import Cache, cached
from backends.compilers.entry_header import read_head, source_texts
from backends.compilers.ptxas import DEFAULT_TIMEOUT_S, Assembled, AssemblerOptions, assemble, with_machine_code
from backends.compilers.self_contained import key_parts
from backends.compilers.triton_adaptor import Lowered, Request
from backends.compilers.triton_errors import compiled_apart, told_to_the_user
from backends.compilers.triton_function import Unwrapped, constant_value, unwrap
from backends.compilers.triton_parameters import launch_parameters
from ir.diagnostics import Diagnostic, Location, UserError, fail

if TYPE_CHECKING:
    from ir.argument import Argument
    from ir.task import Sizes, Task

WARP_THREADS = 32
# Options of Triton's backend that are told apart in an artifact; the rest follows from them and the version.
_TOLD = ("num_warps", "num_stages", "num_ctas", "maxnreg", "enable_fp_fusion", "ptx_options", "debug")


@dataclass(frozen=True)
class TritonOptions:
    """Options of Triton's backend. `other`: any that the installed version knows, by its name there.

    `cubin` False stops at PTX. timeout_s bounds Triton's passes, and the assembler.
    """

    num_warps: int = 4
    num_stages: int = 3
    num_ctas: int = 1
    max_registers: int | None = None
    other: Mapping[str, Any] = field(default_factory=dict)
    cubin: bool = True
    timeout_s: float = DEFAULT_TIMEOUT_S


def compile_function(
    kernel: Any,
    signature: Mapping[str, Any],
    constants: Mapping[Any, Any],
    architecture: str,
    attributes: Mapping[tuple[int, ...], list[list[Any]]] | None = None,
    options: TritonOptions = TritonOptions(),
    cache: Cache | None = None,
) -> Compiled:
    """Compile a kernel for stated types: parameter -> `*fp16`, `i32`, `tensordesc<fp16[128, 64]>` or `constexpr`.

    `constants`: parameter (or position) -> value. `attributes`: position -> such as [["tt.divisibility", 16]].
    Raises UserError: no-kernel, unknown-option, compile-error at the line of the kernel; CompileTimeoutError.
    """
    found = _kernel(kernel)
    request = _request(found, signature, constants, attributes or {}, capability_of(architecture), options)
    return _cached(found, request, options, cache)


def compile_call(
    kernel: Any,
    arguments: Mapping[str, Any],
    architecture: str,
    options: TritonOptions = TritonOptions(),
    cache: Cache | None = None,
) -> Compiled:
    """Compile a kernel for the arguments of one launch, with the specialisation that Triton's launcher would make.

    `arguments`: parameter -> number, object with `dtype` and `data_ptr()`, tensor descriptor, tuple, or the value of a
    constexpr. An integer that is 1 becomes a constant; one that 16 divides, and an address likewise, is known to be.
    Raises UserError: no-kernel, bad-arguments, unknown-option, compile-error; CompileTimeoutError.
    """
    found, capability = _kernel(kernel), capability_of(architecture)
    bound, specialisation = _bound(found, arguments, capability)
    return _specialised(found, bound, specialisation, capability, options, cache)


def compile_task(
    task: Task,
    sizes: Sizes,
    architecture: str,
    options: TritonOptions | None = None,
    kernel: Any = None,
    cache: Cache | None = None,
) -> Compiled:
    """Compile a task's kernel as its launch at these sizes would; types are those that the task states.

    `kernel` is the function if it is loaded already. `options` are the task's where none are given. A source that is
    self-contained is not run where its artifact is in the cache.
    Raises UserError as `compile_call` does, and what loading the source raises (`user-code-error`).
    """
    parts = key_parts(task, sizes, architecture) if kernel is None else None
    if parts is None:
        return _of_task(task, sizes, architecture, options, kernel, cache)
    return cached(cache, [*parts, repr(options)], lambda: _of_task(task, sizes, architecture, options, None, cache))


def _of_task(
    task: Task, sizes: Sizes, architecture: str, options: TritonOptions | None, kernel: Any, cache: Cache | None
) -> Compiled:
    found = _kernel(kernel if kernel is not None else load_task_kernel(task))
    capability = capability_of(architecture)
    values = task.values(sizes)
    constants = {name: constant_value(found, value) for name, value in task.constants.items()}
    arguments = {a.parameter: _stand_in(a, values) for a in task.arguments}
    bound, specialisation = _bound(found, {**arguments, **constants}, capability)
    types = {a.parameter: a.triton_type(values) for a in task.arguments}
    stated = [_stated(entry, types.get(name)) for name, entry in zip(bound, specialisation, strict=True)]
    launch = task.launch
    chosen = options or TritonOptions(launch.num_warps, launch.num_stages, launch.num_ctas)
    return _specialised(found, bound, stated, capability, chosen, cache)


def load_task_kernel(task: Task) -> Any:
    """The kernel function of a task's source file. Raises UserError: missing-file, user-code-error, unknown-kernel."""
    from backends.compilers.python_source import import_file

    adaptor.require_triton()
    module = import_file(task.source)
    kernel = getattr(module, task.entry, None)
    if kernel is None:
        names = [name for name, value in vars(module).items() if unwrap(value) is not None]
        near = difflib.get_close_matches(task.entry, names, 1)
        remedy = (f"did you mean `{near[0]}`? " if near else "") + f"kernels here: {', '.join(names) or 'none'}"
        raise fail("unknown-kernel", f"`{task.entry}` is not defined here", Location(str(task.source)), remedy)
    return kernel


class _Address:
    """Stands for a tensor of which only type and alignment matter."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def data_ptr(self) -> int:
        """An address that every allocator would give: aligned."""
        return 0


def _stand_in(argument: Argument, values: Sizes) -> Any:
    """What a launch passes for an argument, as far as the compiler looks at it."""
    if argument.kind == "scalar":
        return argument.value_at(values)
    return _Address(argument.dtype) if argument.kind == "tensor" else 0


def _stated(entry: tuple[Any, Any], stated: str | None) -> tuple[Any, Any]:
    """The specialisation of one argument with the type that a task states for it."""
    if stated is None:
        return entry
    if stated.startswith("tensordesc"):
        return stated, None
    kind, found = entry
    is_number = isinstance(kind, str) and kind.startswith(("i", "u")) and stated[0] in "iu"
    if kind == "constexpr":
        return entry if not stated.startswith("fp") else (stated, None)
    return stated, found if stated.startswith("*") or is_number else None


def _kernel(kernel: Any) -> Unwrapped:
    found = unwrap(kernel)
    if found is None:
        remedy = "pass a function under @triton.jit or @gluon.jit, with or without @triton.autotune"
        raise fail("no-kernel", f"{kernel!r} is no Triton kernel", remedy=remedy)
    return found


def _bound(
    kernel: Unwrapped, arguments: Mapping[str, Any], capability: int
) -> tuple[dict[str, Any], list[tuple[Any, Any]]]:
    unknown = [name for name in arguments if name not in kernel.parameters]
    if unknown:
        remedy = f"parameters: {', '.join(kernel.parameters)}"
        message = f"kernel `{kernel.function.__name__}` has no parameter `{unknown[0]}`"
        raise fail("bad-arguments", message, kernel.location, remedy)
    try:
        return adaptor.bind(kernel.function, arguments, capability)
    except TypeError as error:
        message = str(error).replace("dynamic_func()", f"kernel `{kernel.function.__name__}`")
        raise fail("bad-arguments", message, kernel.location, f"parameters: {', '.join(kernel.parameters)}") from error


def _specialised(
    kernel: Unwrapped,
    bound: Mapping[str, Any],
    specialisation: list[tuple[Any, Any]],
    capability: int,
    options: TritonOptions,
    cache: Cache | None,
) -> Compiled:
    signature, constants, attributes = adaptor.pack(kernel.function, bound, specialisation, capability)
    return _cached(kernel, _request(kernel, signature, constants, attributes, capability, options), options, cache)


def _request(
    kernel: Unwrapped,
    signature: Mapping[str, Any],
    constants: Mapping[Any, Any],
    attributes: Mapping[tuple[int, ...], list[list[Any]]],
    capability: int,
    options: TritonOptions,
) -> Request:
    given = {"num_ctas": options.num_ctas, "maxnreg": options.max_registers, **options.other}
    known = adaptor.option_names(capability)
    found = [_unknown_option(kernel, name, known) for name in given if name not in known]
    if found:
        raise UserError(*found)
    return Request(signature, constants, attributes, capability, options.num_warps, options.num_stages, given)


def _unknown_option(kernel: Unwrapped, name: str, known: tuple[str, ...]) -> Diagnostic:
    near = difflib.get_close_matches(name, known, 1)
    remedy = f"did you mean `{near[0]}`?" if near else f"options: {', '.join(known)}"
    return Diagnostic("unknown-option", f"this version of Triton has no option `{name}`", kernel.location, remedy)


def _cached(kernel: Unwrapped, request: Request, options: TritonOptions, cache: Cache | None) -> Compiled:
    with told_to_the_user(kernel.function, kernel.location):
        parts = adaptor.source_key(kernel.function, request)
    return cached(cache, [*parts, str(options.cubin)], lambda: _compiled(kernel, request, options))


def _compiled(kernel: Unwrapped, request: Request, options: TritonOptions) -> Compiled:
    def lower() -> Lowered:
        return adaptor.compile_ptx(kernel.function, request)

    lowered = compiled_apart(kernel.function, kernel.location, lower, options.timeout_s)
    artifact = _artifact(kernel, request, lowered)
    if not options.cubin:
        return artifact
    return with_machine_code(artifact, _assembled(artifact, request, lowered, options.timeout_s))


def _assembled(artifact: Compiled, request: Request, lowered: Lowered, timeout_s: float) -> Assembled:
    given = str(lowered.metadata.get("ptx_options") or "").split()
    extra = (*adaptor.assembler_flags(request.capability), *given)
    options = AssemblerOptions(fuse=bool(lowered.metadata["enable_fp_fusion"]), extra=extra)
    tool = adaptor.ptxas_path(request.capability)
    return assemble(artifact.ptx, artifact.architecture, options, f"{artifact.entry}.ptx", timeout_s, tool)


def _artifact(kernel: Unwrapped, request: Request, lowered: Lowered) -> Compiled:
    told, ptx = lowered.metadata, lowered.ptx
    head = read_head(ptx, told["name"])
    return Compiled(
        language="gluon" if kernel.is_gluon else "triton",
        entry=told["name"],
        architecture=full_name(str(request.capability)),
        ptx=ptx,
        cubin=None,
        parameters=launch_parameters(request.signature, request.attributes, told.get("tensordesc_meta") or (), head),
        block=(told["num_warps"] * WARP_THREADS, 1, 1),
        max_threads=told["num_warps"] * WARP_THREADS,
        dynamic_smem_bytes=told["shared"],
        tmem_columns=told["tmem_size"],
        cluster=(told["num_ctas"], 1, 1),
        cooperative=bool(told.get("launch_cooperative_grid", False)),
        dependent_launch=bool(told.get("launch_pdl", False)),
        global_scratch=Scratch(told["global_scratch_size"], told["global_scratch_align"]),
        profile_scratch=Scratch(told["profile_scratch_size"], told["profile_scratch_align"]),
        constants=_constants(kernel, request),
        sources=source_texts(ptx),
        versions={"triton": adaptor.require_triton().__version__},
        options={name: told[name] for name in _TOLD if name in told} | {"num_warps": request.num_warps},
    )


def _constants(kernel: Unwrapped, request: Request) -> dict[str, Any]:
    """Constant parameters by name; those inside a tuple as `name.1`; what JSON cannot hold as text."""
    names = list(kernel.parameters)
    found = {}
    for key, value in request.constants.items():
        path = key if isinstance(key, tuple) else (names.index(key),)
        name = ".".join([names[path[0]], *map(str, path[1:])])
        found[name] = value if isinstance(value, bool | int | float | str | None) else _text(value)
    return found


def _text(value: Any) -> str:
    return str(getattr(value, "__name__", value))
