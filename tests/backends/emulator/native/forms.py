"""Kernels of one instruction per result: every opcode that may have a native form, with operands out of a buffer."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from backends.emulator.native.engine import native_cuts
from backends.emulator.native.function import EMITTERS
from backends.emulator.program import build_program
from backends.emulator.semantics.table import lookup, lookup_pair, opcodes, storage
from backends.emulator.translate.table import ends_block
from backends.ptx import parse_ptx
from tests.backends.emulator.engine import kernel
from tests.backends.emulator.semantics.cases import draw, edges

_MARK = " // case"
_IMMEDIATES: dict[str, tuple[tuple[int, ...], ...]] = {
    "lop3": ((0x96,), (0xE8,), (0xCA,), (0x01,), (0xFE,), (0,), (0xFF,)),
    "prmt": ((0x3210,), (0x5410,), (0x7632,), (0x8888,), (0xBA98,), (0xFEDC,), (0x0123,)),
    "bfe": ((0, 8), (5, 27), (31, 1), (0, 32), (16, 16)),
    "bfi": ((0, 8), (5, 27), (31, 1), (0, 32), (16, 16)),
    "shl": ((0,), (5,), (16,), (31,), (32,), (64,), (100,)),
    "shr": ((0,), (5,), (16,), (31,), (32,), (64,), (100,)),
}


@dataclass(frozen=True)
class Case:
    """One instruction: its opcode, the types of its register sources, trailing immediates, results, and guard."""

    opcode: str
    sources: tuple[str, ...]
    immediates: tuple[int, ...]
    results: tuple[str, ...]
    guard: str = ""

    @property
    def name(self) -> str:
        return " ".join((self.guard, self.opcode, *map(str, self.immediates))).strip()


def cases() -> Iterator[Case]:
    """Every opcode of the tables whose base has an emitter, with and without a guard in turn."""
    guards = ("", "@%p60", "@!%p60")
    for number, (opcode, immediates) in enumerate(_spelled()):
        function = lookup(opcode)
        assert function is not None
        if not function.reads_carry and not function.writes_carry:
            yield _case(opcode, function.operands, immediates, function.results, guards[number % 3])
        pair = lookup_pair(opcode) if len(function.results) == 1 else None
        if pair is not None and opcode.split(".")[1] in ("lt", "ltu", "ne"):
            yield _case(opcode, pair.operands, immediates, pair.results, guards[number % 3])


def _spelled() -> Iterator[tuple[str, tuple[int, ...]]]:
    for opcode in opcodes():
        base = opcode.partition(".")[0]
        if base not in EMITTERS or base in ("mov", "cvta") or _is_redundant(opcode):
            continue
        yield opcode, ()
        for immediates in _IMMEDIATES.get(base, ()) if "or" not in opcode and "and" not in opcode else ():
            yield opcode, immediates


def _is_redundant(opcode: str) -> bool:
    """Comparisons are many: each relation with every type, and each combination with one."""
    parts = opcode.split(".")
    combined = any(p in ("and", "or", "xor") for p in parts[2:-1])
    return parts[0] == "setp" and combined and (parts[1] not in ("ne", "le", "ltu") or parts[-1] not in ("s32", "f32"))


def _case(
    opcode: str, operands: tuple[str, ...], immediates: tuple[int, ...], results: tuple[str, ...], guard: str
) -> Case:
    return Case(opcode, operands[: len(operands) - len(immediates)], immediates, results, guard)


def register(kind: str) -> tuple[str, str]:
    """(prefix of the register names, type of their loads and stores)."""
    bits = storage(kind).itemsize * 8
    if storage(kind).kind == "b":
        return "%p", "pred"
    return {8: ("%h", "b16"), 16: ("%h", "b16"), 32: ("%r", "b32"), 64: ("%rd", "b64")}[bits]


def program_text(chosen: list[Case]) -> str:
    """A kernel that runs all cases; its buffers are operands and results, [slot][thread] of 8 bytes, and guards.

    A case takes as many slots of operands as it has sources and results (the old values), and of results.
    """
    return kernel("\n".join(_lines(chosen)), parameters=3)


def _lines(chosen: list[Case]) -> Iterator[str]:
    # %rd93 is the distance between two slots.
    yield "shl.b64 %rd1, %rd0, 3; add.s64 %rd90, %rd90, %rd1; add.s64 %rd91, %rd91, %rd1;"
    yield "mov.u32 %r3, %nctaid.x; mul.lo.u32 %r3, %r3, %r2; mul.wide.u32 %rd93, %r3, 8;"
    yield "add.s64 %rd92, %rd92, %rd0; ld.global.u8 %h2, [%rd92]; setp.ne.b16 %p60, %h2, 0;"
    for number, case in enumerate(chosen):
        # Short blocks: the time of code generation grows faster than their length.
        yield f"L{number}:"
        olds = [_named(kind, 20 + i) for i, kind in enumerate(case.results)]
        sources = [_named(kind, 10 + i) for i, kind in enumerate(case.sources)]
        for name, kind in [*sources, *olds]:
            yield from _loaded(name, kind)
        target = "|".join(name for name, _ in olds)
        items = [target, *(name for name, _ in sources), *map(str, case.immediates)]
        yield f"{case.guard} {case.opcode} {', '.join(items)};{_MARK}"
        for name, kind in olds:
            yield from _stored(name, kind)


def _named(kind: str, number: int) -> tuple[str, str]:
    prefix, access = register(kind)
    return f"{prefix}{number}", access


def _loaded(name: str, access: str) -> Iterator[str]:
    if access == "pred":
        yield f"ld.global.b16 %h5, [%rd90]; setp.ne.b16 {name}, %h5, 0;"
    else:
        yield f"ld.global.{access} {name}, [%rd90];"
    yield "add.s64 %rd90, %rd90, %rd93;"


def _stored(name: str, access: str) -> Iterator[str]:
    if access == "pred":
        yield f"selp.b16 %h5, 1, 0, {name}; st.global.b16 [%rd91], %h5;"
    else:
        yield f"st.global.{access} [%rd91], {name};"
    yield "add.s64 %rd91, %rd91, %rd93;"


def operands_of(chosen: list[Case], threads: int) -> NDArray[np.uint64]:
    """Slots of operands and old values, shape (slots, threads)."""
    rows = []
    for case in chosen:
        rng = random.Random(zlib.crc32(case.name.encode()))
        corners = list(product(*(edges(kind) for kind in case.sources)))
        rng.shuffle(corners)
        drawn = [tuple(draw(kind, rng) for kind in case.sources) for _ in range(threads)]
        both = [rng.choice((corner, other)) for corner, other in zip(corners, drawn, strict=False)]
        both += drawn[len(both) :]
        rows += [[operand[k] for operand in both] for k in range(len(case.sources))]
        rows += [[rng.getrandbits(16 if kind == "pred" else 64) for _ in range(threads)] for kind in case.results]
    return np.array(rows, np.uint64)


def accepted(chosen: list[Case]) -> list[Case]:
    """The cases whose instruction has a native form."""
    text = program_text(chosen)
    module = parse_ptx(text)
    program = build_program(module, module.entries[0], ends_block)
    found = native_cuts(program, {name: index for index, name in enumerate(("p0", "p1", "p2"))})
    lines = iter(number for number, line in enumerate(text.splitlines(), 1) if line.endswith(_MARK))
    index_at = {i.place.line: index for index, i in enumerate(program.instructions) if i.place is not None}
    return [case for case, line in zip(chosen, lines, strict=True) if found[index_at[line]]]
