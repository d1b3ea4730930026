"""What the text of an instruction says about memory order: strong or weak, acquire, release, scope."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backends.emulator.program import Program, bits_of
from backends.ptx.syntax import Instruction

_SCOPES = {"cta": 1, "cluster": 2, "gpu": 3, "gl": 3, "sys": 4}
GPU_SCOPE = 3
_MEMORY_BASES = frozenset({"ld", "ldu", "st", "atom", "red"})
_ORDERS = frozenset({"volatile", "relaxed", "acquire", "release", "acq_rel", "sc", "mmio"})
_MBARRIER_BYTES = 8
_MAX_GRANULE_BYTES = 16


@dataclass(frozen=True)
class Order:
    """Memory order of one instruction; PTX ISA, memory consistency model. `scope`: 0 none, 1 CTA ... 4 system."""

    is_strong: bool = False
    is_atomic: bool = False
    acquires: bool = False
    releases: bool = False
    scope: int = 0
    is_constant: bool = False


def order_of(instruction: Instruction) -> Order:
    """The order that the modifiers name; `atom` and `red` are relaxed at GPU scope unless they say otherwise."""
    parts = instruction.parts
    base = parts[0]
    is_atomic = base in ("atom", "red")
    orders = _ORDERS.intersection(parts)
    scope = next((_SCOPES[p] for p in parts if p in _SCOPES), 0)
    if base == "membar":
        return Order(True, False, True, True, scope or GPU_SCOPE)
    is_strong = is_atomic or bool(orders)
    return Order(
        is_strong, is_atomic, bool(orders & {"acquire", "acq_rel", "sc"}), bool(orders & {"release", "acq_rel", "sc"}),
        scope or (_SCOPES["sys"] if "volatile" in orders else GPU_SCOPE if is_strong else 0),
        base == "ld" and bool({"param", "const"}.intersection(p.partition("::")[0] for p in parts)),
    )  # fmt: skip


def orders_of(program: Program) -> tuple[Order, ...]:
    """`order_of` each instruction of a program."""
    return tuple(order_of(i) for i in program.instructions)


def _bytes_moved(instruction: Instruction) -> int:
    parts = instruction.parts
    if parts[:2] == ("cp", "async") and "bulk" not in parts and len(instruction.operands) > 2:
        return getattr(instruction.operands[2], "value", 4) or 4
    if parts[0] not in _MEMORY_BASES:
        return _MBARRIER_BYTES if parts[0] == "mbarrier" else _MAX_GRANULE_BYTES
    count = next((int(p[1:]) for p in parts if p in ("v2", "v4", "v8")), 1)
    return min(max(bits_of(parts[-1]) // 8, 1) * count, _MAX_GRANULE_BYTES)


def granule_bytes(instructions: Iterable[Instruction], space: str) -> int:
    """The narrowest access that instructions make to a space: every access there is a whole number of such units.

    Accesses are aligned to their size, so that a shadow of units this large is as exact as one of bytes.
    """
    moved = [_bytes_moved(i) for i in instructions if _may_touch(i, space)]
    return min(moved, default=_MAX_GRANULE_BYTES)


def _may_touch(instruction: Instruction, space: str) -> bool:
    named = {p.partition("::")[0] for p in instruction.parts[1:]}
    other = {"shared": "global", "global": "shared"}[space]
    if named & {"param", "const", "local"}:
        return False
    if instruction.base == "cp":
        return True
    return space in named or other not in named
