"""`cp.async.bulk`, `cp.reduce.async.bulk` and their tensor forms."""

from __future__ import annotations

from backends.emulator.atomics import update_of
from backends.emulator.bulk import Reduction
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Address, Immediate, Instruction, Operand

_ATOMICS = ("add", "min", "max", "inc", "dec", "and", "or", "xor")


def emit_bulk(b: BlockBuilder, instruction: Instruction) -> None:
    """Any `cp.async.bulk` or `cp.reduce.async.bulk` instruction."""
    parts = instruction.parts
    if "commit_group" in parts:
        b.effect(f"S.bulk.commit(F, {b.guard})")
    elif "wait_group" in parts:
        count = instruction.operands[0]
        if not isinstance(count, Immediate):
            raise b.refuse("a count that is no literal")
        b.effect(f"S.bulk.wait(F, {count.value}, {'read' in parts}, {b.guard})")
    elif "prefetch" in parts:
        return
    elif "tensor" in parts:
        _tensor(b, instruction)
    else:
        _run(b, instruction)


def _tensor(b: BlockBuilder, instruction: Instruction) -> None:
    parts = instruction.parts
    if any(p.startswith("im2col") for p in parts) or ("tile::gather4" in instruction.opcode and "2d" not in parts):
        raise b.refuse("im2col mode")
    is_gather = "tile::gather4" in parts or "tile::scatter4" in parts
    loads = _first_space(parts) == "shared"
    first, second, *rest = instruction.operands
    tensor = second if loads else first
    if not isinstance(tensor, Address) or not tensor.extra:
        raise b.refuse("a tensor without coordinates")
    coordinates = f"[{', '.join(b.read_all(tensor.extra[0], 'b32'))}]"
    place = _pair(b, first if loads else second)
    tensor_map = _pair(b, tensor)
    if loads:
        multicast = _multicast(b, parts, rest[1:])
        b.effect(
            f"S.bulk.tensor_load(F, {place}, {tensor_map}, {coordinates}, {_pair(b, rest[0])}, {multicast},"
            f" {is_gather}, {b.guard})"
        )
        return
    b.effect(
        f"S.bulk.tensor_store(F, {place}, {tensor_map}, {coordinates}, {_tensor_reduction(b, parts)}, {is_gather},"
        f" {b.guard})"
    )


def _run(b: BlockBuilder, instruction: Instruction) -> None:
    parts = instruction.parts
    target, source, nbytes, *rest = instruction.operands
    places = f"{_pair(b, target)}, {_pair(b, source)}, {b.read(nbytes, 'b32')}"
    spaces = [p.partition("::")[0] for p in parts if p.partition("::")[0] in ("shared", "global")]
    if spaces[:2] == ["shared", "global"]:
        b.effect(f"S.bulk.run_load(F, {places}, {_pair(b, rest[0])}, {_multicast(b, parts, rest[1:])}, {b.guard})")
    elif spaces[:2] == ["global", "shared"]:
        b.effect(f"S.bulk.run_store(F, {places}, {_run_reduction(b, parts)}, {b.guard})")
    elif spaces[:2] == ["shared", "shared"] and parts[1] != "reduce":
        b.effect(f"S.bulk.run_to_cluster(F, {places}, {_pair(b, rest[0])}, {b.guard})")
    else:
        raise b.refuse("this bulk copy")


def _first_space(parts: tuple[str, ...]) -> str:
    return next(p.partition("::")[0] for p in parts if p.partition("::")[0] in ("shared", "global"))


def _pair(b: BlockBuilder, operand: Operand) -> str:
    address, offset = b.address(operand)
    return f"({address}, {offset})"


def _multicast(b: BlockBuilder, parts: tuple[str, ...], rest: list[Operand]) -> str:
    return b.read(rest[0], "u16") if any(p.startswith("multicast") for p in parts) else "None"


def _tensor_reduction(b: BlockBuilder, parts: tuple[str, ...]) -> str:
    """The element type of a reducing tensor store is the map's, which is known only when it runs."""
    if parts[1] != "reduce":
        return "None"
    operation = next((p for p in parts if p in _ATOMICS), None)
    if operation is None:
        raise b.refuse("this reduction")
    return repr(operation)


def _run_reduction(b: BlockBuilder, parts: tuple[str, ...]) -> str:
    if parts[1] != "reduce":
        return "None"
    operation = next((p for p in parts if p in _ATOMICS), "")
    kind = parts[-1]
    update = update_of(operation, kind)
    if update is None:
        raise b.refuse(f"the reduction `{operation}` of type `{kind}`")
    return b.use(Reduction(kind, update), "reduction")
