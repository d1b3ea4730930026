"""Atomic operations of every type: lanes that collide take turns in lane order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.backends.emulator.engine import Array, kernel, values

LANES = 64
PLACES = 5
INTEGERS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b, "min": min, "max": max, "and": lambda a, b: a & b, "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b, "exch": lambda a, b: b, "inc": lambda a, b: 0 if a >= b else a + 1,
    "dec": lambda a, b: b if a == 0 or a > b else a - 1,
}  # fmt: skip
TYPES = {"u32": np.uint32, "s32": np.int32, "b32": np.uint32, "u64": np.uint64, "s64": np.int64, "b64": np.uint64,
         "f32": np.float32, "f64": np.float64, "f16": np.float16}  # fmt: skip
FORMS = [
    *(f"add.{k}" for k in ("u32", "s32", "u64", "f32", "f64")), "add.noftz.f16",
    *(f"{op}.{k}" for op in ("min", "max") for k in ("u32", "s32", "u64", "s64")),
    *(f"{op}.{k}" for op in ("and", "or", "xor", "exch") for k in ("b32", "b64")), "inc.u32", "dec.u32",
]  # fmt: skip
REGISTERS = {2: "%h", 4: "%r", 8: "%rd"}


def turns(operation: str, memory: Array, places: Array, operands: Array) -> tuple[Array, Array]:
    """(memory after, values found) when the lanes take turns in order."""
    memory, olds = memory.copy(), np.zeros_like(operands)
    for lane, (place, operand) in enumerate(zip(places, operands, strict=True)):
        olds[lane] = memory[place]
        if memory.dtype.kind == "f":
            memory[place] = memory[place] + operand
        else:
            bits = 8 * memory.itemsize
            result = INTEGERS[operation](int(memory[place]), int(operand)) & ((1 << bits) - 1)
            memory[place] = np.array(result, f"u{memory.itemsize}").view(memory.dtype)
    return memory, olds


def operands_of(dtype: type, count: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.standard_normal(count).astype(kind)
    return rng.integers(0, 256, count * kind.itemsize, dtype=np.uint8).view(kind)


def atomic(form: str, space: str, wants_old: bool) -> str:
    """A kernel: memory p0, operands p1, places p2, values found p3."""
    size = np.dtype(TYPES[form.split(".")[-1]]).itemsize
    r = REGISTERS[size]
    load = f"mul.lo.u32 %r5, %r5, {size}; cvt.u64.u32 %rd5, %r5; add.s64 %rd6, %rd90, %rd5;"
    before = after = ""
    target = "%rd6"
    if space == "shared":
        before = f"""
            mov.u32 %r6, tile; add.u32 %r6, %r6, %r5; ld.global.b{8 * size} {r}20, [%rd6];
            st.shared.b{8 * size} [%r6], {r}20; bar.sync 0;
        """
        target = "%r6"
        after = f"bar.sync 0; ld.shared.b{8 * size} {r}20, [%r6]; st.global.b{8 * size} [%rd6], {r}20;"
    operation = (
        f"atom.{space}.{form} {r}11, [{target}], {r}10" if wants_old else f"red.{space}.{form} [{target}], {r}10"
    )
    return kernel(
        f"""
        shl.b64 %rd1, %rd0, 2; add.s64 %rd2, %rd92, %rd1; ld.global.u32 %r5, [%rd2]; {load}
        mul.lo.u32 %r7, %r0, {size}; cvt.u64.u32 %rd7, %r7; add.s64 %rd8, %rd91, %rd7; add.s64 %rd9, %rd93, %rd7;
        ld.global.b{8 * size} {r}10, [%rd8]; mov.b{8 * size} {r}11, 0;
        {before} {operation}; {after}
        st.global.b{8 * size} [%rd9], {r}11;
        """, 4, declarations=".shared .align 8 .b8 tile[64];"
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("space", "wants_old"), [("global", True), ("shared", True), ("global", False)])
def test_lanes_take_turns(form: str, space: str, wants_old: bool) -> None:
    if not wants_old and form.startswith("exch"):
        pytest.skip("PTX has no red.exch")
    operation, kind = form.split(".")[0], form.split(".")[-1]
    memory, operands = operands_of(TYPES[kind], PLACES, 1), operands_of(TYPES[kind], LANES, 2)
    if operation in ("inc", "dec"):
        memory, operands = memory % 7, operands % 5
    places = np.random.default_rng(3).integers(0, PLACES, LANES, dtype=np.uint32)
    after, olds = turns(operation, memory, places, operands)
    got = values(atomic(form, space, wants_old), [memory, operands, places, np.zeros_like(operands)], block=LANES)
    np.testing.assert_array_equal(got[0], after)
    if wants_old:
        np.testing.assert_array_equal(got[3], olds)


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_compare_and_swap(bits: int) -> None:
    r = {16: "%h", 32: "%r", 64: "%rd"}[bits]
    body = f"""
        mov.u32 %r5, %r0; cvt.u{bits}.u32 {r}10, %r5; add.u{bits} {r}11, {r}10, 1;
        atom.global.cas.b{bits} {r}12, [%rd90], {r}10, {r}11;
        mul.wide.u32 %rd5, %r0, {bits // 8}; add.s64 %rd6, %rd91, %rd5; st.global.b{bits} [%rd6], {r}12;
    """.replace("%rd5, %r0", "%rd50, %r0").replace("%rd91, %rd5", "%rd91, %rd50")
    dtype = np.dtype(f"u{bits // 8}")
    memory, olds = values(kernel(body, 2), [np.zeros(1, dtype), np.zeros(32, dtype)])
    assert memory[0] == 32
    np.testing.assert_array_equal(olds, np.arange(32))


def test_vectors_and_packed_halves() -> None:
    body = """
        atom.global.add.noftz.f16x2 %r10, [%rd90], 0x40003C00;
        red.global.add.v2.f32 [%rd90+8], {0f3F800000, 0f40000000};
        red.global.add.noftz.bf16x2 [%rd90+16], 0x40003F80;
    """
    got = values(kernel(body, 1, "sm_90"), [np.zeros(8, np.uint32)])[0]
    np.testing.assert_array_equal(got[:1].view(np.float16), [32, 64])
    np.testing.assert_array_equal(got[2:4].view(np.float32), [32, 64])
    np.testing.assert_array_equal((got[4:5].view(np.uint16).astype(np.uint32) << 16).view(np.float32), [32, 64])
