"""Kernels loaded on the emulated device, and a launch: batches of CTAs run one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from backends.emulator.arena import Allocation, Arena
from backends.emulator.batch import Batch, Settings
from backends.emulator.geometry import Geometry
from backends.emulator.observer import Observer
from backends.emulator.program import Program, build_program
from backends.emulator.spaces import WARP_LANES
from backends.emulator.translate.block import Block
from backends.emulator.translate.table import ends_block, translate
from backends.ptx.syntax import Function, Module, Variable

# So many lanes keep the registers of a batch in the cache and still spread the cost of each NumPy call.
BATCH_LANES = 8192

ObserverFactory = Callable[[Batch], Observer]


@dataclass(frozen=True)
class LoadedKernel:
    """An entry translated for this device; `block` holds its parameters while it runs."""

    program: Program
    blocks: tuple[Block, ...]
    parameters: Allocation

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
    placed = [(v, arena.allocate(v.bytes, v.name, poison=False)) for v in module.variables if v.space in ("global", "const")]
    addresses = {variable.name: allocation.address for variable, allocation in placed}
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
    program = build_program(module, entry, ends_block)
    parameters = arena.allocate(max(program.parameter_bytes, 1), f"parameters of {entry.name}")
    places = {name: parameters.address + offset for name, (offset, _) in program.parameters.items()}
    return LoadedKernel(program, translate(program, {**addresses, **places}), parameters)


def run_launch(
    kernel: LoadedKernel, arena: Arena, geometry: Geometry, parameters: bytes, settings: Settings,
    cooperative: bool = False, observe: ObserverFactory | None = None, lanes: int = BATCH_LANES,
) -> Work:  # fmt: skip
    """Run every CTA of the grid. Raises LaunchFault when the kernel does something that stops it.

    `cooperative` puts all CTAs in one batch, so that they may wait for each other; otherwise a CTA may wait only
    for those before it.
    """
    arena.bytes(kernel.parameters.address, len(parameters))[:] = np.frombuffer(parameters, np.uint8)
    order = geometry.cluster_order()
    size = len(order) if cooperative else _batch_ctas(geometry, lanes)
    instructions = 0
    with np.errstate(all="ignore"):
        for start in range(0, len(order), max(size, 1)):
            batch = Batch(kernel.program, geometry, order[start : start + size], arena, geometry.shared_bytes, settings)
            batch.observer = observe(batch) if observe else None
            batch.start()
            batch.scheduler.run(kernel.blocks)
            instructions += batch.scheduler.warp_instructions
    return Work(-(-len(order) // max(size, 1)), len(order), instructions)


def _batch_ctas(geometry: Geometry, lanes: int) -> int:
    threads = -(-geometry.threads // WARP_LANES) * WARP_LANES
    cluster = prod(geometry.cluster)
    return max(lanes // (threads * cluster), 1) * cluster
