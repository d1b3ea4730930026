"""What an instruction does to registers and memory, as far as a program is sliced by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backends.emulator.program import CARRY, Program, leaves
from backends.emulator.translate import lanes
from backends.emulator.translate.table import emitter_of
from backends.ptx.syntax import Address, Instruction, Operand, Register, Symbol, Vector

ANCHOR, VALUE, LOAD, STORE, ATOMIC = "anchor", "value", "load", "store", "atomic"
ALLOCATION = "allocation"
GENERIC = "generic"
_SPACES = ("global", "shared", "local", "param", "const")
_VALUES = frozenset([
    "mov", "cvta", "isspacep", "createpolicy", "shfl", "vote", "match", "redux", "elect", "activemask", "mapa",
    "getctarank", "mma",
])  # fmt: skip
# Instructions of which only some forms are of the kind; all others of their base decide who waits for whom.
_FORMS = {
    ("wmma", "mma"): VALUE, ("wmma", "load"): LOAD, ("wmma", "store"): STORE, ("wgmma", "mma_async"): VALUE,
    ("tcgen05", "mma"): VALUE, ("tcgen05", "ld"): VALUE, ("tcgen05", "st"): VALUE, ("tcgen05", "cp"): VALUE,
    ("tcgen05", "alloc"): ALLOCATION, ("tcgen05", "dealloc"): ALLOCATION,
    ("tcgen05", "relinquish_alloc_permit"): ALLOCATION, ("st", "async"): ANCHOR, ("red", "async"): ANCHOR,
}  # fmt: skip
_BASES = {
    "ld": LOAD, "ldu": LOAD, "ldmatrix": LOAD, "st": STORE, "stmatrix": STORE, "red": STORE, "atom": ATOMIC,
}  # fmt: skip
_CARRYING = frozenset({"addc", "subc", "madc"})
_NOT_A_COPY = frozenset(["bulk", "commit_group", "wait_group", "wait_all", "mbarrier"])


@dataclass(frozen=True)
class Role:
    """One instruction: its `kind`, the registers that it writes and reads, and those of its addresses and its guard.

    An anchor always runs: branches, barriers, bulk copies. A value runs where one of its results is wanted. Loads,
    stores and atomics are accesses: their addresses are always wanted. An allocation of tensor memory leaves its
    address in shared memory. `space`: that of an access, "" for none.
    """

    kind: str
    writes: frozenset[str]
    reads: frozenset[str]
    places: frozenset[str]
    space: str = ""


def role_of(program: Program, instruction: Instruction) -> Role:
    """The role of one instruction of a program."""
    kind = kind_of(instruction)
    writes = frozenset(_targets(instruction, kind))
    guard = {instruction.guard.register.name} if instruction.guard else set()
    reads = frozenset({*_sources(instruction, kind), *guard})
    places = frozenset({*_of(_places(instruction)), *guard})
    return Role(kind, writes, reads, places, space_of(program, instruction) if kind in (LOAD, STORE, ATOMIC) else "")


def kind_of(instruction: Instruction) -> str:
    """ANCHOR, VALUE, LOAD, STORE, ATOMIC or ALLOCATION."""
    parts = instruction.parts
    if parts[:2] in _FORMS:
        return _FORMS[(parts[0], parts[1])]
    if parts[:2] == ("cp", "async"):
        return ANCHOR if _NOT_A_COPY.intersection(parts) else STORE
    if parts[0] in _BASES:
        return _BASES[parts[0]]
    is_pure = parts[0] in _VALUES or emitter_of(instruction.opcode) is lanes.emit_lane_function
    return VALUE if is_pure else ANCHOR


def is_product(instruction: Instruction) -> bool:
    """Whether it multiplies matrices, or moves their accumulators; no address comes out of these."""
    return kind_of(instruction) == VALUE and instruction.base in ("mma", "wmma", "wgmma", "tcgen05")


def space_of(program: Program, instruction: Instruction) -> str:
    """The state space that an access names, else `generic`; a copy to shared memory is an access to that."""
    found = [p.partition("::")[0] for p in instruction.parts[1:]]
    space = next((s for s in found if s in _SPACES), "shared" if "matrix" in instruction.base else GENERIC)
    bases = (o.base for o in instruction.operands if isinstance(o, Address))
    is_local = space == "param" and any(isinstance(b, Symbol) and b.name in program.local for b in bases)
    return "local" if is_local else space


def _targets(instruction: Instruction, kind: str) -> Iterator[str]:
    if kind in (ANCHOR, STORE, ALLOCATION) or not instruction.operands:
        return
    yield from _of([instruction.operands[0]])
    if "cc" in instruction.parts:
        yield CARRY.name


def _sources(instruction: Instruction, kind: str) -> Iterator[str]:
    first, *rest = instruction.operands or (Symbol("_"),)
    # The accumulators of an asynchronous product are read too.
    is_read = kind in (ANCHOR, STORE, ALLOCATION) or instruction.base == "wgmma" or isinstance(first, Address)
    yield from _of([first, *rest] if is_read else rest)
    if instruction.base in _CARRYING:
        yield CARRY.name


def _places(instruction: Instruction) -> list[Operand]:
    """Operands that say where an access goes: addresses, the stride of a matrix, how much of a copy is read."""
    if instruction.base == "wmma":
        return [o for o in instruction.operands if not isinstance(o, Vector)]
    if instruction.base == "cp":
        return list(instruction.operands)
    return [o for o in instruction.operands if isinstance(o, Address)]


def _of(operands: list[Operand]) -> Iterator[str]:
    found = leaves(Instruction("", tuple(operands)))
    yield from (leaf.name for leaf in found if isinstance(leaf, Register))
