"""`tcgen05` instructions."""

from __future__ import annotations

import re

from backends.emulator.tcgen05 import Movement
from backends.emulator.tcgen05_product import Form
from backends.emulator.tensor import tensor_memory
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Address, Immediate, Instruction, Operand, Vector

_COUNT = re.compile(r"x(\d+)$")
_COLLECTORS = ("collector::",)
_KINDS = ("f16", "tf32", "f8f6f4", "i8", "mxf8f6f4", "mxf4", "mxf4nvf4")
_SCALE_VECTORS = {
    "scale_vec::1X": 32, "scale_vec::2X": 32, "scale_vec::4X": 16, "block32": 32, "block16": 16,
}  # fmt: skip


def emit_tcgen05(b: BlockBuilder, instruction: Instruction) -> None:
    """Any `tcgen05` instruction; refuses `ld.red`, `shift` and sparse products."""
    emitters = {
        "alloc": _alloc, "dealloc": _dealloc, "relinquish_alloc_permit": _relinquish, "ld": _load, "st": _store,
        "wait::ld": _wait, "wait::st": _wait, "mma": _multiply, "commit": _commit, "cp": _copy,
        "fence::before_thread_sync": _fence, "fence::after_thread_sync": _fence,
    }  # fmt: skip
    emitter = emitters.get(instruction.parts[1])
    if emitter is None:
        raise b.refuse(f"`tcgen05.{instruction.parts[1]}`")
    emitter(b, instruction)


def _group(b: BlockBuilder, instruction: Instruction) -> int:
    """CTAs that take part: `.cta_group::1` or `::2`."""
    found = next((p for p in instruction.parts if p.startswith("cta_group::")), "")
    if found[-1:] not in ("1", "2"):
        raise b.refuse("an instruction without `.cta_group`")
    return int(found[-1])


def _alloc(b: BlockBuilder, instruction: Instruction) -> None:
    place, columns = instruction.operands
    address, offset = b.address(place)
    space = "shared" if any(p.startswith("shared") for p in instruction.parts) else "generic"
    b.effect(f"return S.tensor_memory.alloc(F, {space!r}, {address}, {offset}, {b.read(columns, 'u32')}, {b.guard})")


def _dealloc(b: BlockBuilder, instruction: Instruction) -> None:
    address, columns = (b.read(operand, "u32") for operand in instruction.operands)
    b.effect(f"S.tensor_memory.dealloc(F, {address}, {columns}, {b.guard})")


def _relinquish(b: BlockBuilder, instruction: Instruction) -> None:
    del instruction
    b.effect(f"S.tensor_memory.relinquish(F, {b.guard})")


def _movement(b: BlockBuilder, instruction: Instruction, split: list[Operand], packs: str) -> Movement:
    parts = instruction.parts
    if "red" in parts:
        raise b.refuse("`tcgen05.ld.red`")
    count = next((int(m[1]) for p in parts if (m := _COUNT.match(p))), 0)
    shape = next((p for p in parts if tensor_memory.movement(p, 1 if count == 0 else count)), "")
    fragment = tensor_memory.movement(shape, count)
    if fragment is None:
        raise b.refuse(f"`{instruction.opcode}`")
    half = None
    if shape == "16x32bx2":
        if not split or not isinstance(split[0], Immediate) or split[0].value is None:
            raise b.refuse("`16x32bx2` without the offset of its second half")
        half = split[0].value
    return Movement(fragment, packs in parts, half)


def _load(b: BlockBuilder, instruction: Instruction) -> None:
    target, place, *split = instruction.operands
    movement = _movement(b, instruction, split, "pack::16b")
    address, offset = b.address(place)
    items = b.items(target)
    if len(items) != movement.fragment.registers:
        raise b.refuse(f"{len(items)} registers for {movement.fragment.registers}")
    values = b.temporary()
    b.effect(f"{values} = S.tcgen05.load(F, {b.use(movement, 'move')}, {address}, {offset}, {b.guard})")
    for index, item in enumerate(items):
        b.write(item, "b32", f"{values}[{index}]")


def _store(b: BlockBuilder, instruction: Instruction) -> None:
    place, *rest = instruction.operands
    *split, source = rest
    movement = _movement(b, instruction, split, "unpack::16b")
    address, offset = b.address(place)
    values = b.read_all(source, "b32")
    if len(values) != movement.fragment.registers:
        raise b.refuse(f"{len(values)} registers for {movement.fragment.registers}")
    b.effect(f"S.tcgen05.store(F, {b.use(movement, 'move')}, {address}, {offset}, [{', '.join(values)}], {b.guard})")


