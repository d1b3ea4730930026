"""Profiles of the launches of an unmodified Triton script: each is modelled instead of being executed.

The script runs on the CPU with a pretended GPU. No kernel computes anything, so that what a later launch reads from an
earlier one is what the script put there; that matters only where data decides what a kernel does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.compilers import launch as call
from backends.compilers.architecture import capability_of
from backends.compilers.artifact import Compiled
from backends.compilers.pretended_gpu import pretended_gpu
from backends.compilers.triton import compile_call
from backends.device import Buffer
from backends.emulator.arena import Arena
from backends.emulator.arguments import packed
from backends.emulator.geometry import Geometry
from backends.model.counts.feeding import refined
from backends.model.counts.launch import Launch
from backends.model.counts.loaded import load_slice
from backends.model.modelled import Modelled
from backends.model.profiling import ProfileOptions, Subject, profile_launch
from backends.run.interception import launch_options
from backends.run.launch import device_arguments
from backends.run.script import execute
from backends.run.storages import Copies
from ir.diagnostics import Diagnostic, Location, UserError, fail
from ir.machine import Machine

_DEFAULTS = ProfileOptions()


@dataclass(frozen=True)
class LaunchProfile:
    """One launch, and how many of the script are like it."""

    modelled: Modelled
    launches: int


@dataclass(frozen=True)
class ScriptProfile:
    """The launches of a script, and what it raised after the first of them: results that it checks are not there."""

    launches: tuple[LaunchProfile, ...]
    error: Diagnostic | None = None


def profile_script(
    script: Path,
    argv: Sequence[str],
    machine: Machine,
    options: ProfileOptions = _DEFAULTS,
    seen: Callable[[str], None] = lambda _told: None,
) -> ScriptProfile:
    """Run as `python script argv...` and profile each of its launches, those that are alike once.

    Raises UserError: missing-file, no-launch, and before its first launch is modelled what the script raises and what
    compiling or counting a launch does.
    """
    path = script.resolve()
    if not path.is_file():
        raise fail("missing-file", f"there is no file {script}")
    recorder = _Recorder(machine, options, seen)
    error = None
    with pretended_gpu(capability_of(machine.architecture), recorder):
        try:
            execute(path, argv)
        except UserError as raised:
            if not recorder.found:
                raise
            error = raised.diagnostics[0]
    if not recorder.found:
        remedy = "give it the arguments with which it launches a kernel, after `--`"
        raise fail("no-launch", "the script launches no Triton kernel", Location(str(script)), remedy)
    return ScriptProfile(tuple(LaunchProfile(m, recorder.launches[key]) for key, m in recorder.found.items()), error)


_Key = tuple[str, tuple[int, ...], tuple[tuple[str, int], ...]]


@dataclass
class _Recorder:
    """Takes launches; what it has seen before is counted, not modelled again."""

    machine: Machine
    options: ProfileOptions
    seen: Callable[[str], None]
    found: dict[_Key, Modelled] = field(default_factory=dict)
    launches: dict[_Key, int] = field(default_factory=dict)

    def __call__(
        self, kernel: Any, arguments: Mapping[str, Any], options: Mapping[str, Any], grid: tuple[int, ...]
    ) -> None:
        x, y, z = (*grid, 1, 1)[:3]
        if not x * y * z:
            return
        compiled = compile_call(
            kernel, arguments, self.machine.architecture, launch_options(kernel, options, cubin=True)
        )
        numbers = {n: v for n, v in arguments.items() if isinstance(v, int) and not isinstance(v, bool)}
        key = (compiled.ptx, (x, y, z), tuple(sorted(numbers.items())))
        self.launches[key] = self.launches.get(key, 0) + 1
        if key in self.found:
            return
        name = kernel.fn.__name__
        self.seen(f"{name} {(x, y, z)}")
        subject = Subject(name, kernel.fn.__code__.co_filename, numbers)
        launch = script_launch(compiled, arguments, (x, y, z))
        self.found[key] = profile_launch(subject, compiled, launch, self.machine, self.options)


def script_launch(compiled: Compiled, arguments: Mapping[str, Any], grid: tuple[int, int, int]) -> Launch:
    """A launch to be counted, on the tensors of a script. Raises UserError for what cannot be loaded or launched."""
    loaded = load_slice(compiled.ptx, compiled.entry, f"{compiled.entry}.ptx")
    arena, memory = loaded.arena, _Memory(loaded.arena)
    copies = Copies(memory, arguments)  # type: ignore[arg-type]
    scratch = {
        role: arena.allocate(n, role, poison=False).address for role, n in call.scratch_bytes(compiled, grid).items()
    }
    shape = call.launch_shape(compiled, grid)
    parameters = packed(loaded.program.entry, device_arguments(compiled, copies.arguments, scratch))
    cluster = shape.cluster
    if cluster == (1, 1, 1):
        cluster = loaded.program.entry.attributes.cluster or cluster
    shared_bytes = loaded.program.static_shared_bytes + shape.dynamic_smem_bytes
    geometry = Geometry(shape.grid, shape.block, cluster, shared_bytes, shape.dynamic_smem_bytes)
    loaded = refined(loaded, geometry, parameters)
    return Launch(
        loaded,
        geometry,
        parameters,
        shape.cooperative,
        memory.written if loaded.sliced.needs_memory else {},
        (),
        compiled.resources.registers if compiled.resources else 0,
        compiled.tmem_columns,
    )


@dataclass
class _Memory:
    """An arena as the device of which `Copies` asks memory. `written`: address -> bytes that were put there."""

    arena: Arena
    written: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def allocate(self, nbytes: int, label: str = "") -> Buffer:
        """Memory that reads as zeros."""
        return Buffer(self.arena.allocate(nbytes, label, poison=False).address, nbytes, label)

    def write(self, buffer: Buffer, data: NDArray[Any]) -> None:
        """Put bytes at the start of a buffer."""
        held = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
        self.arena.bytes(buffer.address, len(held))[:] = held
        self.written[buffer.address] = held
