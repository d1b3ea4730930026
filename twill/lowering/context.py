"""What the lowering rules share: values of each copy of the body, their places, and moves from place to place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ir.graph import Invariant
from ir.loop import Operation
from ir.machine import Machine
from ir.types import Memory, Type
from twill.analysis.access import Access, accesses, address_operands
from twill.analysis.affine import Affine
from twill.analysis.scope import LoopArgument, Scope, inputs, is_pure
from twill.lowering.costs import Costs
from twill.lowering.draft import Draft, DraftOp, Ref, Refs, Tile, bracketed
from twill.lowering.split import Split
from twill.lowering.work import WORK

# Marks a reference to a loop-carried value, until the op that yields it is known.
CARRIED = "@"
# Changes of shape that need no instruction.
VIEWS = frozenset(
    {"tt.splat", "tt.broadcast", "tt.expand_dims", "tt.trans", "tt.reshape", "tt.unsplat", "tt.split", "tt.join",
     "arith.bitcast", "tt.bitcast", "ttg.convert_layout"}
)  # fmt: skip
SOURCES = frozenset({"arith.constant", "tt.make_range", "tt.get_program_id", "tt.get_num_programs", "ub.poison"})
_COLUMN_BYTES = 128 * 4
DOTS = frozenset({"tt.dot", "tt.dot_scaled"})


@dataclass(frozen=True)
class Family:
    """What differs between machine families: where loads and products put their results, and how both are lowered."""

    name: str
    warps: Callable[[int], int]
    load_memory: Callable[[Context, Access], Memory]
    accumulator_memory: Callable[[Context, Operation], Memory]
    load: Callable[[Context, Operation, int | None, Access], Tile]
    dot: Callable[[Context, Operation, int | None], Tile]
    accumulator_lanes: tuple[int, int]


@dataclass
class Context:
    """The state of one lowering."""

    scope: Scope
    machine: Machine
    family: Family
    split: Split
    affine: Affine = field(init=False)
    draft: Draft = field(default_factory=Draft)
    tiles: dict[tuple[str, int | None], Tile] = field(default_factory=dict)
    moved: dict[tuple[Refs, str | None, str], Refs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.affine = Affine(self.scope)

    @cached_property
    def costs(self) -> Costs:
        """Costs for the warps of one group."""
        return Costs(self.machine, self.family.warps(self.scope.kernel.warps))

    @cached_property
    def accesses(self) -> Mapping[int, Access]:
        """Memory accesses by the identity of their operation."""
        return {id(access.operation): access for access in accesses(self.scope, self.affine)}

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Values that serve only to say where to access memory."""
        return _addresses(self.scope)

    @cached_property
    def has_dot(self) -> bool:
        """True where the loop has a matrix product: tiles are then laid out as its accumulators are."""
        return any(op.opcode in DOTS for op in self.scope.operations)

    # Types and values of one copy.

    def type_of(self, name: str, copy: int | None) -> Type:
        """Type of the value's part in one copy."""
        return self.split.part(name, self.scope.types[name], copy)

    def define(self, name: str, copy: int | None, tile: Tile) -> None:
        """Record where a value of the body is."""
        self.tiles[name, copy if self.split.is_split(name) else None] = tile

    def tile(self, name: str, copy: int | None) -> Tile:
        """Where a value is: in the body, carried from the iteration before, or unchanged by the loop."""
        key = (name, copy if self.split.is_split(name) else None)
        if key in self.tiles:
            return self.tiles[key]
        if name in self.scope.carried and not self.scope.is_invariant(name):
            return self._carried(name, key[1])
        return self._invariant(name, key[1])

    def _carried(self, name: str, copy: int | None) -> Tile:
        yielded = self.scope.carried[name].yielded
        memory = self.memory_of(name)
        refs = (Ref(CARRIED + bracketed(name, copy)),)
        return Tile(yielded, self.type_of(name, copy), refs, memory, copy=copy)

    def _invariant(self, name: str, copy: int | None) -> Tile:
        root = self._root(name)
        stored = None if root is None else bracketed(root, copy if self.split.is_split(root) else None)
        return Tile(name, self.type_of(name, copy), stored=stored, copy=copy)

    def _root(self, name: str) -> str | None:
        """The value that a chain of views looks at; None where nothing has to be stored."""
        definition = self.scope.definitions.get(name)
        if not self.scope.types[name].shape or self.is_free_integer(name) or self.scope.splat(name) is not None:
            return None
        if isinstance(definition, LoopArgument) and self.scope.is_invariant(name) and name in self.scope.carried:
            return self._root(definition.carried.initial)
        if isinstance(definition, Operation) and definition.opcode in SOURCES:
            return None
        if isinstance(definition, Operation) and definition.opcode in VIEWS:
            return self._root(definition.operands[0])
        return name

    # What costs nothing.

    def is_free_integer(self, name: str) -> bool:
        """True for addresses, scalar integers and index vectors: none has a cost or a place of its own."""
        type_ = self.scope.types[name]
        if type_.pointer or type_.descriptor or name in self.addresses:
            return True
        if not type_.element.startswith("i"):
            return False
        if not type_.shape:
            return True
        symbols = self.affine(name).symbols
        varying = {axis for s in symbols for axis in s.axes}
        return len(varying) <= 1 and all(s.is_axis for s in symbols if s.axes) and type_.element != "i1"

    def memory_of(self, name: str) -> Memory | None:
        """Where a value will be, known before it is lowered."""
        return self._memory(name, frozenset())

    def _memory(self, name: str, seen: frozenset[str]) -> Memory | None:
        if name in seen or self.is_free_integer(name):
            return None
        definition = self.scope.definitions.get(name)
        if name in self.scope.carried:
            return self._memory(self.scope.carried[name].yielded, seen | {name})
        if not isinstance(definition, Operation) or self.scope.is_invariant(name):
            return None
        if definition.opcode in VIEWS:
            return self._memory(definition.operands[0], seen | {name})
        if definition.opcode in DOTS:
            return self.family.accumulator_memory(self, definition)
        access = self.accesses.get(id(definition))
        is_tile_load = access is not None and definition.opcode.endswith("load") and access.type.shape
        return self.family.load_memory(self, access) if is_tile_load and access else Memory.REGISTERS

    # Moves: each brings a tile to a place, once for all readers of it there.

    def registers(self, tile: Tile, reader: str) -> Refs:
        """References to the tile in registers; inserts a load from shared or tensor memory."""
        if tile.stored is not None:
            size = self.costs.registers(tile.type) if tile.name == tile.stored else self._stored_registers(tile.stored)
            self.draft.hold(Invariant(tile.stored, registers=size), reader)
        if tile.memory is Memory.SHARED:
            return self.once(tile, "smem_load", self._shared_load)
        if tile.memory is Memory.TENSOR:
            return self.once(tile, "tmem_load", self._tensor_load)
        return tile.refs

    def shared(self, tile: Tile, reader: str) -> Refs:
        """References to the tile in shared memory; inserts a store and fence."""
        if tile.memory is None and not tile.refs:
            self.draft.hold(Invariant(tile.stored or tile.name, smem_bytes=tile.type.bytes), reader)
            return ()
        if tile.memory is Memory.SHARED:
            return tile.refs
        return self.once(tile, "smem_store", self._shared_store, self.registers)

    def tensor(self, tile: Tile, reader: str) -> Refs:
        """References to the tile in tensor memory; inserts a store to it."""
        del reader
        if tile.memory is Memory.TENSOR:
            return tile.refs
        return self.once(tile, "tmem_store", self._tensor_store, self.registers)

    def _stored_registers(self, stored: str) -> int:
        name, bracket, _ = stored.partition("[")
        return self.costs.registers(self.type_of(name, 0 if bracket else None))

    def once(
        self,
        tile: Tile,
        move: str,
        make: Callable[[Tile, str], DraftOp],
        source: Callable[[Tile, str], Refs] | None = None,
    ) -> Refs:
        """Insert a move of the tile, made by `make`, unless it is there; `source` brings the tile to its start."""
        key = (tile.refs, tile.stored or tile.name, move)
        if key not in self.moved:
            name = self.draft.unique(bracketed(f"{tile.name}.{move}", tile.copy))
            refs = source(tile, name) if source else tile.refs
            self.moved[key] = self.draft.add(make(tile, name), refs)
        return self.moved[key]

    def _shared_load(self, tile: Tile, name: str) -> DraftOp:
        cycles, depth = self.costs.shared_memory(tile.type.bytes), self.costs.cycles("smem_load_latency_cycles")
        return self.in_registers(DraftOp(name, "smem_load", "lsu", cycles, depth), tile.type)

    def _shared_store(self, tile: Tile, name: str) -> DraftOp:
        depth = self.costs.cycles("smem_store_latency_cycles") + self.costs.cycles("fence_cycles")
        op = DraftOp(name, "smem_store", "lsu", self.costs.shared_memory(tile.type.bytes), depth)
        return self.in_shared(op, tile.type)

    def _tensor_load(self, tile: Tile, name: str) -> DraftOp:
        cycles = tensor_bytes(tile.type) / self.costs.rate("tmem_load_bytes_per_cycle")
        depth, issue = self.costs.cycles("tmem_load_latency_cycles"), self.costs.cycles("tmem_load_issue_cycles")
        op = DraftOp(name, "tmem_load", "tmem_load", cycles, depth, issue, asynchronous=True)
        return self.in_registers(op, tile.type)

    def _tensor_store(self, tile: Tile, name: str) -> DraftOp:
        cycles = tensor_bytes(tile.type) / self.costs.rate("tmem_store_bytes_per_cycle")
        op = DraftOp(name, "tmem_store", "tmem_store", cycles, self.costs.cycles("tmem_store_latency_cycles"))
        return replace(
            op,
            result=tile.type,
            memory=Memory.TENSOR,
            tmem_columns=tensor_columns(tile.type),
            warps=self.costs.warps,
            handoff_cycles=self.costs.cycles("mbarrier_handoff_cycles"),
        )

    # The same op with its result in a place.

    def in_registers(self, op: DraftOp, tile: Type) -> DraftOp:
        """The result is a register tile of the op's group."""
        return replace(
            op,
            result=tile,
            memory=Memory.REGISTERS,
            registers=self.costs.registers(tile),
            warps=self.costs.warps,
            handoff_cycles=self.costs.handoff_of_registers(tile) if self.machine.warp_specialization else 0,
        )

    def in_shared(self, op: DraftOp, tile: Type) -> DraftOp:
        """The result is in shared memory, written by the warps themselves."""
        return replace(
            op,
            result=tile,
            memory=Memory.SHARED,
            smem_bytes=tile.bytes,
            warps=self.costs.warps,
            handoff_cycles=self.costs.cycles("mbarrier_handoff_cycles") if self.machine.warp_specialization else 0,
        )


