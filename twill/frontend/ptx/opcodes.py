"""What each PTX instruction defines, reads and touches in memory: tables by opcode.

Source of the forms: PTX ISA 9, chapter "Instruction Set". Addresses that the lanes of a warp use together (`ldmatrix`,
descriptors, TMA) have no base here, so that nothing can be proven about them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from backends.ptx.opcodes import WITH_RESULT
from backends.ptx.syntax import Address, Immediate, Instruction, Operand, Register, Symbol, Vector, registers
from ir.types import Type

CARRY = Register("%cc", "pred")

# The exceptions, by the first two parts (`multimem.st`), or three.
_RESULT_BY_PREFIX = {
    "bar.red": True,
    "barrier.red": True,
    "barrier.cta.red": True,
    "clusterlaunchcontrol.try_cancel": False,
    "mbarrier.arrive": True,
    "mbarrier.arrive_drop": True,
    "mbarrier.pending_count": True,
    "mbarrier.test_wait": True,
    "mbarrier.try_wait": True,
    "multimem.red": False,
    "multimem.st": False,
    "tcgen05.ld": True,
    "wgmma.mma_async": True,
    "wmma.store": False,
}
_SPACES = ("global", "shared", "local", "const", "param")
_TYPE = re.compile(r"([bsuf])(\d+)(x2)?|(bf16|tf32|f16)(x2)?")
_ELEMENTS = {
    "pred": "i1", "f16": "f16", "f16x2": "f16", "bf16": "bf16", "bf16x2": "bf16", "tf32": "tf32", "f32": "f32",
    "f64": "f64",
}  # fmt: skip


@dataclass(frozen=True)
class Access:
    """One memory access. `base` None: nothing is known of the address. `extent`: bytes (columns of tensor memory)."""

    space: str
    write: bool
    base: Register | Symbol | None = None
    offset: int = 0
    extent: int = 0


@dataclass(frozen=True)
class Effects:
    """Registers defined and read, in order, and the memory accesses of one instruction."""

    defines: tuple[Register, ...]
    reads: tuple[Register, ...]
    accesses: tuple[Access, ...] = ()


def value_type(register: Register) -> Type:
    """The IR type of a register.

    >>> str(value_type(Register("%p", "pred"))), str(value_type(Register("%rd", "b64"))), value_type(CARRY).bytes
    ('i1', 'i64', 1)
    """
    if register.type in _ELEMENTS:
        return Type(_ELEMENTS[register.type], (2,) if register.type.endswith("x2") else ())
    bits = int(re.sub(r"\D", "", register.type) or 32)
    return Type("i64", (bits // 64,)) if bits > 64 else Type(f"i{bits}")


def effects(instruction: Instruction) -> Effects:
    """Definitions, reads (the guard is not among them) and memory accesses."""
    results, sources = _split(instruction)
    defines = [r for o in results for r in registers(o) if r.name != "_"]
    reads = [r for o in sources for r in registers(o)]
    # A result written as an address is read: the address is.
    addressed = [o for o in results if isinstance(o, Address)]
    defines = [] if addressed else defines
    reads = [r for o in addressed for r in registers(o)] + reads
    if instruction.opcode.startswith("wgmma.mma_async"):
        reads = [*defines, *reads]
    carry = "cc" in instruction.parts
    reads += [CARRY] if instruction.base in ("addc", "subc", "madc") else []
    return Effects((*defines, *([CARRY] if carry else [])), tuple(reads), accesses(instruction))


def _split(instruction: Instruction) -> tuple[tuple[Operand, ...], tuple[Operand, ...]]:
    operands = instruction.operands
    if instruction.base == "call":
        has_result = len(operands) > 1 and isinstance(operands[0], Vector)
        return (operands[:1], operands[1:]) if has_result else ((), operands)
    count = 1 if _has_result(instruction.opcode) else 0
    return operands[:count], operands[count:]


@cache
def _has_result(opcode: str) -> bool:
    parts = opcode.split(".")
    for length in (3, 2):
        if (prefix := ".".join(parts[:length])) in _RESULT_BY_PREFIX:
            return _RESULT_BY_PREFIX[prefix]
    return parts[0] in WITH_RESULT


def space_of(opcode: str) -> str:
    """The memory space that an opcode names first, `generic` if none.

    >>> space_of("ld.shared::cta.b32"), space_of("st.release.gpu.global.b32"), space_of("atom.add.u32")
    ('shared', 'global', 'generic')
    """
    return (spaces_of(opcode) or ("generic",))[0]


@cache
def spaces_of(opcode: str) -> tuple[str, ...]:
    """The memory spaces that an opcode names, in order."""
    stems = (part.partition("::")[0] for part in opcode.split(".")[1:] if "complete_tx" not in part)
    return tuple(stem for stem in stems if stem in _SPACES)


@cache
def access_bytes(opcode: str) -> int:
    """Bytes that one thread moves.

    >>> access_bytes("ld.global.v4.b32"), access_bytes("st.shared.b16"), access_bytes("ld.shared.v2.f16x2")
    (16, 2, 8)
    """
    parts = opcode.split(".")
    count = next((int(p[1:]) for p in parts if re.fullmatch(r"v\d", p)), 1)
    kind = next((found for p in reversed(parts) if (found := _TYPE.fullmatch(p))), None)
    if kind is None:
        return 4 * count
    bits = int(kind[2]) if kind[2] else 32 if kind[4] == "tf32" else 16
    return count * bits * (2 if kind[3] or kind[5] else 1) // 8


def accesses(instruction: Instruction) -> tuple[Access, ...]:
    """The memory accesses of an instruction; barrier objects are not among them, waits and arrivals order instead."""
    opcode, parts = instruction.opcode, instruction.parts
    if instruction.base in _PLAIN:
        return tuple(_plain(instruction, write) for write in _PLAIN[instruction.base])
    if instruction.base == "cp":
        return _copy(instruction)
    if parts[0] == "tcgen05" and parts[1:2] in (("ld",), ("st",)):
        return (_tensor_memory(instruction, parts[1] == "st"),)
    fixed = next((table for prefix, table in _COLLECTIVE.items() if opcode.startswith(prefix)), ())
    return tuple(Access(space or space_of(opcode), write) for space, write in fixed)


# Which accesses (write or not) go through the first address operand.
_PLAIN = {"ld": (False,), "ldu": (False,), "st": (True,), "atom": (False, True), "red": (False, True)}
# Accesses with no usable address; an empty space is the one that the opcode names.
_COLLECTIVE: dict[str, tuple[tuple[str, bool], ...]] = {
    "ldmatrix": (("shared", False),),
    "stmatrix": (("shared", True),),
    "wmma.load": (("", False),),
    "wmma.store": (("", True),),
    "wgmma.mma_async": (("shared", False),),
    "tcgen05.mma": (("shared", False), ("tensor", False), ("tensor", True)),
    "tcgen05.cp": (("shared", False), ("tensor", True)),
    "tcgen05.shift": (("tensor", False), ("tensor", True)),
    "tensormap": (("", True),),
    "multimem.ld_reduce": (("global", False),),
    "multimem": (("global", False), ("global", True)),
    "discard": (("global", True),),
    "clusterlaunchcontrol.try_cancel": (("shared", True),),
    "suld": (("surface", False),),
    "sust": (("surface", True),),
    "sured": (("surface", False), ("surface", True)),
}


def _plain(instruction: Instruction, write: bool) -> Access:
    address = next((o for o in instruction.operands if isinstance(o, Address)), None)
    return _access(space_of(instruction.opcode), write, address, access_bytes(instruction.opcode))


def _access(space: str, write: bool, address: Address | None, extent: int) -> Access:
    if address is None or isinstance(address.base, Immediate):
        return Access(space, write)
    return Access(space, write, address.base, address.offset, extent)


def _copy(instruction: Instruction) -> tuple[Access, ...]:
    """`cp.async` and its bulk forms: the first space named is written, the second read."""
    parts = instruction.parts
    addresses = [o for o in instruction.operands if isinstance(o, Address)]
    if len(addresses) < 2 or "mbarrier" in parts or "prefetch" in parts:
        return ()
    spaces = spaces_of(instruction.opcode)
    if "bulk" in parts:
        reduced = (Access(spaces[0], False),) if "reduce" in parts else ()
        return (Access(spaces[0], True), *reduced, *(Access(s, False) for s in spaces[1:2])) if spaces else ()
    size = next((o.value for o in instruction.operands if isinstance(o, Immediate)), None) or 16
    return _access("shared", True, addresses[0], size), _access("global", False, addresses[1], size)


def _tensor_memory(instruction: Instruction, write: bool) -> Access:
    address = next((o for o in instruction.operands if isinstance(o, Address)), None)
    vector = next((o for o in instruction.operands if isinstance(o, Vector)), Vector(()))
    return _access("tensor", write, address, max(1, len(vector.items)))
