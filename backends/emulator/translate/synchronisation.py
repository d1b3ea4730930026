"""Named barriers, mbarriers, fences, and the commit and wait of `cp.async` groups."""

from __future__ import annotations

from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Address, Immediate, Instruction, Operand, Symbol

_REDUCTIONS = {"popc": ("u32", "popc"), "and": ("pred", "and"), "or": ("pred", "or")}

# PTX ISA, setmaxnreg: registers of a thread.
_FEWEST_REGISTERS, _MOST_REGISTERS = 24, 256


def emit_bar(b: BlockBuilder, instruction: Instruction) -> None:
    """`bar` and `barrier`: sync, arrive, red, warp.sync, cluster."""
    parts = instruction.parts
    if parts[1] == "warp":
        # The lanes have met where the block begins.
        b.effect(f"S.convergence.note(F, {instruction.opcode!r})")
        return
    if parts[1] == "cluster":
        _cluster(b, instruction)
        return
    action = next((p for p in parts[1:] if p in ("sync", "arrive", "red")), None)
    if action is None:
        raise b.refuse("this barrier")
    if action == "red":
        _reduction(b, instruction)
        return
    number, threads = _number(b, instruction.operands[0]), "None"
    if len(instruction.operands) > 1:
        threads = _number(b, instruction.operands[1])
    call = f"S.barriers.{action}(F, {number}, {threads}, {b.guard})"
    b.effect(f"return {call}" if action == "sync" else call)


def _number(b: BlockBuilder, operand: Operand) -> str:
    return str(operand.value) if isinstance(operand, Immediate) else b.read(operand, "u32")


def _reduction(b: BlockBuilder, instruction: Instruction) -> None:
    operation = next(p for p in instruction.parts if p in _REDUCTIONS)
    target, number, *rest = instruction.operands
    threads = _number(b, rest[0]) if len(rest) > 1 else "None"
    row = b.use(b.row(target), "row")
    b.effect(
        f"return S.barriers.sync(F, {_number(b, number)}, {threads}, {b.guard}, {operation!r},"
        f" {b.read(rest[-1], 'pred')}, {row})"
    )


def _cluster(b: BlockBuilder, instruction: Instruction) -> None:
    if "arrive" in instruction.parts:
        b.effect(f"S.cluster_barrier.arrive(F, {instruction.opcode!r}, {b.guard})")
    else:
        b.effect(f"return S.cluster_barrier.wait(F, {instruction.opcode!r}, {b.guard})")


def emit_mbarrier(b: BlockBuilder, instruction: Instruction) -> None:
    """`mbarrier` in all its forms."""
    emitters = {
        "init": _init, "inval": _inval, "arrive": _arrive, "arrive_drop": _arrive, "expect_tx": _expect,
        "complete_tx": _expect, "try_wait": _try_wait, "test_wait": _test_wait, "pending_count": _pending_count,
    }  # fmt: skip
    emitter = emitters.get(instruction.parts[1])
    if emitter is None:
        raise b.refuse("this mbarrier operation")
    emitter(b, instruction)


def _init(b: BlockBuilder, instruction: Instruction) -> None:
    place, count = instruction.operands
    address, offset = b.address(place)
    b.effect(f"S.mbarriers.init(F, {address}, {offset}, {b.read(count, 'u32')}, {b.guard})")


def _inval(b: BlockBuilder, instruction: Instruction) -> None:
    address, offset = b.address(instruction.operands[0])
    b.effect(f"S.mbarriers.invalidate(F, {address}, {offset}, {b.guard})")


def _arrive(b: BlockBuilder, instruction: Instruction) -> None:
    """`mbarrier.arrive{.expect_tx}{.release...} state, [a]{, count or bytes}`; `_` or no state at all."""
    operands = list(instruction.operands)
    target = operands.pop(0) if not isinstance(operands[0], Address) else Symbol("_")
    address, offset = b.address(operands[0])
    extra = b.read(operands[1], "u32") if len(operands) > 1 else None
    announces = "expect_tx" in instruction.parts
    count, nbytes = ("1", extra) if announces else (extra or "1", "0")
    drop = instruction.parts[1] == "arrive_drop"
    token = b.temporary()
    b.effect(f"{token} = S.mbarriers.arrive(F, {address}, {offset}, {count}, {nbytes}, {drop}, {b.guard})")
    b.write(target, "b64", token)


def _expect(b: BlockBuilder, instruction: Instruction) -> None:
    place, nbytes = instruction.operands
    address, offset = b.address(place)
    sign = "-" if instruction.parts[1] == "complete_tx" else ""
    amount = f"{sign}np.asarray({b.read(nbytes, 'u32')}).astype(np.int64)"
    b.effect(f"S.mbarriers.expect(F, {address}, {offset}, {amount}, {b.guard})")


