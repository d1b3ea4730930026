"""`wgmma` instructions."""

from __future__ import annotations

import re

from backends.emulator.tensor import warpgroup_fragments
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.wgmma import WarpgroupMultiply
from backends.ptx.syntax import Immediate, Instruction, Operand, Vector

_SHAPE = re.compile(r"m64n(\d+)k(\d+)$")


def emit_wgmma(b: BlockBuilder, instruction: Instruction) -> None:
    """`wgmma.mma_async`, `.fence`, `.commit_group`, `.wait_group`."""
    action = instruction.parts[1]
    if action == "mma_async" and "sp" not in instruction.parts:
        _multiply(b, instruction)
    elif action in ("fence", "commit_group"):
        b.effect(f"S.warpgroups.{action.partition('_')[0]}(F, {b.guard})")
    elif action == "wait_group":
        b.effect(f"S.warpgroups.wait(F, {_literal(b, instruction.operands[0])}, {b.guard})")
    else:
        raise b.refuse("this wgmma instruction")


def _multiply(b: BlockBuilder, instruction: Instruction) -> None:
    target, a, right, *rest = instruction.operands
    scale_d, *flags = rest
    spec = _specification(b, instruction, target, a, [_literal(b, f) for f in flags])
    left = "None" if spec.a_rows else b.read(a, "b64")
    accumulate = b.read(scale_d, "pred")
    b.effect(f"S.warpgroups.issue(F, {b.use(spec, 'wgmma')}, {left}, {b.read(right, 'b64')}, {accumulate}, {b.guard})")


def _specification(
    b: BlockBuilder, instruction: Instruction, target: Operand, a: Operand, flags: list[int]
) -> WarpgroupMultiply:
    parts = instruction.parts
    shape = next((m for p in parts if (m := _SHAPE.match(p))), None)
    d_type, a_type, b_type = parts[-3:]
    if shape is None:
        raise b.refuse("this shape")
    n, k = (int(x) for x in shape.groups())
    accumulator = warpgroup_fragments.wgmma_accumulator(n, d_type)
    fragment = warpgroup_fragments.wgmma_a(a_type)
    if accumulator is None or fragment is None or n not in warpgroup_fragments.widths(a_type):
        raise b.refuse(f"`{instruction.opcode}`")
    if k != warpgroup_fragments.depth(a_type):
        raise b.refuse(f"depth {k} for {a_type}")
    in_registers = isinstance(a, Vector)
    # imm-scale-a, imm-scale-b, then imm-trans-a (not where A is in registers) and imm-trans-b, as far as they exist.
    scales, transposes = (flags[:2] or [1, 1]), flags[2:]
    trans_a = transposes.pop(0) if transposes and not in_registers else 0
    trans_b = transposes.pop(0) if transposes else 0
    return WarpgroupMultiply(
        n, k, d_type, a_type, b_type, tuple(b.row(item).index for item in b.items(target)),
        tuple(b.row(item).index for item in b.items(a)) if in_registers else None, accumulator, fragment,
        scales[0] < 0, scales[1] < 0, not trans_a, not trans_b, "satfinite" in parts,
    )  # fmt: skip


def _literal(b: BlockBuilder, operand: Operand) -> int:
    if not isinstance(operand, Immediate) or operand.value is None:
        raise b.refuse("an operand that is no literal")
    return operand.value
