"""Blocks that run natively: one call for all warps of a front, from a block to wherever they stop."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.compilers.cache import Cache, content_key
from backends.emulator.fronts import PARKED, Front, part_of
from backends.emulator.liveness import live_out
from backends.emulator.native.compiled import Native, host, object_code
from backends.emulator.native.entry import FAULT
from backends.emulator.native.function import Probe, build_module
from backends.emulator.native.repeat import repeatable
from backends.emulator.native.state import FIELDS, INDEX
from backends.emulator.program import Program, leaves, recut
from backends.emulator.spaces import GLOBAL_BASE, WARP_LANES
from backends.emulator.translate.block import Block
from backends.emulator.translate.table import translate
from backends.ptx.syntax import Instruction

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

_EVERY_LANE = 0xFFFFFFFF


@dataclass(frozen=True)
class NativeProgram:
    """The native function of a program, which symbol each word of its table is, and the blocks' instructions."""

    native: Native
    symbols: tuple[str, ...]
    lengths: NDArray[np.int64]

    @property
    def blocks(self) -> int:
        """How many blocks the program has."""
        return len(self.lengths)


@dataclass(frozen=True)
class NativeRegionBlock:
    """A block that the native function can start at; `numpy` is its NumPy twin, for faults."""

    number: int
    program: NativeProgram
    numpy: Block

    @property
    def length(self) -> int:
        """Instructions of the block; the native function counts its own."""
        return 0

    @property
    def source(self) -> str:
        """The NumPy twin's text."""
        return self.numpy.source

    def run(self, batch: Batch, front: Front) -> Any:
        """Run all warps of the front as far as they go natively; returns what a block's function returns."""
        if batch.observer is not None:
            return self.numpy.run(batch, front)
        state = state_of(batch, self.program)
        instances, masks, places = _buffers(front)
        common = self.program.native.run(
            state.address, instances.ctypes.data, front.n, self.number, masks.ctypes.data, places.ctypes.data
        )
        batch.scheduler.native_instructions = int(state.executed @ self.program.lengths)
        if common >= 0:
            return common
        if common == FAULT:
            return self._after_fault(batch, front, places)
        self._scatter(batch, front, places)
        return PARKED

    def _after_fault(self, batch: Batch, front: Front, places: NDArray[np.int32]) -> Any:
        """Threads whose access failed its check do that block again with NumPy, which says what is wrong."""
        self._scatter(batch, front, places, forced=True)
        return PARKED

    def _scatter(self, batch: Batch, front: Front, places: NDArray[np.int32], forced: bool = False) -> None:
        mask = front.full_mask()
        for block in np.unique(places[mask]).tolist():
            part = part_of(front, mask & (places == block), int(block))
            if part is None:
                continue
            if forced and block < self.program.blocks:
                batch.scheduler.force(part)
            else:
                batch.scheduler.push(part)


class BatchState:
    """The state array of one batch, and the arrays that it points to."""

    def __init__(self, batch: Batch, program: NativeProgram) -> None:
        arena = batch.memory.arena
        self.cache = np.zeros(2 * len(batch.program.instructions), np.int64)
        self.starts, self.ends = arena.ranges()
        self.symbols = np.array([batch.kernel_addresses[name] for name in program.symbols] or [0], np.int64)
        self.executed = np.zeros(program.blocks, np.int64)
        self.lanes = np.zeros(program.blocks, np.int64)
        words = np.zeros(len(FIELDS), np.int64)
        shared, local = batch.shared, batch.access.spaces["local"]
        values = {
            **{f"registers_{w}": r.ctypes.data for w, r in batch.registers.items() if w in "phwd"},
            "row_instances": batch.row_instances, "ctas": batch.ctas, "global_base": arena.units[1].ctypes.data,
            "starts": self.starts.ctypes.data, "ends": self.ends.ctypes.data, "allocations": len(self.starts),
            "cache": self.cache.ctypes.data, "shared_base": shared.units[1].ctypes.data,
            "shared_bytes": shared.nbytes, "shared_stride": shared.stride_bytes,
            "local_base": local.units[1].ctypes.data, "local_bytes": getattr(local, "nbytes", 0),
            "symbols": self.symbols.ctypes.data, "executed": self.executed.ctypes.data,
            "lanes": self.lanes.ctypes.data,
            "parameters": arena.units[1].ctypes.data + batch.parameters_address - GLOBAL_BASE,
        }  # fmt: skip
        for name, value in values.items():
            words[INDEX[name]] = value
        self.words = words
        self.address = words.ctypes.data


