"""Loads and stores of every state space, vectors and parameters included."""

from __future__ import annotations

from backends.emulator.program import bits_of
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Address, Instruction, Operand, Symbol

_SPACES = {"global": "global", "const": "global", "param": "global", "shared": "shared", "local": "local"}
# Cache hints and prefetch sizes do not change what is loaded; `volatile`, `relaxed` and `acquire` only order it.
_IGNORED = frozenset(
    [
        "ca",
        "cg",
        "cs",
        "lu",
        "cv",
        "wb",
        "wt",
        "nc",
        "volatile",
        "weak",
        "relaxed",
        "acquire",
        "release",
        "mmio",
        "cta",
        "cluster",
        "gpu",
        "sys",
        "unified",
    ]
)
_IGNORED_PREFIXES = ("L1::", "L2::", "level::")


def space_of(b: BlockBuilder, instruction: Instruction) -> str:
    """The state space that the modifiers name, else `generic`."""
    found = (_SPACES.get(part.partition("::")[0]) for part in instruction.parts[1:])
    space = next((s for s in found if s), "generic")
    return "local" if space == "global" and _names_local(b, instruction) else space


def _names_local(b: BlockBuilder, instruction: Instruction) -> bool:
    """Whether `.param` means a variable of a call, which lies in the thread's own memory."""
    bases = (o.base for o in instruction.operands if isinstance(o, Address))
    return any(isinstance(base, Symbol) and base.name in b.program.local for base in bases)


def element_of(b: BlockBuilder, instruction: Instruction) -> tuple[str, int]:
    """(type, count) of what is moved; refuses a modifier that is not known."""
    kind, count = instruction.parts[-1], 1
    for part in instruction.parts[1:-1]:
        base = part.partition("::")[0]
        if part in ("v2", "v4", "v8"):
            count = int(part[1:])
        elif base not in _SPACES and part not in _IGNORED and not part.startswith(_IGNORED_PREFIXES):
            raise b.refuse(f"the modifier `.{part}`")
    return kind, count


def emit_load(b: BlockBuilder, instruction: Instruction) -> None:
    """`ld`, `ldu`, `ld.param`."""
    target, source = instruction.operands[:2]
    kind, count = element_of(b, instruction)
    size = max(bits_of(kind) // 8, 1)
    if size > 16:
        raise b.refuse(f"elements of type `{kind}`")
    address, offset = b.address(source)
    items = b.items(target)
    if len(items) != count:
        raise b.refuse(f"{len(items)} registers for a vector of {count}")
    space = space_of(b, instruction)
    values = b.temporary()
    b.effect(f"{values} = S.access.load(F, {space!r}, {address}, {offset}, {size}, {count}, {b.guard})")
    for index, item in enumerate(items):
        b.write(item, *_as_loaded(kind, size, f"{values}[{index}]"))


def _as_loaded(kind: str, size: int, value: str) -> tuple[str, str]:
    """Signed elements keep their sign when they are extended; all others are bits."""
    if kind.startswith("s"):
        return kind, f"{value}.view(np.int{8 * size})"
    return f"b{8 * size}", value


def emit_store(b: BlockBuilder, instruction: Instruction) -> None:
    """`st`."""
    target, source = instruction.operands[:2]
    kind, count = element_of(b, instruction)
    size = max(bits_of(kind) // 8, 1)
    if size > 16:
        raise b.refuse(f"elements of type `{kind}`")
    address, offset = b.address(target)
    values = _values(b, source, size)
    if len(values) != count:
        raise b.refuse(f"{len(values)} registers for a vector of {count}")
    space = space_of(b, instruction)
    b.effect(f"S.access.store(F, {space!r}, {address}, {offset}, {size}, [{', '.join(values)}], {b.guard})")


def _values(b: BlockBuilder, source: Operand, size: int) -> list[str]:
    return b.read_all(source, f"b{8 * size}")


def emit_nothing(b: BlockBuilder, instruction: Instruction) -> None:
    """What changes neither values nor order here: prefetches and cache hints."""
    del b, instruction


def emit_policy(b: BlockBuilder, instruction: Instruction) -> None:
    """`createpolicy`: an opaque cache policy, which changes no value."""
    b.write(instruction.operands[0], "b64", "np.uint64(0)")
