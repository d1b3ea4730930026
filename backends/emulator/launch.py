"""Kernels loaded on the emulated device, and a launch: batches of CTAs run one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from math import prod

import numpy as np
from threadpoolctl import ThreadpoolController

from backends.emulator.arena import Allocation, Arena
from backends.emulator.batch import Batch, Settings
from backends.emulator.calls import function_addresses, inlined
from backends.emulator.convergence import cut_for_convergence
from backends.emulator.counters.kinds import Kinds
from backends.emulator.engines import Engines
from backends.emulator.following import Following
from backends.emulator.geometry import Geometry
from backends.emulator.program import Program, build_program
from backends.emulator.spaces import WARP_LANES
from backends.emulator.translate.block import Block
from backends.emulator.translate.table import ends_block, translate
from backends.ptx.syntax import Function, Module, Variable

# So many lanes keep the registers of a batch in the cache and still spread the cost of each NumPy call.
BATCH_LANES = 8192
_WORKSPACE_BYTES = 64
# Programs that are kept: one is launched at several sizes, each on a device of its own.
_KEPT = 8


@dataclass(frozen=True)
class LoadedKernel:
    """An entry translated for this device. `parameters` holds its parameter block; `addresses`: of all its symbols."""

    program: Program
    blocks: tuple[Block, ...]
    parameters: Allocation
    addresses: Mapping[str, int]

    @cached_property
    def engines(self) -> Engines:
        """What runs its blocks."""
        return Engines(self.program, self.blocks, self.addresses)

    @cached_property
    def kinds(self) -> Kinds:
        """What its instructions are, for counters."""
        return Kinds(self.program)

    @cached_property
    def counting_blocks(self) -> tuple[Block, ...]:
        """Its blocks, telling the observer of each guard too."""
        return translate(self.program, self.addresses, counts=True)

    @property
    def source(self) -> str:
        """The generated Python of all blocks."""
        return "\n".join(block.source for block in self.blocks)


@dataclass(frozen=True)
class Work:
    """What a launch did: batches, CTAs and executed warp instructions."""

    batches: int
    ctas: int
    warp_instructions: int


def load_variables(module: Module, arena: Arena) -> dict[str, int]:
    """Allocate and initialise the module's global and constant variables; returns their addresses."""
    placed = [
        (v, arena.allocate(v.bytes, v.name, poison=False)) for v in module.variables if v.space in ("global", "const")
    ]
    addresses = {variable.name: allocation.address for variable, allocation in placed} | function_addresses(module)
    for variable, allocation in placed:
        data = _initial_bytes(variable, addresses)
        arena.bytes(allocation.address, variable.bytes)[:] = np.frombuffer(data, np.uint8)
    return addresses


def _initial_bytes(variable: Variable, addresses: dict[str, int]) -> bytes:
    data = bytearray((variable.initial or b"").ljust(variable.bytes, b"\0"))
    for r in variable.relocations:
        value = addresses[r.symbol] + r.addend
        if r.mask is not None:
            value = (value & r.mask) >> ((r.mask & -r.mask).bit_length() - 1)
        data[r.offset : r.offset + r.bytes] = (value & ((1 << 8 * r.bytes) - 1)).to_bytes(r.bytes, "little")
    return bytes(data)


def load_kernel(module: Module, entry: Function, addresses: dict[str, int], arena: Arena) -> LoadedKernel:
    """Translate an entry; raises UserError for an instruction that the device does not implement."""
    program = laid_out(module, entry.name)
    parameters = arena.allocate(max(program.parameter_bytes, 1), f"parameters of {entry.name}")
    places = {name: parameters.address + offset for name, (offset, _) in program.parameters.items()}
    symbols = {**addresses, **places}
    return LoadedKernel(program, _translated(program, tuple(symbols.items())), parameters, symbols)


@lru_cache(maxsize=_KEPT)
def laid_out(module: Module, entry: str) -> Program:
    """The program of an entry, cut into blocks; raises UserError for what cannot be run."""
    function = next(f for f in module.entries if f.name == entry)
    return cut_for_convergence(build_program(module, inlined(module, function), ends_block))


@lru_cache(maxsize=_KEPT)
def _translated(program: Program, symbols: tuple[tuple[str, int], ...]) -> tuple[Block, ...]:
    return translate(program, dict(symbols))


def run_launch(
    kernel: LoadedKernel, arena: Arena, geometry: Geometry, parameters: bytes, settings: Settings,
    cooperative: bool = False, following: Following | None = None, lanes: int = BATCH_LANES,
    output: list[str] | None = None,
) -> Work:  # fmt: skip
    """Run every CTA of the grid. Raises LaunchFault when the kernel does something that stops it.

    `cooperative` puts all CTAs in one batch, so that they may wait for each other; otherwise a CTA may wait only
    for those before it. What the kernel prints is appended to `output`.
    """
    output = [] if output is None else output
    arena.bytes(kernel.parameters.address, len(parameters))[:] = np.frombuffer(parameters, np.uint8)
    order = geometry.cluster_order()
    size = len(order) if cooperative else _batch_ctas(geometry, lanes)
    instructions, cost_s, started_s = 0, 0.0, time.monotonic()
    engines, following = kernel.engines, following or Following()
    with (
        np.errstate(all="ignore"),
        _blas().limit(limits=1, user_api="blas"),
        workspace_of_grid(arena, cooperative) as workspace,
    ):
        geometry = replace(geometry, workspace=workspace)
        for number, start in enumerate(range(0, len(order), size)):
            counted = following.counts(number, size)
            watched = counted or following.checks is not None
            program, blocks = engines.start(settings.engine, watched)
            blocks = kernel.counting_blocks if counted else blocks
            ctas = order[start : start + size].tolist()
            batch = Batch(program, geometry, ctas, arena, geometry.shared_bytes, settings)
            batch.observer = following.observe(batch, counted)
            batch.externals.output = output
            batch.kernel_addresses, batch.parameters_address = kernel.addresses, kernel.parameters.address
            batch.scheduler.go_on(instructions, started_s, cost_s)
            batch.start()
            batch.scheduler.run(blocks, engines.reconsider if settings.engine == "auto" and not watched else None)
            instructions, cost_s = batch.scheduler.executed, batch.scheduler.cost_s
            following.end(batch, counted)
    return Work(-(-len(order) // size), len(order), instructions)


@cache
def _blas() -> ThreadpoolController:
    """The products here are small: threads that wait for each other cost ten times what they save."""
    return ThreadpoolController()


@contextmanager
def workspace_of_grid(arena: Arena, cooperative: bool) -> Iterator[int]:
    """Address of a zeroed workspace of the grid (its size and its barrier, 32 bits each); 0 where there is none."""
    if not cooperative:
        yield 0
        return
    allocation = arena.allocate(_WORKSPACE_BYTES, "grid workspace", poison=False)
    arena.bytes(allocation.address, _WORKSPACE_BYTES)[:] = 0
    try:
        yield allocation.address
    finally:
        arena.free(allocation)


def _batch_ctas(geometry: Geometry, lanes: int) -> int:
    threads = -(-geometry.threads // WARP_LANES) * WARP_LANES
    cluster = prod(geometry.cluster)
    return max(lanes // (threads * cluster), 1) * cluster
