"""`call` of functions that the device itself provides."""

from __future__ import annotations

from backends.emulator.calls import Call
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Instruction, Operand, Symbol

# Name -> method of `Externals`, number of arguments.
_PROVIDED = {"vprintf": ("vprintf", 2), "__assertfail": ("assertfail", 5), "malloc": ("malloc", 1), "free": ("free", 1)}


def emit_call(b: BlockBuilder, instruction: Instruction) -> None:
    """A call that was not inlined; refuses a function that has no body and is not provided."""
    call = Call.of(instruction)
    name = call.callee.name if isinstance(call.callee, Symbol) else "?"
    method, count = _PROVIDED.get(name, ("", 0))
    if not method or len(call.arguments) != count:
        raise b.refuse(f"the external function `{name}`")
    places = tuple(_offset(b, item) for item in call.arguments)
    result = _offset(b, call.results[0]) if call.results else None
    b.effect(f"S.externals.{method}(F, {places!r}, {result!r}, {b.guard})")


def _offset(b: BlockBuilder, operand: Operand) -> int:
    if not isinstance(operand, Symbol) or operand.name not in b.program.local:
        raise b.refuse("an argument that is no variable")
    return b.program.local[operand.name] + operand.offset
