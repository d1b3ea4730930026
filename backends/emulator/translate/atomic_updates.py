"""`atom` and `red`, scalar and vector."""

from __future__ import annotations

from backends.emulator.atomics import update_of
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.loads import space_of
from backends.ptx.syntax import Instruction, Operand, Symbol

_OPERATIONS = frozenset(["add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"])
_ORDERINGS = frozenset(
    ["relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys", "noftz", "global", "shared", "generic"]
)


def emit_atom(b: BlockBuilder, instruction: Instruction) -> None:
    """`atom{.order}{.scope}{.space}.op{.vec}.type d, [a], b{, c}`."""
    target, place, value, *rest = instruction.operands
    _emit(b, instruction, target, place, value, rest[0] if rest else None)


def emit_red(b: BlockBuilder, instruction: Instruction) -> None:
    """`red...` is `atom` whose result nobody wants."""
    place, value = instruction.operands[:2]
    _emit(b, instruction, Symbol("_"), place, value, None)


def _emit(
    b: BlockBuilder, instruction: Instruction, target: Operand, place: Operand, value: Operand, second: Operand | None
) -> None:
    kind = instruction.parts[-1]
    operation = _operation(b, instruction)
    update = update_of(operation, kind)
    if update is None:
        raise b.refuse(f"an atomic `{operation}` of type `{kind}`")
    address, offset = b.address(place)
    values = ", ".join(b.read_all(value, kind))
    other = "None" if second is None or operation != "cas" else b.read(second, kind)
    wants_old = not (isinstance(target, Symbol) and target.is_sink)
    olds = b.temporary()
    b.effect(
        f"{olds} = S.atomics.apply(F, {space_of(b, instruction)!r}, {address}, {offset}, {kind!r}, {operation!r},"
        f" {b.use(update, 'u')}, [{values}], {other}, {b.guard}, {wants_old})"
    )
    if wants_old:
        for index, item in enumerate(b.items(target)):
            b.write(item, kind, f"{olds}[{index}]")


def _operation(b: BlockBuilder, instruction: Instruction) -> str:
    found = ""
    for part in instruction.parts[1:-1]:
        if part in _OPERATIONS:
            found = part
        elif part not in _ORDERINGS and part.partition("::")[0] not in ("shared", "L2", "L1", "v2", "v4", "v8"):
            raise b.refuse(f"the modifier `.{part}`")
    if not found:
        raise b.refuse("this atomic operation")
    return found
