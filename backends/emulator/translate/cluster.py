"""Instructions of clusters: addresses of other CTAs' shared memory, asynchronous stores to it, launch control."""

from __future__ import annotations

import numpy as np

from backends.emulator.atomics import update_of
from backends.emulator.program import bits_of
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Instruction

_OPERATIONS = ("inc", "dec", "min", "max", "add", "and", "or", "xor")
_RANK_BITS = 0xFF000000


def emit_mapa(b: BlockBuilder, instruction: Instruction) -> None:
    """`mapa{.shared::cluster}.type d, a, b`: the address of `a` in the CTA of rank b."""
    target, address, rank = instruction.operands
    kind = "b64" if instruction.parts[-1].endswith("64") else "b32"
    wide = f"np.uint{bits_of(kind)}"
    mask = b.constant(~_RANK_BITS, np.dtype(f"u{bits_of(kind) // 8}"))
    shifted = f"(np.asarray({b.read(rank, 'b32')}).astype({wide}) << {wide}(24))"
    b.write(target, kind, f"({b.read(address, kind)} & {mask}) | {shifted}")


def emit_getctarank(b: BlockBuilder, instruction: Instruction) -> None:
    """`getctarank{.shared::cluster}.type d, a`: the rank of the CTA whose shared memory `a` is in."""
    target, address = instruction.operands
    kind = "b64" if instruction.parts[-1].endswith("64") else "b32"
    wide = f"np.uint{bits_of(kind)}"
    value = f"((np.asarray({b.read(address, kind)}) >> {wide}(24)) & {wide}(0xff)).astype(np.uint32)"
    b.write(target, "b32", value)


def emit_store_async(b: BlockBuilder, instruction: Instruction) -> None:
    """`st.async{...}.type [a], b, [mbarrier]` and `red.async{...}.op.type [a], b, [mbarrier]`."""
    parts = instruction.parts
    if len(instruction.operands) != 3 or "mbarrier::complete_tx::bytes" not in parts:
        raise b.refuse("an asynchronous store without an mbarrier")
    place, value, barrier = instruction.operands
    kind, update = parts[-1], "None"
    if parts[0] == "red":
        operation = next((p for p in parts if p in _OPERATIONS), "")
        function = update_of(operation, kind)
        if function is None:
            raise b.refuse(f"`{operation}` of type `{kind}`")
        update = b.use(function, "u")
    values = ", ".join(b.read_all(value, kind))
    to, word = ("({}, {})".format(*b.address(operand)) for operand in (place, barrier))
    b.effect(f"S.clusters.store(F, {to}, {kind!r}, [{values}], {update}, {word}, {b.guard})")


def emit_launch_control(b: BlockBuilder, instruction: Instruction) -> None:
    """`clusterlaunchcontrol`: refused."""
    raise b.refuse(f"`{instruction.opcode}`")