def _wait_operands(b: BlockBuilder, instruction: Instruction) -> tuple[str, int, str, bool]:
    address, offset = b.address(instruction.operands[1])
    is_parity = "parity" in instruction.parts
    return address, offset, b.read(instruction.operands[2], "u32" if is_parity else "b64"), is_parity


def _try_wait(b: BlockBuilder, instruction: Instruction) -> None:
    """The suspended threads go on when the phase completes; the time limit that the ISA allows is infinite here."""
    address, offset, state, is_parity = _wait_operands(b, instruction)
    target = instruction.operands[0]
    satisfied = b.read(target, "pred")
    b.written.add(b.row(target))
    row = b.use(b.row(target), "row")
    b.effect(
        f"return S.mbarriers.try_wait(F, {address}, {offset}, {state}, {is_parity}, {satisfied}, {row}, {b.guard})"
    )


def _test_wait(b: BlockBuilder, instruction: Instruction) -> None:
    address, offset, state, is_parity = _wait_operands(b, instruction)
    done = b.temporary()
    b.effect(f"{done} = S.mbarriers.test_wait(F, {address}, {offset}, {state}, {is_parity}, {b.guard})")
    b.write(instruction.operands[0], "pred", done)
    # A failed test is repeated in a loop: others get their turn first.
    b.line(f"return S.yield_to_others(F, {b.number + 1}) if not {done}.all() else None")


def _pending_count(b: BlockBuilder, instruction: Instruction) -> None:
    target, state = instruction.operands
    b.write(target, "u32", f"(np.asarray({b.read(state, 'b64')}) & np.uint64(0xFFFFF)).astype(np.uint32)")


def emit_fence(b: BlockBuilder, instruction: Instruction) -> None:
    """`fence`, `membar`: memory is sequentially consistent here; checkers hear of the order that was asked for."""
    b.line(f"if S.observer is not None: S.site = {b.index}; S.observer.event(F, {instruction.opcode!r}, {b.guard})")


def emit_setmaxnreg(b: BlockBuilder, instruction: Instruction) -> None:
    """`setmaxnreg.inc` and `.dec`: registers never lack here; checkers hear of what was asked for."""
    count = instruction.operands[0]
    value = count.value if isinstance(count, Immediate) else None
    if value is None or value % 8 or not _FEWEST_REGISTERS <= value <= _MOST_REGISTERS:
        raise b.refuse(f"a count that is no multiple of 8 from {_FEWEST_REGISTERS} to {_MOST_REGISTERS}")
    event = f"S.observer.event(F, 'setmaxnreg.{instruction.parts[1]}', {b.guard}, {value})"
    b.line(f"if S.observer is not None: S.site = {b.index}; {event}")


def emit_cp_async(b: BlockBuilder, instruction: Instruction) -> None:
    """`cp.async` copies of 4, 8 or 16 bytes, their groups, and arrival at an mbarrier."""
    parts = instruction.parts
    if "commit_group" in parts:
        b.effect(f"S.copies.commit(F, {b.guard})")
    elif "wait_group" in parts:
        operand = instruction.operands[0]
        if not isinstance(operand, Immediate) or operand.value is None:
            raise b.refuse("this count of groups")
        b.effect(f"S.copies.wait(F, {operand.value}, {b.guard})")
    elif "wait_all" in parts:
        b.effect(f"S.copies.wait(F, 0, {b.guard}, everything=True)")
    elif "mbarrier" in parts:
        address, offset = b.address(instruction.operands[0])
        b.effect(f"S.copies.arrive(F, {address}, {offset}, {'noinc' in parts}, {b.guard})")
    else:
        _copy(b, instruction)


def _copy(b: BlockBuilder, instruction: Instruction) -> None:
    target, source, size, *rest = instruction.operands
    if not isinstance(size, Immediate) or size.value not in (4, 8, 16):
        raise b.refuse("this size")
    to, to_offset = b.address(target)
    origin, origin_offset = b.address(source)
    ignore = source_size = "None"
    if rest:
        # The last operand is the number of bytes to read, or a predicate: then nothing is read where it holds.
        is_predicate = getattr(rest[0], "type", "") == "pred"
        ignore, source_size = (b.read(rest[0], "pred"), "None") if is_predicate else ("None", b.read(rest[0], "u32"))
    b.effect(
        f"S.copies.copy(F, {to}, {to_offset}, {origin}, {origin_offset}, {size.value}, {source_size}, {ignore},"
        f" {b.guard})"
    )