def _wait(b: BlockBuilder, instruction: Instruction) -> None:
    b.effect(f"S.tcgen05.wait(F, {instruction.parts[1][-2:]!r}, {b.guard})")


def _fence(b: BlockBuilder, instruction: Instruction) -> None:
    b.effect(f"S.tcgen05.note(F, {'.'.join(instruction.parts[:2])!r}, {b.guard})")


def _multiply(b: BlockBuilder, instruction: Instruction) -> None:
    form = _form(b, instruction)
    target, a, right, descriptor, *rest = instruction.operands
    scales, rest = _scales(b, rest) if form.is_scaled else ("None", rest)
    disabled = "None"
    if rest and isinstance(rest[0], Vector):
        disabled = f"[{', '.join(b.read_all(rest.pop(0), 'b32'))}]"
    accumulate = b.read(rest.pop(0), "pred")
    shift = 0
    if rest:
        # `scale-input-d` of plain products; of `.ws` it would be a zero-column mask.
        if form.is_stationary or not isinstance(rest[0], Immediate) or rest[0].value is None:
            raise b.refuse("this last operand")
        shift = rest[0].value
    address, offset = b.address(target)
    if offset:
        address = f"({address} + np.uint32({offset}))"
    left = b.read(a, "b64") if not isinstance(a, Address) else _cell_address(b, a)
    b.effect(
        f"S.tcgen05.multiply(F, {b.use(form, 'form')}, {address}, {left}, {b.read(right, 'b64')},"
        f" {b.read(descriptor, 'b32')}, {accumulate}, {shift}, {disabled}, {scales}, {b.guard})"
    )


def _cell_address(b: BlockBuilder, operand: Operand) -> str:
    address, offset = b.address(operand)
    return f"({address} + np.uint32({offset}))" if offset else address


def _scales(b: BlockBuilder, rest: list[Operand]) -> tuple[str, list[Operand]]:
    """Addresses of the scale factors of A and B in tensor memory, and the operands after them."""
    first, second, *others = rest
    return f"({_cell_address(b, first)}, {_cell_address(b, second)})", others


def _form(b: BlockBuilder, instruction: Instruction) -> Form:
    parts = instruction.parts
    kind = next((p.removeprefix("kind::") for p in parts if p.startswith("kind::")), "")
    if kind not in _KINDS:
        raise b.refuse(f"`.kind::{kind}`")
    known = ("tcgen05", "mma", "ws", "block_scale", f"kind::{kind}", *_SCALE_VECTORS)
    for part in parts:
        if part not in known and not part.startswith(("cta_group::", *_COLLECTORS)):
            raise b.refuse(f"the modifier `.{part}`")
    scaled = "block_scale" in parts
    if scaled != kind.startswith("mx"):
        raise b.refuse(f"`.kind::{kind}` {'with' if scaled else 'without'} `.block_scale`")
    block = next((_SCALE_VECTORS[p] for p in parts if p in _SCALE_VECTORS), 16 if kind == "mxf4nvf4" else 32)
    in_cells = isinstance(instruction.operands[1], Address)
    return Form(kind, _group(b, instruction), "ws" in parts, in_cells, block if scaled else 0)


def _commit(b: BlockBuilder, instruction: Instruction) -> None:
    parts = instruction.parts
    if "mbarrier::arrive::one" not in parts:
        raise b.refuse("this commit")
    place, *mask = instruction.operands
    address, offset = b.address(place)
    multicast = b.read(mask[0], "u16") if any(p.startswith("multicast") for p in parts) else "None"
    b.effect(f"S.tcgen05.commit(F, {_group(b, instruction)}, {address}, {offset}, {multicast}, {b.guard})")


def _copy(b: BlockBuilder, instruction: Instruction) -> None:
    parts = instruction.parts
    shape = next((p for p in parts if re.match(r"\d+x\d+b$", p)), "")
    multicast = ".".join(p for p in parts if p.startswith("warpx"))
    layout = tensor_memory.copy(shape, multicast)
    if layout is None or any(p in parts for p in ("b4x16_p64", "b6x16_p32")):
        raise b.refuse(f"`{instruction.opcode}`")
    place, descriptor = instruction.operands
    b.effect(
        f"S.tcgen05.copy(F, {b.use(layout, 'copy')}, {_group(b, instruction)}, {_cell_address(b, place)},"
        f" {b.read(descriptor, 'b64')}, {b.guard})"
    )
