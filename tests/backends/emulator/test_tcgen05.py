"""tcgen05 on hand-written PTX: products of each kind, loads and stores of each shape, allocation and its faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.device import LaunchConfig, LaunchResult
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator
from ir.diagnostics import UserError

COMPLETIONS = ("early", "late", "random")
HEAD = """
.version 8.7
.target sm_100a
.address_size 64
.visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pd)
{
    .reg .pred %p<8>; .reg .b32 %r<300>; .reg .b64 %rd<40>;
    .shared .align 1024 .b8 tiles[32768];
    .shared .align 8 .b64 done;
    .shared .align 8 .b32 place;
    ld.param.u64 %rd0, [pa]; ld.param.u64 %rd1, [pb]; ld.param.u64 %rd2, [pd];
    mov.u32 %r0, %tid.x; mov.u32 %r1, tiles;
    setp.lt.u32 %p1, %r0, 32; setp.eq.u32 %p2, %r0, 0;
"""
ALLOC = """
    @%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 256;
    bar.sync 0;
    ld.shared.b32 %r2, [place];
    shr.u32 %r3, %r0, 5; shl.b32 %r3, %r3, 21; add.s32 %r3, %r3, %r2;
"""
FREE = """
    bar.sync 0;
    @%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r2, 256;
    ret;
}
"""


def launch(ptx: str, arrays: list[np.ndarray[Any, Any]], completion: str = "late", threads: int = 128) -> Any:
    device = Emulator(Settings(completion=completion))
    buffers = [device.allocate(max(a.nbytes, 16)) for a in arrays]
    for buffer, array in zip(buffers, arrays, strict=True):
        device.write(buffer, array)
    result = device.launch(device.load(ptx), LaunchConfig((2, 1, 1), (threads, 1, 1)), buffers)
    return result, [device.read(b, a.dtype, a.shape) for b, a in zip(buffers, arrays, strict=True)]


def core_matrices(octets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rows of 32 bytes as core matrices of 8 rows of 16 bytes, those along k 128 bytes apart, along rows 256."""
    rows = len(octets)
    return np.ascontiguousarray(octets.reshape(rows // 8, 8, 2, 16).transpose(0, 2, 1, 3)).reshape(-1)


def product(kind: str, code: int, body: str = "", times: int = 1) -> str:
    """D (128 x 64) = A (128 x 32 bytes) * B (64 x 32 bytes): A at tiles, B 4096 bytes on, without a swizzle."""
    mma = "".join(
        f"@%p2 tcgen05.mma.cta_group::1.kind::{kind} [%r2], %rd10, %rd11, %r10, %p{4 if i == 0 else 5};\n"
        for i in range(times)
    )
    registers = ", ".join(f"%r{100 + i}" for i in range(64))
    stores = "".join(f"st.global.b32 [%rd5+{4 * i}], %r{100 + i};\n" for i in range(64))
    return f"""{HEAD}{ALLOC}
    @%p2 mbarrier.init.shared::cta.b64 [done], 1;
    mul.wide.u32 %rd3, %r0, 32; add.u64 %rd4, %rd0, %rd3; shl.b32 %r4, %r0, 5; add.u32 %r5, %r1, %r4;
    ld.global.v4.b32 {{%r20, %r21, %r22, %r23}}, [%rd4]; st.shared.v4.b32 [%r5], {{%r20, %r21, %r22, %r23}};
    ld.global.v4.b32 {{%r20, %r21, %r22, %r23}}, [%rd4+16]; st.shared.v4.b32 [%r5+16], {{%r20, %r21, %r22, %r23}};
    setp.lt.u32 %p3, %r0, 64;
    add.u64 %rd4, %rd1, %rd3;
    @%p3 ld.global.v4.b32 {{%r20, %r21, %r22, %r23}}, [%rd4];
    @%p3 st.shared.v4.b32 [%r5+4096], {{%r20, %r21, %r22, %r23}};
    @%p3 ld.global.v4.b32 {{%r20, %r21, %r22, %r23}}, [%rd4+16];
    @%p3 st.shared.v4.b32 [%r5+4112], {{%r20, %r21, %r22, %r23}};
    fence.proxy.async.shared::cta;
    bar.sync 0;
    shr.u32 %r6, %r1, 4; or.b32 %r6, %r6, 0x80000; mov.b64 %rd10, {{%r6, 0x4010}};
    add.u32 %r6, %r6, 256; mov.b64 %rd11, {{%r6, 0x4010}};
    mov.u32 %r10, {code}; mov.pred %p4, 0; mov.pred %p5, -1;
    {mma}{body}
    @%p2 tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [done];
WAIT:
    mbarrier.try_wait.parity.shared::cta.b64 %p6, [done], 0;
    @!%p6 bra WAIT;
    tcgen05.fence::after_thread_sync;
    tcgen05.ld.sync.aligned.32x32b.x64.b32 {{{registers}}}, [%r3];
    tcgen05.wait::ld.sync.aligned;
    mul.wide.u32 %rd5, %r0, 256; add.u64 %rd5, %rd5, %rd2;
    {stores}{FREE}"""


def descriptor(d: int, a: int, b: int) -> int:
    """The instruction descriptor of a product 128 x 64 for these type codes."""
    return d << 4 | a << 7 | b << 10 | 64 // 8 << 17 | 128 // 16 << 24


KINDS = {
    "f16": (np.float16, descriptor(1, 0, 0), np.float32),
    "tf32": (np.float32, descriptor(1, 2, 2), np.float32),
    "i8": (np.int8, descriptor(2, 1, 1), np.int32),
}


def operands(dtype: type) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Small whole numbers, so that every product is exact."""
    random = np.random.default_rng(1)
    k = 32 // np.dtype(dtype).itemsize
    return tuple(random.integers(-4, 5, (rows, k)).astype(dtype) for rows in (128, 64))  # type: ignore[return-value]


@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_products(kind: str, completion: str) -> None:
    dtype, code, result = KINDS[kind]
    a, b = operands(dtype)
    arrays = [core_matrices(a.view(np.uint8)), core_matrices(b.view(np.uint8)), np.zeros((128, 64), result)]
    launched, (_, _, d) = launch(product(kind, code, times=3), arrays, completion)
    assert launched.fault is None
    np.testing.assert_array_equal(d, 3 * (a.astype(np.float64) @ b.astype(np.float64).T))


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_a_disabled_lane_keeps_its_value_and_d_is_scaled(completion: str) -> None:
    a, b = operands(np.float16)
    arrays = [core_matrices(a.view(np.uint8)), core_matrices(b.view(np.uint8)), np.zeros((128, 64), np.float32)]
    second = "@%p2 tcgen05.mma.cta_group::1.kind::f16 [%r2], %rd10, %rd11, %r10, {5, 0, 0, 0}, %p5, 1;\n".replace(
        "{5, 0, 0, 0}", "{%r11, %r12, %r12, %r12}"
    )
    body = f"mov.u32 %r11, 5; mov.u32 %r12, 0;\n{second}"
    launched, (_, _, d) = launch(product("f16", KINDS["f16"][1], body), arrays, completion)
    assert launched.fault is None
    once = a.astype(np.float64) @ b.astype(np.float64).T
    want = once + once / 2
    want[[0, 2]] = once[[0, 2]]
    np.testing.assert_array_equal(d, want)


def movement(shape: str, count: int, registers: int, immediate: str = "", suffix: str = "") -> str:
    """Every thread stores what it has, and loads it again."""
    named = [", ".join(f"%r{base + i}" for i in range(registers)) for base in (20, 150)]
    load = "".join(f"ld.global.b32 %r{20 + i}, [%rd4+{4 * i}];\n" for i in range(registers))
    store = "".join(f"st.global.b32 [%rd5+{4 * i}], %r{150 + i};\n" for i in range(registers))
    packing = (".pack::16b", ".unpack::16b") if suffix else ("", "")
    return f"""{HEAD}{ALLOC}
    mul.wide.u32 %rd3, %r0, {4 * registers}; add.u64 %rd4, %rd0, %rd3; add.u64 %rd5, %rd2, %rd3;
    {load}
    tcgen05.st.sync.aligned.{shape}.x{count}{packing[1]}.b32 [%r3]{immediate}, {{{named[0]}}};
    tcgen05.wait::st.sync.aligned;
    tcgen05.ld.sync.aligned.{shape}.x{count}{packing[0]}.b32 {{{named[1]}}}, [%r3]{immediate};
    tcgen05.wait::ld.sync.aligned;
    {store}{FREE}"""


@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize(
    ("shape", "count", "registers", "immediate"),
    [
        ("32x32b", 1, 1, ""), ("32x32b", 64, 64, ""), ("16x64b", 8, 8, ""), ("16x128b", 4, 8, ""),
        ("16x256b", 2, 8, ""), ("16x32bx2", 16, 16, ", 16"),
    ],
)  # fmt: skip
def test_what_is_stored_is_loaded(shape: str, count: int, registers: int, immediate: str, completion: str) -> None:
    data = np.arange(128 * registers, dtype=np.uint32)
    ptx = movement(shape, count, registers, immediate)
    launched, (_, _, got) = launch(ptx, [data, np.zeros(4, np.uint32), np.zeros_like(data)], completion)
    assert launched.fault is None
    np.testing.assert_array_equal(got, data)


def test_halves_are_unpacked_to_columns_and_packed_again() -> None:
    data = np.arange(128 * 8, dtype=np.uint32) * 0x10003
    ptx = movement("32x32b", 8, 8, suffix="packed")
    launched, (_, _, got) = launch(ptx, [data, np.zeros(4, np.uint32), np.zeros_like(data)])
    assert launched.fault is None
    np.testing.assert_array_equal(got, data)


def test_a_shape_lays_rows_over_quads_of_lanes() -> None:
    """16x256b: lane l holds columns 2 (l % 4) and the next of rows l / 4 and 8 + l / 4."""
    data = np.arange(128 * 16, dtype=np.uint32)
    columns = ", ".join(f"%r{20 + i}" for i in range(16))
    ptx = movement("32x32b", 16, 16).replace(
        "tcgen05.ld.sync.aligned.32x32b.x16.b32 {" + ", ".join(f"%r{150 + i}" for i in range(16)) + "}",
        "tcgen05.ld.sync.aligned.16x256b.x1.b32 {%r150, %r151, %r152, %r153}",
    )
    assert columns in ptx
    assert "16x256b" in ptx
    launched, (_, _, got) = launch(ptx, [data, np.zeros(4, np.uint32), np.zeros_like(data)])
    assert launched.fault is None
    cells = data.reshape(4, 32, 16)
    for warp in range(4):
        for lane in range(32):
            row, column = lane // 4, 2 * (lane % 4)
            want = [*cells[warp, row, column : column + 2], *cells[warp, row + 8, column : column + 2]]
            np.testing.assert_array_equal(got.reshape(4, 32, 16)[warp, lane, :4], want)


FAULTS = {
    "bad-alloc": "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 48; ret; }",
    "tensor-memory-leak": ALLOC + "ret; }",
    "unallocated-tensor-memory": "mov.u32 %r3, 0; @%p1 tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r9}, [%r3]; ret; }",
    "tensor-memory-lanes": ALLOC + "tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r9}, [%r2];" + FREE,
    "out-of-bounds": ALLOC + "add.u32 %r3, %r3, 511; tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r9, %r10}, [%r3];" + FREE,
    "bad-dealloc": ALLOC + "@%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r2, 128; ret; }",
    "divergent-warp": ALLOC + "@%p2 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r2, 256; ret; }",
    "deadlock": ALLOC + "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 512;" + FREE,
    "bad-descriptor": ALLOC
    + "mov.b64 %rd10, 0; mov.u32 %r10, 0; mov.pred %p4, 0;"
    + "@%p2 tcgen05.mma.cta_group::1.kind::f16 [%r2], %rd10, %rd10, %r10, %p4;" + FREE,
}  # fmt: skip


@pytest.mark.parametrize("rule", FAULTS)
def test_faults(rule: str) -> None:
    result: LaunchResult = launch(HEAD + FAULTS[rule], [np.zeros(4, np.uint32)] * 3)[0]
    assert result.fault is not None
    assert result.fault.rule == rule


def test_an_allocation_waits_for_columns() -> None:
    """Two warps want all columns: one gets them when the other gives them back."""
    body = """
    tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 512;
    ld.shared.b32 %r2, [place];
    tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r2, 512;
    ret; }"""
    assert launch(HEAD + body, [np.zeros(4, np.uint32)] * 3, threads=64)[0].fault is None


def test_nothing_is_allocated_after_the_permit_is_given_up() -> None:
    body = """
    tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;
    tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 512;
    ret; }"""
    fault = launch(HEAD + body, [np.zeros(4, np.uint32)] * 3, threads=32)[0].fault
    assert fault is not None
    assert fault.rule == "bad-alloc"
    assert "permit" in fault.message


@pytest.mark.parametrize(
    "name", ["shift.cta_group::1.down [%r2]", "ld.red.sync.aligned.32x32b.x2.min.u32 {%r9, %r10}, %r11, [%r2]"]
)
def test_what_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match="does not implement") as caught:
        launch(HEAD + f"tcgen05.{name}; ret; }}", [np.zeros(4, np.uint32)] * 3)
    assert name.split()[0] in str(caught.value)