def tensor_columns(tile: Type) -> int:
    """Columns of tensor memory (128 lanes of 32 bits) of a tile: lane is the row; PTX ISA, tcgen05 data path layout.

    >>> tensor_columns(Type("f32", (128, 64))), tensor_columns(Type("f16", (64, 128)))
    (64, 64)
    """
    *outer, rows, columns = (1, *tile.shape) if len(tile.shape) == 1 else tile.shape
    layers = -(-rows // 128)
    for extent in outer:
        layers *= extent
    return layers * -(-columns * tile.element_bits // 32)


def tensor_bytes(tile: Type) -> int:
    """Bytes that a load or store of the tile moves: whole columns of 128 lanes, used or not."""
    return tensor_columns(tile) * _COLUMN_BYTES


def _addresses(scope: Scope) -> frozenset[str]:
    """Greatest set of integers and pointers such that each reader uses them only to compute addresses and masks."""
    yielded: dict[str, list[str]] = {}
    for carried in scope.loop.carried:
        yielded.setdefault(carried.yielded, []).append(carried.argument.name)
    found = {v.name for op in scope.operations if _may_address(op) for v in op.results}
    found |= {c.argument.name for c in scope.loop.carried if c.result.name not in scope.used_outside}
    found = {name for name in found if _is_integer(scope.types[name])}
    changed = True
    while changed:
        kept = {n for n in found if _only_addresses(scope, n, found) and found.issuperset(yielded.get(n, ()))}
        changed, found = kept != found, kept
    return frozenset(found)


def _may_address(operation: Operation) -> bool:
    return operation.opcode in VIEWS or operation.opcode in WORK or operation.opcode in SOURCES


def _is_integer(type_: Type) -> bool:
    return type_.pointer or type_.element.startswith("i")


def _only_addresses(scope: Scope, name: str, found: set[str]) -> bool:
    return all(_is_address_use(op, name, found) for op in scope.readers.get(name, ()))


def _is_address_use(operation: Operation, name: str, found: set[str]) -> bool:
    if not is_pure(operation):
        uses = [i for i in inputs(operation) if i == name]
        return len([o for o in address_operands(operation) if o == name]) == len(uses)
    return bool(operation.results) and all(value.name in found for value in operation.results)
