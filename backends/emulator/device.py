"""The emulated device behind the device protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.compilers.architecture import shared_limit_bytes
from backends.device import CHECKS, Argument, Buffer, LaunchConfig, LaunchResult
from backends.emulator.arena import Allocation, Arena
from backends.emulator.arguments import packed
from backends.emulator.batch import Settings
from backends.emulator.checkers.initialised import Initialised
from backends.emulator.checkers.suite import CHECKED_LANES, Checks
from backends.emulator.counters.counting import Counting
from backends.emulator.counters.sizes import cache_sizes, machine_for
from backends.emulator.faults import LaunchFault
from backends.emulator.following import Following
from backends.emulator.geometry import Geometry
from backends.emulator.launch import BATCH_LANES, LoadedKernel, load_kernel, load_variables, run_launch
from backends.emulator.spaces import GLOBAL_BASE
from backends.machines.loader import load_machine
from backends.ptx import parse_ptx
from backends.ptx.syntax import Function, Module
from ir.diagnostics import fail

# CUDA C++ Programming Guide, technical specifications: the same for compute capability 8.0 to 12.0.
MAX_THREADS = 1024
MAX_BLOCK = (1024, 1024, 64)
MAX_GRID = ((1 << 31) - 1, 65535, 65535)
_DEFAULT_CAPACITY_BYTES = 64 << 30


@dataclass(frozen=True)
class EmulatedKernel:
    """An entry that is loaded on the emulated device."""

    name: str
    loaded: LoadedKernel
    architecture: int

    @property
    def entry(self) -> Function:
        """Its PTX."""
        return self.loaded.program.entry


@dataclass
class Emulator:
    """Executes PTX on the CPU. `settings` hold for every launch until they are replaced."""

    settings: Settings = field(default_factory=Settings)
    capacity_bytes: int = _DEFAULT_CAPACITY_BYTES
    name: str = "emulator"

    def __post_init__(self) -> None:
        self.arena = Arena(self.capacity_bytes)
        self._allocations: dict[int, Allocation] = {}
        self._initialised = Initialised()

    def load(
        self, ptx: str, entry: str | None = None, file: str = "<ptx>", cubin: bytes | None = None
    ) -> EmulatedKernel:
        """Parse and translate an entry; raises UserError for what cannot be parsed or is not implemented."""
        del cubin
        module = parse_ptx(ptx, file)
        function = _entry(module, entry)
        loaded = load_kernel(module, function, load_variables(module, self.arena), self.arena)
        return EmulatedKernel(function.name, loaded, architecture_of(module))

    def allocate(self, nbytes: int, label: str = "buffer") -> Buffer:
        """Memory filled with a poison byte, with guard bands around it."""
        allocation = self.arena.allocate(nbytes, label)
        self._allocations[allocation.address] = allocation
        buffer = Buffer(allocation.address, nbytes, label)
        self._initialised.allocate(buffer)
        return buffer

    def free(self, buffer: Buffer) -> None:
        """Give memory back; a kernel that uses it afterwards is out of bounds."""
        if buffer.address not in self._allocations:
            raise _no_buffer(buffer)
        self.arena.free(self._allocations.pop(buffer.address))
        self._initialised.free(buffer)

    def write(self, buffer: Buffer, data: NDArray[Any]) -> None:
        """Copy a contiguous array to the start of a buffer."""
        raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        self._require(buffer)
        if len(raw) > buffer.nbytes:
            raise fail("bad-copy", f"{len(raw)} bytes do not fit buffer `{buffer.label}` of {buffer.nbytes} bytes")
        self.arena.bytes(buffer.address, len(raw))[:] = raw
        self._initialised.write(buffer, len(raw))

    def read(self, buffer: Buffer, dtype: Any, shape: Sequence[int]) -> NDArray[Any]:
        """Copy the start of a buffer out."""
        nbytes = prod(shape) * np.dtype(dtype).itemsize
        self._require(buffer)
        if nbytes > buffer.nbytes:
            raise fail("bad-copy", f"{nbytes} bytes wanted of buffer `{buffer.label}` of {buffer.nbytes} bytes")
        data: NDArray[Any] = self.arena.bytes(buffer.address, nbytes).view(dtype).reshape(shape).copy()
        return data

    def launch(self, kernel: EmulatedKernel, config: LaunchConfig, arguments: Sequence[Argument]) -> LaunchResult:
        """Run a kernel; raises UserError for a launch that the driver would refuse."""
        if config.cluster == (1, 1, 1):
            config = replace(config, cluster=kernel.entry.attributes.cluster or config.cluster)
        geometry = self._geometry(kernel, config)
        parameters = packed(kernel.entry, arguments)
        started = time.perf_counter()
        fault = None
        work = None
        output: list[str] = []
        checks, counting = self._checks(kernel), self._counting(kernel, geometry)
        try:
            work = run_launch(
                kernel.loaded, self.arena, geometry, parameters, self.settings, config.cooperative,
                Following(checks, counting), CHECKED_LANES if checks else BATCH_LANES, output,
            )  # fmt: skip
        except LaunchFault as error:
            fault = error.finding
        counters: Mapping[str, float] = {}
        profile = None if work is None or counting is None else counting.profile()
        if work is not None:
            counters = profile.counters if profile else {"smsp__inst_executed.sum": float(work.warp_instructions)}
        self._initialised.launched(checks.memory if checks else None)
        findings = checks.findings if checks else ()
        return LaunchResult(fault, findings, counters, profile, "".join(output), time_s=time.perf_counter() - started)

    def _require(self, buffer: Buffer) -> None:
        """Refuse a buffer that does not lie in memory that is allocated."""
        start = buffer.address - GLOBAL_BASE
        if buffer.nbytes and not self.arena.within(start, start + buffer.nbytes):
            raise _no_buffer(buffer)

    def _checks(self, kernel: EmulatedKernel) -> Checks | None:
        names = self.settings.checks
        unknown = names.difference(CHECKS)
        if unknown:
            raise fail(
                "unknown-check", f"no checker {', '.join(sorted(unknown))}", remedy=f"there are: {', '.join(CHECKS)}"
            )
        return Checks(names, kernel.loaded.program, self.arena, self._initialised) if names else None

    def _counting(self, kernel: EmulatedKernel, geometry: Geometry) -> Counting | None:
        settings = self.settings
        if not settings.counters:
            return None
        machine = load_machine(settings.machine) if settings.machine else machine_for(kernel.architecture)
        return Counting(kernel.loaded.kinds, geometry, cache_sizes(machine, geometry), settings.counted_ctas)

    def _geometry(self, kernel: EmulatedKernel, config: LaunchConfig) -> Geometry:
        static = kernel.loaded.program.static_shared_bytes
        shared = static + config.dynamic_shared_bytes
        for holds, message in _launch_rules(kernel.entry, config, kernel.architecture, shared):
            if not holds:
                raise fail("bad-launch", f"kernel {kernel.name}: {message}", kernel.entry.place)
        return Geometry(config.grid, config.block, config.cluster, shared, config.dynamic_shared_bytes)


def _launch_rules(
    entry: Function, config: LaunchConfig, architecture: int, shared_bytes: int
) -> list[tuple[bool, str]]:
    """(whether it holds, what is said if it does not) of each rule for launches."""
    grid, block, threads = config.grid, config.block, prod(config.block)
    compiled_for = entry.attributes.required_threads or entry.attributes.max_threads
    limit = shared_limit_bytes(architecture)
    return [
        (min(grid) >= 1 and min(block) >= 1, f"grid {grid} or block {block} has an empty side"),
        (min(config.cluster) >= 1, f"a cluster of {config.cluster} has an empty side"),
        (config.dynamic_shared_bytes >= 0, f"{config.dynamic_shared_bytes} bytes of dynamic shared memory"),
        (threads <= MAX_THREADS, f"a block of {threads} threads, at most {MAX_THREADS} are allowed"),
        (_is_within(block, MAX_BLOCK), f"a block of {block}, at most {MAX_BLOCK} are allowed"),
        (_is_within(grid, MAX_GRID), f"a grid of {grid}, at most {MAX_GRID} are allowed"),
        (shared_bytes <= limit, f"{shared_bytes} bytes of shared memory, {limit} are allowed on sm_{architecture}"),
        (_fits_required(entry, block), f"a block of {block}, the kernel was compiled for {compiled_for}"),
        (
            entry.attributes.cluster in (None, config.cluster),
            f"a cluster of {config.cluster}, the kernel was compiled for {entry.attributes.cluster}",
        ),
        (
            all(g % max(c, 1) == 0 for g, c in zip(grid, config.cluster, strict=True)),
            f"a grid of {grid} is no multiple of the cluster {config.cluster}",
        ),
    ]


def _is_within(extent: tuple[int, int, int], limit: tuple[int, int, int]) -> bool:
    return all(a <= b for a, b in zip(extent, limit, strict=True))


def _no_buffer(buffer: Buffer) -> Exception:
    return fail(
        "bad-buffer", f"`{buffer.label}`: {buffer.nbytes} bytes at {buffer.address:#x} are not, or no more, allocated"
    )


def architecture_of(module: Module) -> int:
    """The number in the module's target: 90 for `sm_90a`."""
    return int("".join(c for c in module.target.partition("_")[2] if c.isdigit()))


def _entry(module: Module, name: str | None) -> Function:
    entries = {f.name: f for f in module.entries}
    if name is None and len(entries) == 1:
        return next(iter(entries.values()))
    if name not in entries:
        wanted = f"no kernel `{name}`" if name else "more than one kernel, and none was named"
        raise fail("unknown-kernel", f"{module.file}: {wanted}", remedy=f"its kernels: {', '.join(entries) or 'none'}")
    return entries[name]


def _fits_required(entry: Function, block: tuple[int, int, int]) -> bool:
    attributes = entry.attributes
    if attributes.required_threads:
        return attributes.required_threads == block
    return attributes.max_threads is None or prod(block) <= prod(attributes.max_threads)
