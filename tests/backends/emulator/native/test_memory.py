"""Loads and stores of every width, vector, state space and pattern of lanes: the native engine against NumPy's."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from backends.emulator.spaces import GLOBAL_BASE
from tests.backends.emulator.engine import Array, agree, both, kernel

WIDTHS = {"u8": ("%h", 1), "s8": ("%r", 1), "b16": ("%h", 2), "s16": ("%r", 2), "b32": ("%r", 4), "f32": ("%f", 4),
          "s32": ("%rd", 4), "b64": ("%rd", 8), "f64": ("%d", 8)}  # fmt: skip
VECTORS = (1, 2, 4)
PATTERNS = {
    "contiguous": "mov.u32 %r5, %r0;",
    "broadcast": "mov.u32 %r5, 3;",
    "strided": "shl.b32 %r5, %r0, 1;",
    "permuted": "xor.b32 %r5, %r0, 13;",
    "colliding": "shr.u32 %r5, %r0, 2;",
}
LANES = 64
SPACE = {"global": ("%rd6", ""), "shared": ("%r6", "mov.u32 %r6, tile; add.u32 %r6, %r6, %r5;"),
         "local": ("%rd7", "mov.u64 %rd7, mine; cvt.u64.u32 %rd8, %r8; add.s64 %rd7, %rd7, %rd8;")}  # fmt: skip
DECLARATIONS = ".shared .align 16 .b8 tile[4096]; .local .align 16 .b8 mine[64];"


def buffers() -> list[Array]:
    data = np.random.default_rng(3).integers(0, 256, LANES * 64, dtype=np.uint8)
    return [data, np.zeros_like(data)]


def _items(prefix: str, count: int) -> str:
    names = [f"{prefix}{20 + i}" for i in range(count)]
    return names[0] if count == 1 else f"{{{', '.join(names)}}}"


def _access(kind: str, count: int, pattern: str) -> tuple[str, str, int]:
    """(vector suffix and type, registers, setup that puts the lane's byte offset to %r5 and to %rd5)."""
    prefix, size = WIDTHS[kind]
    vector = f".v{count}.{kind}" if count > 1 else f".{kind}"
    return vector, _items(prefix, count), size * count


@pytest.mark.parametrize(("kind", "count"), [(k, c) for k, c in product(WIDTHS, VECTORS) if WIDTHS[k][1] * c <= 16])
@pytest.mark.parametrize("guard", ["", "@%p1 "])
def test_global_and_shared(kind: str, count: int, guard: str) -> None:
    """Every pattern of lanes in one kernel: out of global memory, through shared memory, back to global memory."""
    lines = []
    for number, (pattern, setup) in enumerate(PATTERNS.items()):
        vector, items, nbytes = _access(kind, count, pattern)
        lines.append(f"""
            // {pattern}
            {setup} mul.lo.u32 %r5, %r5, {nbytes}; cvt.u64.u32 %rd5, %r5;
            mov.u32 %r6, tile; add.u32 %r6, %r6, %r5;
            add.s64 %rd6, %rd90, %rd5; add.s64 %rd7, %rd91, %rd5;
            {guard}ld.global{vector} {items}, [%rd6];
            {guard}st.shared{vector} [%r6], {items};
            bar.sync 0;
            {guard}ld.shared{vector} {items}, [%r6];
            {guard}st.global{vector} [%rd7], {items};
            bar.sync 0;
            add.s64 %rd91, %rd91, 0;
            add.s64 %rd90, %rd90, {16 * (number % 2)};
        """)
    body = f"and.b32 %r9, %r0, 5; setp.ne.u32 %p1, %r9, 4; {''.join(lines)}"
    agree(kernel(body, 2, declarations=DECLARATIONS), buffers(), block=LANES)


@pytest.mark.parametrize(("kind", "count"), [("u8", 4), ("b32", 2), ("f32", 4), ("b64", 1), ("f64", 2)])
def test_local_and_generic(kind: str, count: int) -> None:
    vector, items, nbytes = _access(kind, count, "contiguous")
    body = f"""
        mul.lo.u32 %r5, %r0, {nbytes}; cvt.u64.u32 %rd5, %r5;
        add.s64 %rd6, %rd90, %rd5; add.s64 %rd7, %rd91, %rd5;
        and.b32 %r8, %r0, 1; mul.lo.u32 %r8, %r8, {nbytes}; cvt.u64.u32 %rd8, %r8;
        mov.u64 %rd9, mine; add.s64 %rd9, %rd9, %rd8;
        ld.global{vector} {items}, [%rd6];
        st.local{vector} [%rd9], {items};
        ld.local{vector} {items}, [%rd9];
        mov.u64 %rd10, tile; cvta.shared.u64 %rd10, %rd10; add.s64 %rd10, %rd10, %rd5;
        st{vector} [%rd10], {items};
        bar.sync 0;
        ld{vector} {items}, [%rd10];
        st{vector} [%rd7], {items};
        cvta.local.u64 %rd11, %rd9;
        and.b32 %r9, %r0, 2; setp.eq.u32 %p1, %r9, 0;
        selp.b64 %rd12, %rd11, %rd10, %p1;
        st{vector} [%rd12], {items}; ld{vector} {items}, [%rd12];
        st{vector} [%rd7+{LANES * nbytes}], {items};
    """
    agree(kernel(body, 2, declarations=DECLARATIONS), buffers(), block=LANES)


def test_parameters() -> None:
    body = """
        ld.param.u32 %r10, [p1]; ld.param.u16 %h1, [p1+2]; ld.param.v2.u32 {%r11, %r12}, [p1]; ld.param.s8 %r13, [p1+1];
        cvt.u32.u16 %r14, %h1; add.u32 %r10, %r10, %r11; add.u32 %r10, %r10, %r12; add.u32 %r10, %r10, %r13;
        add.u32 %r10, %r10, %r14;
        shl.b64 %rd1, %rd0, 2; add.s64 %rd2, %rd90, %rd1; st.global.u32 [%rd2], %r10;
    """
    done = agree(kernel(body, 2), [np.zeros(32, np.uint32)], extra=[0x1234_80F6_7777_8888])
    assert (done.buffers[0] == done.buffers[0][0]).all()
    assert done.buffers[0][0] != 0


def test_the_highest_lane_wins() -> None:
    body = "st.global.u32 [%rd90], %r0; shr.u32 %r5, %r0, 3; mul.wide.u32 %rd5, %r5, 8; add.s64 %rd5, %rd90, %rd5; \
        st.global.v2.u32 [%rd5+16], {%r0, %r1};"
    done = agree(kernel(body, 1), [np.zeros(64, np.uint32)], block=64)
    assert done.buffers[0][0] == 63
    np.testing.assert_array_equal(done.buffers[0][4:20:2], np.arange(7, 64, 8))


BAD = {
    "after the end": ("%rd90", f"+{4096}", "out-of-bounds"),
    "across the end": ("%rd90", "+4094", "out-of-bounds"),
    "before the start": ("%rd90", "-4", "out-of-bounds"),
    "null": ("0", "", "out-of-bounds"),
    "last of all addresses": (str((1 << 64) - 8), "", "out-of-bounds"),
    "right before global memory": (str(GLOBAL_BASE - 4), "", "out-of-bounds"),
    "far": (str(GLOBAL_BASE + (1 << 63) - 4), "", "out-of-bounds"),
    "misaligned": ("%rd90", "+2", "misaligned"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("space", [".global", ""])
@pytest.mark.parametrize("lane", [0, 17])
def test_bad_addresses(name: str, space: str, lane: int) -> None:
    base, offset, rule = BAD[name]
    body = f"""
        setp.eq.u32 %p1, %r0, {lane}; mov.u64 %rd5, {base}; selp.b64 %rd5, %rd5, %rd90, %p1;
        @%p1 ld{space}.u32 %r10, [%rd5{offset}]; @%p1 st.global.u32 [%rd90], %r10;
    """
    reference, native = both(kernel(body), [np.zeros(1024, np.uint32)])
    assert (reference.rule, native.rule) == (rule, rule)
    assert native.message == reference.message
    assert native.result.fault is not None
    assert native.result.fault.thread is not None
    assert native.result.fault.thread.thread == (lane, 0, 0)


OTHER_SPACES = (("512", "out-of-bounds"), ("510", "out-of-bounds"), ("-4", "out-of-bounds"), ("2", "misaligned"))


@pytest.mark.parametrize(("address", "rule"), OTHER_SPACES)
@pytest.mark.parametrize(("space", "name"), [("shared", "tile"), ("local", "mine")])
def test_bad_addresses_of_other_spaces(space: str, name: str, address: str, rule: str) -> None:
    body = f"""
        mov.u64 %rd5, {name}; add.s64 %rd5, %rd5, {address}; ld.{space}.u32 %r10, [%rd5];
        st.global.u32 [%rd90], %r10;
    """
    ptx = kernel(body, declarations=f".{space} .align 16 .b8 {name}[512];")
    reference, native = both(ptx, [np.zeros(8, np.uint32)])
    assert (reference.rule, native.rule) == (rule, rule)
    assert native.message == reference.message


def test_many_buffers() -> None:
    """Lanes of one access in several allocations."""
    body = """
        and.b32 %r5, %r0, 3; setp.eq.u32 %p1, %r5, 1; selp.b64 %rd5, %rd91, %rd90, %p1;
        setp.eq.u32 %p2, %r5, 2; selp.b64 %rd5, %rd92, %rd5, %p2;
        shl.b64 %rd6, %rd0, 2; add.s64 %rd5, %rd5, %rd6; ld.global.u32 %r10, [%rd5]; add.u32 %r10, %r10, %r0;
        st.global.u32 [%rd5], %r10;
    """
    data = [np.arange(64, dtype=np.uint32) * (i + 3) for i in range(3)]
    agree(kernel(body, 3), data, block=64)
