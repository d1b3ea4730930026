"""Moves: `mov` with packing and unpacking, and address conversions between state spaces."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.emulator.fronts import Front
from backends.emulator.program import bits_of
from backends.emulator.spaces import LOCAL_BASE, SHARED_BASE, WARP_LANES
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Instruction, Vector

_WINDOWS = {"global": 0, "const": 0, "param": 0, "shared": SHARED_BASE, "local": LOCAL_BASE}


def emit_mov(b: BlockBuilder, instruction: Instruction) -> None:
    """`mov.type d, a`, and `mov.b32 d, {a, b}` and back."""
    target, source = instruction.operands
    kind = instruction.parts[-1]
    kind = "pred" if kind == "pred" else f"b{bits_of(kind)}"
    if kind == "b128" and isinstance(source, Vector):
        low, high = (b.read(item, "b64") for item in b.items(source))
        b.write(target, kind, f"{b.use(joined, 'joined')}(F, {low}, {high})")
    elif kind == "b128" and isinstance(target, Vector):
        halves = b.temporary()
        b.line(f"{halves} = {b.use(halves_of, 'halves')}({b.read(source, kind)})")
        for index, item in enumerate(b.items(target)):
            b.write(item, "b64", f"{halves}[..., {index}]")
    elif isinstance(source, Vector):
        _pack(b, instruction, kind)
    elif isinstance(target, Vector):
        _unpack(b, instruction, kind)
    else:
        b.write(target, kind, b.read(source, kind))


def joined(front: Front, low: Any, high: Any) -> Any:
    """Two 64-bit halves as items of 16 bytes, shape (n, 32)."""
    halves = np.empty((front.n, WARP_LANES, 2), np.uint64)
    halves[..., 0], halves[..., 1] = low, high
    return halves.view(np.complex128)[..., 0]


def halves_of(items: Any) -> Any:
    """Items of 16 bytes (n, 32) as their 64-bit halves (n, 32, 2), copied."""
    return np.array(items).view(np.uint64).reshape(*items.shape, 2)


def _pack(b: BlockBuilder, instruction: Instruction, kind: str) -> None:
    target, source = instruction.operands
    items = b.items(source)
    part_bits = bits_of(kind) // len(items)
    wide = f"np.uint{bits_of(kind)}"
    parts = [
        f"(np.asarray({b.read(item, f'b{part_bits}')}).astype({wide}) << {wide}({index * part_bits}))"
        for index, item in enumerate(items)
    ]
    b.write(target, kind, " | ".join(parts))


def _unpack(b: BlockBuilder, instruction: Instruction, kind: str) -> None:
    target, source = instruction.operands
    items = b.items(target)
    part_bits = bits_of(kind) // len(items)
    wide = f"np.uint{bits_of(kind)}"
    value = b.temporary()
    # The value is read once and for all: a target may be the source.
    b.line(f"{value} = {b.read(source, kind)}")
    parts = []
    for index in range(len(items)):
        parts.append(b.temporary())
        b.line(f"{parts[-1]} = ({value} >> {wide}({index * part_bits})).astype(np.uint{part_bits})")
    for item, part in zip(items, parts, strict=True):
        b.write(item, f"b{part_bits}", part)


def emit_cvta(b: BlockBuilder, instruction: Instruction) -> None:
    """`cvta{.to}.space.size`: generic addresses are the space's offset plus its window.

    Parameters have generic addresses from the start, but a compiler may hold one in 32 bits up to here.
    """
    parts = instruction.parts
    space = next((p.partition("::")[0] for p in parts if p.partition("::")[0] in _WINDOWS), None)
    if space is None:
        raise b.refuse("this state space")
    target, source = instruction.operands
    kind = "b64" if parts[-1].endswith("64") else "b32"
    base = b.constant(_WINDOWS[space], np.dtype(f"u{bits_of(kind) // 8}"))
    if space == "param" and kind == "b64" and "to" not in parts:
        start = b.constant(_parameter_block(b), np.dtype(np.uint64))
        b.write(target, kind, f"((({b.read(source, kind)} - {start}) & np.uint64(0xffffffff)) + {start})")
        return
    sign = "-" if "to" in parts else "+"
    b.write(target, kind, f"({b.read(source, kind)} {sign} {base})" if _WINDOWS[space] else b.read(source, kind))


def _parameter_block(b: BlockBuilder) -> int:
    """Address of the entry's parameter block."""
    return next((b.addresses[name] - offset for name, (offset, _) in b.program.parameters.items()), 0)


def emit_isspacep(b: BlockBuilder, instruction: Instruction) -> None:
    """`isspacep.space p, a`: whether a generic address lies in the window."""
    target, source = instruction.operands
    space = instruction.parts[1].partition("::")[0]
    if space not in ("global", "shared", "local", "const", "param"):
        raise b.refuse("this state space")
    if instruction.parts[1] in ("shared", "shared::cta") and b.program.uses_clusters:
        b.write(target, "pred", f"S.clusters.is_own(F, {b.read(source, 'b64')})")
        return
    b.write(target, "pred", f"S.in_space({b.read(source, 'b64')}, {space!r})")
