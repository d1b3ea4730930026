"""Launches of Triton kernels on tensors of the CPU go to a device: within `launches_on`, a script needs no GPU.

    with launches_on(open_device("emulator"), "sm_90") as launches:
        add_kernel[(4,)](x, y, z, n, BLOCK=256)    # z is computed
    launches[0].status, launches[0].findings

What a script asks of `cuda` happens on the CPU (see `backends.compilers.pretended_gpu`). An autotuned kernel is
launched with its first configuration, or with `every_config` once with each, the tensors restored in between and the
first one last.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.compilers.architecture import capability_of
from backends.compilers.artifact import Compiled
from backends.compilers.pretended_gpu import pretended_gpu
from backends.compilers.ptxas import CompileTimeoutError
from backends.compilers.triton import TritonOptions, compile_call
from backends.device import Device, Kernel, LaunchResult
from backends.findings import Finding
from backends.run.launch import run_compiled
from backends.run.outcome import LIMITS, REFUSALS, Status, Timing
from backends.run.storages import Copies, restore, snapshot, tensors_in
from ir.diagnostics import Diagnostic, ExitCode, Location, UserError

_OPTIONS = {"num_warps": "num_warps", "num_stages": "num_stages", "num_ctas": "num_ctas", "maxnreg": "max_registers"}


@dataclass(frozen=True)
class LaunchRecord:
    """One launch: kernel, place of its definition, grid in programs, shapes of its tensors, and what it came to."""

    kernel: str
    location: Location
    target: str
    grid: tuple[int, int, int]
    shapes: Mapping[str, tuple[int, ...]]
    status: Status
    fault: Finding | None = None
    findings: tuple[Finding, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    counters: Mapping[str, float] = field(default_factory=dict)
    printed: str = ""
    timing: Timing = field(default_factory=Timing)


class LaunchError(UserError):
    """Raised at a launch that did not end well; `record` says how. The tensors are as they were before it."""

    def __init__(self, record: LaunchRecord) -> None:
        finding = record.fault
        told = (Diagnostic(finding.rule, finding.message, record.location),) if finding else record.diagnostics
        super().__init__(*told, exit_code=ExitCode.NEGATIVE)
        self.record = record


@contextlib.contextmanager
def launches_on(
    device: Device,
    architecture: str = "sm_90",
    every_config: bool = False,
    seen: Callable[[LaunchRecord], None] = lambda _record: None,
) -> Iterator[list[LaunchRecord]]:
    """Run every launch within on `device`; yields the records, which grow. `seen` is told of each.

    A launch that faults, is refused, or does not compile raises LaunchError where it is made; one with findings, which
    are in its record, goes on.
    """
    launcher = _Launcher(device, architecture, seen)
    with pretended_gpu(capability_of(architecture), launcher, computes=True), _autotuning(every_config):
        yield launcher.records


@dataclass
class _Launcher:
    """Compiles, launches and records; kernels that were loaded once stay loaded."""

    device: Device
    architecture: str
    seen: Callable[[LaunchRecord], None]
    records: list[LaunchRecord] = field(default_factory=list)
    loaded: dict[tuple[str, str], Kernel] = field(default_factory=dict)

    def __call__(
        self, kernel: Any, arguments: Mapping[str, Any], options: Mapping[str, Any], grid: tuple[int, ...]
    ) -> None:
        code = kernel.fn.__code__
        launch = _Launch(self, kernel, arguments, options, _extent(grid))
        status, result, diagnostics = launch.run()
        record = LaunchRecord(
            kernel.fn.__name__,
            Location(code.co_filename, code.co_firstlineno),
            self.architecture,
            launch.grid,
            {name: tuple(t.shape) for name, value in arguments.items() for t in tensors_in(value)},
            status,
            result.fault,
            result.findings,
            diagnostics,
            dict(result.counters),
            result.output,
            launch.timing,
        )
        self.records.append(record)
        self.seen(record)
        if status not in (Status.PASSED, Status.FINDINGS):
            raise LaunchError(record)

    def load(self, compiled: Compiled) -> Kernel:
        """The kernel on the device."""
        key = (compiled.ptx, compiled.entry)
        if key not in self.loaded:
            self.loaded[key] = self.device.load(compiled.ptx, compiled.entry, f"{compiled.entry}.ptx")
        return self.loaded[key]


@dataclass
class _Launch:
    """One launch under way."""

    launcher: _Launcher
    kernel: Any
    arguments: Mapping[str, Any]
    options: Mapping[str, Any]
    grid: tuple[int, int, int]
    timing: Timing = field(default_factory=Timing)

    def run(self) -> tuple[Status, LaunchResult, tuple[Diagnostic, ...]]:
        """Copy in, compile, launch, copy back; status, result and what was refused."""
        copies = None
        try:
            copies = Copies(self.launcher.device, self.arguments)
            return self._on_device(copies)
        except UserError as error:
            return _refused(error), LaunchResult(), error.diagnostics
        except MemoryError as error:
            return Status.FAULT, LaunchResult(), (Diagnostic("out-of-memory", str(error)),)
        finally:
            if copies is not None:
                copies.free()

    def _on_device(self, copies: Copies) -> tuple[Status, LaunchResult, tuple[Diagnostic, ...]]:
        started = time.perf_counter()
        compiled = self._compiled(copies.arguments)
        compile_s = time.perf_counter() - started
        kernel = self.launcher.load(compiled)
        load_s = time.perf_counter() - started - compile_s
        result = run_compiled(self.launcher.device, kernel, compiled, copies.arguments, self.grid)
        self.timing = Timing(compile_s, load_s, time.perf_counter() - started - compile_s - load_s)
        if result.fault is not None:
            return LIMITS.get(result.fault.rule, Status.FAULT), result, ()
        copies.copy_back()
        found = any(f.is_error for f in result.findings)
        return Status.FINDINGS if found else Status.PASSED, result, ()

    def _compiled(self, arguments: Mapping[str, Any]) -> Compiled:
        options = launch_options(self.kernel, self.options, cubin=False)
        try:
            return compile_call(self.kernel, arguments, self.launcher.architecture, options)
        except CompileTimeoutError:
            raise
        except UserError as error:
            raise _CompileError(error) from error


def launch_options(kernel: Any, options: Mapping[str, Any], cubin: bool) -> TritonOptions:
    """What a launch asks of the compiler. `cubin`: machine code too."""
    given = {name: value for name, value in options.items() if value is not None}
    known = {_OPTIONS[name]: value for name, value in given.items() if name in _OPTIONS}
    other = {name: value for name, value in given.items() if name not in _OPTIONS}
    if getattr(kernel, "debug", None):
        other.setdefault("debug", True)
    return TritonOptions(**known, other=other, cubin=cubin)


class _CompileError(UserError):
    """The compiler refuses a kernel, as opposed to a device that refuses its launch."""

    def __init__(self, error: UserError) -> None:
        super().__init__(*error.diagnostics, exit_code=error.exit_code)


def _refused(error: UserError) -> Status:
    if isinstance(error, CompileTimeoutError):
        return Status.TIMEOUT
    if isinstance(error, _CompileError):
        return Status.FAILED_COMPILE
    return Status.UNSUPPORTED if any(d.rule in REFUSALS for d in error.diagnostics) else Status.FAULT


def _extent(grid: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*grid, 1, 1)[:3]
    return x, y, z


@contextlib.contextmanager
def _autotuning(every_config: bool) -> Iterator[None]:
    """Within, an autotuned kernel runs every configuration, if that is asked for."""
    from triton.runtime.autotuner import Autotuner

    saved = Autotuner.run
    if every_config:
        Autotuner.run = _run_every_config
    try:
        yield
    finally:
        Autotuner.run = saved


def _run_every_config(tuner: Any, *args: Any, **options: Any) -> Any:
    """Autotuner.run without measurements; the first configuration comes last, so that its results stay."""
    tuner.nargs = dict(zip(tuner.arg_names, args, strict=False))
    configs = tuner.prune_configs(options) if len(tuner.configs) > 1 else tuner.configs
    saved = snapshot([*args, *options.values()])
    tuner.best_config = configs[0]
    result = None
    for config in reversed(configs):
        restore(saved)
        if config.pre_hook is not None:
            config.pre_hook({**tuner.nargs, **options, **config.all_kwargs()})
        result = tuner.fn.run(*args, **{**options, **config.all_kwargs()})
    return result