def state_of(batch: Batch, program: NativeProgram) -> BatchState:
    """The batch's state array, made at first use."""
    if batch.native_state is None:
        batch.native_state = BatchState(batch, program)
    found: BatchState = batch.native_state
    return found


def _buffers(front: Front) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int32]]:
    """(instances, lane masks, room for each lane's block) of a front, kept with it."""
    key = "native"
    if key not in front.cache:
        instances = np.ascontiguousarray(front.indices(), np.int64)
        front.cache[key] = (instances, _masks(front), np.empty((front.n, WARP_LANES), np.int32))
    found: tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int32]] = front.cache[key]
    return found


def _masks(front: Front) -> NDArray[np.uint32]:
    if front.mask is None:
        return np.full(front.n, _EVERY_LANE, np.uint32)
    packed = np.packbits(front.mask, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view(np.uint32)[:, 0]


def native_cuts(program: Program, symbols: Mapping[str, int]) -> dict[int, bool]:
    """For each instruction whether it has a native form, by its index."""
    probe = Probe(program, symbols)
    known: dict[tuple[Any, ...], bool] = {}
    return {index: _accepted(probe, known, i) for index, i in enumerate(program.instructions)}


def _accepted(probe: Probe, known: dict[tuple[Any, ...], bool], instruction: Instruction) -> bool:
    shape = (instruction.opcode, instruction.guard is None, *(_kind(o) for o in instruction.operands))
    if shape not in known:
        known[shape] = probe.accepts(instruction)
    return known[shape]


def _kind(operand: Any) -> Any:
    """What of an operand decides whether there is a native form: its class, its type, a literal's value."""
    name = type(operand).__name__
    if name == "Register":
        return name, operand.type
    if name in ("Vector",):
        return name, tuple(_kind(o) for o in operand.items)
    if name == "Pair":
        return name, _kind(operand.first), _kind(operand.second)
    if name == "Address":
        return name, _kind(operand.base), len(operand.extra)
    return name, getattr(operand, "text", "") or getattr(operand, "name", "")


@dataclass(frozen=True)
class Cut:
    """A program cut where native forms begin and end, all its blocks for NumPy, and which may be replaced."""

    program: Program
    blocks: tuple[Block, ...]
    native: tuple[bool, ...]
    symbols: tuple[str, ...]

    @cached_property
    def key(self) -> str:
        """What the object code depends on, hashed."""
        program = self.program
        layout = (program.shared, program.local, program.parameters, [r.start for r in program.blocks], program.labels)
        lines = [_line(i) for i in program.instructions]
        return content_key(["native", *host(), _sources(), repr(layout), repr(self.symbols), *lines])

    def kept(self) -> bytes | None:
        """Object code of an earlier run, out of the user's cache."""
        text = Cache.from_environment().get(self.key)
        return None if text is None else b64decode(text)

    def compiled(self) -> bytes:
        """Object code, made now and kept."""
        table = {name: index for index, name in enumerate(self.symbols)}
        code = object_code(build_module(self.program, self.native, live_out(self.program, self.blocks), table))
        Cache.from_environment().put(self.key, b64encode(code).decode())
        return code

    def with_code(self, code: bytes) -> tuple[Block | NativeRegionBlock, ...]:
        """The blocks, native where they can be."""
        lengths = np.array([len(r) for r in self.program.blocks], np.int64)
        loaded = NativeProgram(Native(code), self.symbols, lengths)
        return tuple(
            NativeRegionBlock(block.number, loaded, block) if is_native else block
            for block, is_native in zip(self.blocks, self.native, strict=True)
        )


def cut_program(program: Program, addresses: Mapping[str, int]) -> Cut:
    """Find out which instructions have a native form, and cut the blocks there."""
    order = tuple(addresses)
    accepted = native_cuts(program, {name: index for index, name in enumerate(order)})
    cut = recut(program, [i for i in range(1, len(accepted)) if accepted[i] != accepted[i - 1]])
    cut = recut(cut, [start for block in cut.blocks for start in repeatable(cut, block)])
    native = tuple(all(accepted[i] for i in instructions) for instructions in cut.blocks)
    return Cut(cut, translate(cut, addresses), native, order)


def _line(instruction: Instruction) -> str:
    """An instruction with the names that its registers have after scopes were resolved."""
    names = [getattr(operand, "name", "") for operand in leaves(instruction)]
    return f"{instruction.guard} {instruction.text} {names}"


@cache
def _sources() -> str:
    """The text of this package: code that another version of it made is not used."""
    folder = Path(__file__).parent
    return "".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
