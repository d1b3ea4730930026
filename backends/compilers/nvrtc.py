"""CUDA C++ to artifacts through NVRTC: no driver, no GPU and no host compiler."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.compilers.architecture import full_name
from backends.compilers.artifact import Compiled
from backends.compilers.cache import Cache, cached
from backends.compilers.cuda_headers import include_folders
from backends.compilers.cuda_messages import errors_of, unknown_kernel, warnings_of
from backends.compilers.cuda_parameters import cuda_parameters
from backends.compilers.cuda_sources import included_files
from backends.compilers.entry_header import read_head, source_texts
from backends.compilers.ptxas import CompileTimeoutError, parse_resources
from ir.diagnostics import Location, UserError, fail, missing

INSTALL = "pip install 'twill-optiml[cuda]'"
DEFAULT_TIMEOUT_S = 120.0
# The name that NVRTC gives to the text in which it looks up name expressions.
NAME_MAP = "__nv_name_map"


@dataclass(frozen=True)
class CudaOptions:
    """How to compile. `macros`: name -> text, None for a bare definition. `extra`: further options of NVRTC.

    `fast_math`: approximate division, square root and exponential, denormals to zero. `line_info`: PTX has `.loc`
    lines. `system_headers`: search the headers of the CUDA wheels. `cubin` False stops at PTX.
    """

    standard: str = "c++17"
    macros: Mapping[str, str | None] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    fast_math: bool = False
    line_info: bool = True
    max_registers: int | None = None
    system_headers: bool = True
    cubin: bool = True
    extra: tuple[str, ...] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S

    def arguments(self, architecture: str) -> tuple[str, ...]:
        """Options of NVRTC for an architecture as PTX names it."""
        prefix, _, number = architecture.partition("_")
        folders = (*self.include, *(include_folders() if self.system_headers else ()))
        return (
            f"--gpu-architecture={prefix if self.cubin else 'compute'}_{number}",
            f"--std={self.standard}",
            *(f"-D{name}" if text is None else f"-D{name}={text}" for name, text in self.macros.items()),
            *(f"--include-path={folder}" for folder in folders),
            *(("--use_fast_math",) if self.fast_math else ()),
            *(("--generate-line-info",) if self.line_info else ()),
            *(() if self.max_registers is None else (f"--maxrregcount={self.max_registers}",)),
            *(("--ptxas-options=-v",) if self.cubin else ()),
            *self.extra,
        )


def compile_file(
    path: str | Path,
    entry: str,
    architecture: str,
    options: CudaOptions = CudaOptions(),
    arguments: Mapping[str, str] | None = None,
    cache: Cache | None = None,
) -> Compiled:
    """Compile a .cu file; see `compile_source`. Headers beside the file are found. Raises UserError (missing-file)."""
    file = Path(path)
    if not file.is_file():
        raise fail("missing-file", f"there is no file {file}")
    chosen = replace(options, include=(*options.include, str(file.parent)))
    text = file.read_text(encoding="utf-8", errors="replace")
    return compile_source(text, entry, architecture, chosen, str(path), arguments, cache)


def compile_source(
    text: str,
    entry: str,
    architecture: str,
    options: CudaOptions = CudaOptions(),
    file: str = "kernel.cu",
    arguments: Mapping[str, str] | None = None,
    cache: Cache | None = None,
) -> Compiled:
    """Compile CUDA C++ for one kernel: a name, or an instance of a template as `sum<float, 256>`.

    `file` is the name of the text in diagnostics and, made absolute, in line information. `arguments`: name -> type
    in order (`*fp16`, `i32`), since PTX keeps neither; without them a parameter is called by its position.
    Raises UserError: cuda-error at the lines of the text, unknown-kernel, unknown-architecture, argument-mismatch,
    missing-part (exit code 4); CompileTimeoutError, which NVRTC heeds between its phases only.
    """
    target, told = full_name(architecture), dict(arguments or {})

    def make() -> Compiled:
        built = _build(text, entry, options.arguments(target), file, options.timeout_s)
        return _artifact(built, text, entry, target, options, file, told)

    headers = included_files(text, file, options.include)
    if headers is None:
        return make()
    named = [*options.arguments(target), nvrtc_version(), entry, file, text]
    return cached(cache, [*named, _full(file), str(sorted(headers.items())), str(list(told.items()))], make)


def nvrtc_version() -> str:
    """Release of the installed NVRTC, as `13.5`. Raises UserError (missing-part)."""
    status, major, minor = _library().nvrtcVersion()
    assert int(status) == 0, "nvrtcVersion cannot fail"
    return f"{major}.{minor}"


@dataclass(frozen=True)
class _Built:
    ptx: str
    cubin: bytes | None
    entry: str
    log: str


def _library() -> Any:
    """The bindings, with the shared library loaded."""
    try:
        from cuda.bindings import nvrtc
    except ImportError:
        raise missing("cuda-bindings", INSTALL, "Triton kernels and PTX files work") from None
    try:
        nvrtc.nvrtcVersion()
    except RuntimeError:
        raise missing("nvidia-cuda-nvrtc", INSTALL, "Triton kernels and PTX files work") from None
    return nvrtc


def _build(text: str, entry: str, arguments: Sequence[str], file: str, timeout_s: float) -> _Built:
    nvrtc = _library()
    status, program = nvrtc.nvrtcCreateProgram(text.encode(), file.encode(), 0, [], [])
    _check(nvrtc, status, "nvrtcCreateProgram")
    try:
        return _compiled(nvrtc, program, text, entry, arguments, file, timeout_s)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _compiled(
    nvrtc: Any, program: Any, text: str, entry: str, arguments: Sequence[str], file: str, timeout_s: float
) -> _Built:
    _check(nvrtc, nvrtc.nvrtcAddNameExpression(program, entry.encode())[0], "nvrtcAddNameExpression")
    deadline = _Deadline(nvrtc, program, timeout_s)
    (status,) = nvrtc.nvrtcCompileProgram(program, len(arguments), [a.encode() for a in arguments])
    log = _text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
    if deadline.passed:
        raise CompileTimeoutError("nvrtc", timeout_s, Location(file))
    if int(status) != 0:
        raise _refusal(text, entry, arguments, file, log, str(status.name), timeout_s)
    ptx = _text(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program)
    cubin = _bytes(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    status, lowered = nvrtc.nvrtcGetLoweredName(program, entry.encode())
    _check(nvrtc, status, "nvrtcGetLoweredName")
    return _Built(ptx, cubin or None, lowered.decode(), log)


class _Deadline:
    """Asks NVRTC, which asks back now and then, to give up at a point in time."""

    def __init__(self, nvrtc: Any, program: Any, timeout_s: float) -> None:
        self.passed = False
        self._end = time.monotonic() + timeout_s
        # The object must live as long as the compilation: NVRTC holds its address alone.
        self._callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(self._asked)
        if hasattr(nvrtc, "nvrtcSetFlowCallback"):
            address = ctypes.cast(self._callback, ctypes.c_void_p).value
            nvrtc.nvrtcSetFlowCallback(program, address, 0)

    def _asked(self, _payload: int, _reserved: int) -> int:
        self.passed = self.passed or time.monotonic() > self._end
        return int(self.passed)


def _full(file: str) -> str:
    """The name that `.file` lines of the PTX have for a source."""
    return str(Path(file).absolute())


def _check(nvrtc: Any, status: Any, call: str) -> None:
    """Calls that fail for no reason of the user."""
    if int(status) != 0:
        raise fail("nvrtc-failure", f"{call} fails: {nvrtc.nvrtcGetErrorString(status)[1].decode()}")


def _bytes(size_of: Any, read: Any, program: Any) -> bytes:
    """What NVRTC writes. Its buffer must be our own: one byte of `bytes` is an object that all of Python shares."""
    status, size = size_of(program)
    buffer = bytearray(size if int(status) == 0 else 0)
    if buffer:
        read(program, buffer)
    return bytes(buffer)


def _text(size_of: Any, read: Any, program: Any) -> str:
    return _bytes(size_of, read, program).rstrip(b"\0").decode("utf-8", errors="replace").strip(" \0")


def _refusal(
    text: str, entry: str, arguments: Sequence[str], file: str, log: str, status: str, timeout_s: float
) -> UserError:
    """Errors of the log at their places; those of the assembler at the source line that they stem from."""
    if f"{NAME_MAP}(" in log:
        return unknown_kernel(text, entry, file, log, NAME_MAP)
    ptx = ""
    if "ptxas " in log:
        virtual = [a.replace("=sm_", "=compute_") for a in arguments if not a.startswith("--ptxas-options")]
        ptx = _build(text, entry, virtual, file, timeout_s).ptx
    found = errors_of(log, file, ptx)
    if found:
        return UserError(*found)
    return fail("cuda-error", log.strip() or status, Location(file))


def _artifact(
    built: _Built, text: str, entry: str, target: str, options: CudaOptions, file: str, told: Mapping[str, str]
) -> Compiled:
    head = read_head(built.ptx, built.entry)
    resources = parse_resources(built.log).get(built.entry)
    chosen = {name: value for name, value in asdict(options).items() if name != "timeout_s"} | {"entry": entry}
    return Compiled(
        language="cuda",
        entry=built.entry,
        architecture=target,
        ptx=built.ptx,
        cubin=built.cubin,
        parameters=cuda_parameters(head, told, Location(file)),
        block=head.block,
        max_threads=head.max_threads,
        static_smem_bytes=resources.static_smem_bytes if resources else 0,
        cluster=head.cluster,
        resources=resources,
        sources={**source_texts(built.ptx), _full(file): text},
        versions={"nvrtc": nvrtc_version()},
        options={name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()},
        warnings=warnings_of(built.log, file),
        log=built.log,
    )
