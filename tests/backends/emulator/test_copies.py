"""Asynchronous copies: cp.async and its groups, bulk copies and tensor boxes, against NumPy's slices."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from backends.device import Buffer, LaunchConfig, TensorMap
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator
from tests.backends.emulator.engine import Array, kernel, run, values

COMPLETIONS = ("early", "late", "random")
SHARED = ".shared .align 128 .b8 tile[8192]; .shared .align 8 .b8 bar[16];"


@pytest.mark.parametrize(("completion", "size"), [(c, s) for c in COMPLETIONS for s in (4, 8, 16)])
def test_cp_async_groups(completion: str, size: int) -> None:
    """Two groups; after the wait for all but the newest the first is there, after wait_all both are."""
    mode = "cg" if size == 16 else "ca"
    body = f"""
        mul.lo.u32 %r3, %r0, {size}; mov.u32 %r4, tile; add.u32 %r4, %r4, %r3;
        cvt.u64.u32 %rd1, %r3; add.s64 %rd2, %rd90, %rd1; add.s64 %rd3, %rd91, %rd1;
        cp.async.{mode}.shared.global [%r4], [%rd2], {size}; cp.async.commit_group;
        cp.async.{mode}.shared.global [%r4+{64 * size}], [%rd2+{64 * size}], {size}; cp.async.commit_group;
        cp.async.wait_group 1; bar.sync 0;
        ld.shared.b32 %r5, [%r4]; st.global.b32 [%rd3], %r5;
        cp.async.wait_all; bar.sync 0;
        ld.shared.b32 %r5, [%r4+{64 * size}]; st.global.b32 [%rd3+{64 * size}], %r5;
    """
    data = np.random.default_rng(0).integers(0, 256, 128 * size, dtype=np.uint8)
    ptx = kernel(body, 2, declarations=SHARED)
    out = values(ptx, [data, np.zeros_like(data)], block=64, completion=completion)[1]
    np.testing.assert_array_equal(out.reshape(128, size)[:, :4], data.reshape(128, size)[:, :4])


def test_a_copy_that_nobody_waits_for_comes_late() -> None:
    body = """
        mov.u32 %r4, tile; st.shared.u32 [%r4], 1; cp.async.ca.shared.global [%r4], [%rd90], 4; cp.async.commit_group;
        ld.shared.u32 %r5, [%r4]; st.global.u32 [%rd91], %r5;
    """
    ptx = kernel(body, 2, declarations=SHARED)
    seen = {c: int(values(ptx, [np.full(1, 9, np.uint32), np.zeros(1, np.uint32)], block=1, completion=c)[1][0])
            for c in ("early", "late")}  # fmt: skip
    assert seen == {"early": 9, "late": 1}


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_partial_and_ignored_sources(completion: str) -> None:
    body = """
        shl.b32 %r3, %r0, 4; mov.u32 %r4, tile; add.u32 %r4, %r4, %r3; cvt.u64.u32 %rd1, %r3;
        st.shared.v4.u32 [%r4], {%r0, %r0, %r0, %r0};
        add.s64 %rd2, %rd90, %rd1; add.s64 %rd3, %rd91, %rd1; and.b32 %r6, %r0, 15; setp.eq.u32 %p1, %r6, 3;
        @%p1 bra IGNORE;
        cp.async.cg.shared.global [%r4], [%rd2], 16, %r6; bra DONE;
        IGNORE: setp.eq.u32 %p2, %r0, 3; cp.async.cg.shared.global [%r4], [%rd2], 16, %p2;
        DONE: cp.async.wait_all; bar.sync 0;
        ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r4]; st.global.v4.u32 [%rd3], {%r10, %r11, %r12, %r13};
    """
    data = np.random.default_rng(1).integers(1, 256, (32, 16), dtype=np.uint8)
    out = values(kernel(body, 2, declarations=SHARED), [data, np.zeros_like(data)], completion=completion)[1]
    wanted = np.where(np.arange(16) < (np.arange(32) % 16)[:, None], data, 0)
    wanted[3], wanted[19] = 0, data[19]
    np.testing.assert_array_equal(out, wanted)


def test_cp_async_arrives_at_an_mbarrier() -> None:
    body = """
        mov.u32 %r3, bar; setp.eq.u32 %p1, %r0, 0; @%p1 mbarrier.init.shared.b64 [%r3], 32; bar.sync 0;
        mov.u32 %r4, tile; mad.lo.u32 %r4, %r0, 4, %r4; shl.b64 %rd1, %rd0, 2; add.s64 %rd2, %rd90, %rd1;
        cp.async.ca.shared.global [%r4], [%rd2], 4; cp.async.mbarrier.arrive.noinc.shared.b64 [%r3];
        A: mbarrier.try_wait.parity.shared.b64 %p2, [%r3], 0; @!%p2 bra A;
        xor.b32 %r5, %r4, 4; ld.shared.u32 %r6, [%r5]; add.s64 %rd3, %rd91, %rd1; st.global.u32 [%rd3], %r6;
    """
    data = np.arange(100, 132, dtype=np.uint32)
    for completion in COMPLETIONS:
        out = values(kernel(body, 2, declarations=SHARED), [data, np.zeros_like(data)], completion=completion)[1]
        np.testing.assert_array_equal(out, data[np.arange(32) ^ 1])


LOAD = """
    mov.u32 %r3, bar; setp.eq.u32 %p1, %r0, 0; mov.u32 %r4, tile;
    @!%p1 bra READY;
    mbarrier.init.shared.b64 [%r3], 1; fence.proxy.async.shared::cta;
    mbarrier.arrive.expect_tx.shared.b64 _, [%r3], {nbytes};
    {copy}
    READY: bar.sync 0;
    A: mbarrier.try_wait.parity.shared.b64 %p2, [%r3], 0; @!%p2 bra A;
"""
OUT = """
    mov.u32 %r6, %r0;
    B: setp.ge.u32 %p3, %r6, {words}; @%p3 bra END;
    mad.lo.u32 %r7, %r6, 4, %r4; ld.shared.u32 %r8, [%r7]; mul.wide.u32 %rd1, %r6, 4; add.s64 %rd2, %rd90, %rd1;
    st.global.u32 [%rd2], %r8; add.u32 %r6, %r6, 32; bra B;
    END:
"""


def box_of(data: Array, start: tuple[int, ...], box: tuple[int, ...], fill: float = 0) -> Array:
    """A box out of a tensor, outermost coordinate first; what lies outside is `fill`."""
    out = np.full(box, fill, data.dtype)
    cuts = [(max(s, 0), min(s + b, n)) for s, b, n in zip(start, box, data.shape, strict=True)]
    if all(a < b for a, b in cuts):
        inside = tuple(slice(a - s, b - s) for (a, b), s in zip(cuts, start, strict=True))
        out[inside] = data[tuple(slice(a, b) for a, b in cuts)]
    return out


def swizzled(linear: Array, swizzle: str) -> Array:
    """The bytes of shared memory: units of 16 bytes permuted in each row, PTX ISA, "Swizzling Modes"."""
    span = {"NONE": 0, "B32": 1, "B64": 3, "B128": 7}[swizzle]
    address = np.arange(linear.size)
    out = np.empty_like(linear)
    out[address ^ ((address >> 3) & (span << 4))] = linear
    return out


def tensor_map(
    buffer: Buffer, data: Array, box: tuple[int, ...], swizzle: str = "NONE", nan: bool = False
) -> TensorMap:
    name = {np.dtype(np.float32): "FLOAT32", np.dtype(np.uint16): "UINT16", np.dtype(np.float16): "FLOAT16",
            np.dtype(np.uint32): "UINT32", np.dtype(np.int32): "INT32"}[data.dtype]  # fmt: skip
    strides = tuple(reversed(data.strides[:-1]))
    return TensorMap(buffer, name, data.shape[::-1], strides, box[::-1], swizzle, fill_nan=nan)


def tensor_kernel(body: str) -> str:
    """`k(out, map)`."""
    return kernel(body, 1, "sm_90a", SHARED).replace(
        "k(.param .u64 p0)", "k(.param .u64 p0, .param .align 64 .b8 map[128])"
    )


def launched(ptx: str, data: Array, out: Array, box: tuple[int, ...], **options: Any) -> tuple[Array, Array, Any]:
    """(out, data, fault) after a launch with a map of `data`."""
    device = Emulator(Settings(completion=options.pop("completion", "late")))
    held = [device.allocate(x.nbytes, label) for x, label in ((out, "out"), (data, "data"))]
    for place, x in zip(held, (out, data), strict=True):
        device.write(place, x)
    result = device.launch(
        device.load(ptx), LaunchConfig((1, 1, 1), (32, 1, 1)), [held[0], tensor_map(held[1], data, box, **options)]
    )
    return device.read(held[0], out.dtype, out.shape), device.read(held[1], data.dtype, data.shape), result.fault


SHAPES = {1: ((100,), (32,)), 2: ((20, 48), (8, 16)), 3: ((5, 7, 16), (2, 4, 8)), 4: ((3, 4, 5, 8), (2, 2, 2, 8)),
          5: ((2, 3, 4, 3, 8), (1, 2, 2, 2, 4))}  # fmt: skip
STARTS = ("inside", "before", "after", "far")


@pytest.mark.parametrize(("rank", "where"), list(product(SHAPES, STARTS)))
def test_boxes_of_every_rank(rank: int, where: str) -> None:
    shape, box = SHAPES[rank]
    start = {
        "inside": tuple(min(1, n - b) for n, b in zip(shape, box, strict=True)), "before": tuple(-1 for _ in shape),
        "after": tuple(n - 1 for n in shape), "far": tuple(n + 100 for n in shape),
    }[where]  # fmt: skip
    data = np.random.default_rng(rank).standard_normal(shape).astype(np.float32)
    nbytes = int(np.prod(box)) * 4
    place = ", ".join(map(str, reversed(start)))
    copy = f"""
        mov.b64 %rd5, map; cvta.param.u64 %rd5, %rd5;
        cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
            [%r4], [%rd5, {{{place}}}], [%r3];
    """
    ptx = tensor_kernel(LOAD.format(nbytes=nbytes, copy=copy) + OUT.format(words=nbytes // 4))
    for completion in COMPLETIONS:
        out, _, fault = launched(ptx, data, np.zeros(box, np.float32), box, completion=completion)
        assert fault is None, str(fault)
        np.testing.assert_array_equal(out, box_of(data, start, box))


@pytest.mark.parametrize(("swizzle", "columns"), [("NONE", 64), ("B32", 16), ("B64", 32), ("B128", 64)])
def test_swizzles_and_nan_fill(swizzle: str, columns: int) -> None:
    data = np.random.default_rng(5).standard_normal((40, 128)).astype(np.float16)
    box, start = (16, columns), (30, 128 - columns // 2)
    nbytes = 16 * columns * 2
    copy = f"""
        mov.b64 %rd5, map; cvta.param.u64 %rd5, %rd5;
        cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
            [%r4], [%rd5, {{{start[1]}, {start[0]}}}], [%r3];
    """
    ptx = tensor_kernel(LOAD.format(nbytes=nbytes, copy=copy) + OUT.format(words=nbytes // 4))
    out, _, fault = launched(ptx, data, np.zeros(16 * columns, np.float16), box, swizzle=swizzle, nan=True)
    assert fault is None, str(fault)
    linear = np.ascontiguousarray(box_of(data, start, box, np.nan)).view(np.uint8).reshape(-1)
    wanted = swizzled(linear, swizzle).view(np.float16)
    np.testing.assert_array_equal(out, wanted)


STORE = """
    mov.u32 %r4, tile; mov.u32 %r6, %r0;
    F: mad.lo.u32 %r7, %r6, 4, %r4; add.u32 %r8, %r6, 1000; st.shared.u32 [%r7], %r8; add.u32 %r6, %r6, 32;
    setp.lt.u32 %p3, %r6, {words}; @%p3 bra F;
    fence.proxy.async.shared::cta; bar.sync 0; setp.eq.u32 %p1, %r0, 0; @!%p1 ret;
    mov.b64 %rd5, map; cvta.param.u64 %rd5, %rd5;
    {copy}
    cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
"""


@pytest.mark.parametrize("operation", ["", "add", "min", "max", "and", "or", "xor"])
def test_tensor_stores_and_reductions(operation: str) -> None:
    data = np.random.default_rng(6).integers(0, 3000, (9, 20), dtype=np.uint32)
    box, start = (4, 8), (7, 16)
    name = f"cp.reduce.async.bulk.tensor.2d.global.shared::cta.{operation}.tile.bulk_group" if operation else \
        "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group"  # fmt: skip
    ptx = tensor_kernel(STORE.format(words=32, copy=f"{name} [%rd5, {{{start[1]}, {start[0]}}}], [%r4];"))
    _, after, fault = launched(ptx, data, np.zeros(1, np.uint32), box)
    assert fault is None, str(fault)
    stored = np.arange(1000, 1032, dtype=np.uint32).reshape(box)[:2, :4]
    updates = {"": lambda a, b: b, "add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and,
               "or": np.bitwise_or, "xor": np.bitwise_xor}  # fmt: skip
    wanted = data.copy()
    wanted[7:, 16:] = updates[operation](data[7:, 16:], stored)
    np.testing.assert_array_equal(after, wanted)


RUN = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_bulk_runs_both_ways(completion: str) -> None:
    copy = f"{RUN} [%r4], [%rd91], 256, [%r3];"
    body = LOAD.format(nbytes=256, copy=copy) + """
        @!%p1 ret; cp.async.bulk.global.shared::cta.bulk_group [%rd90+64], [%r4], 128;
        cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd90+192], [%r4+128], 128;
        cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
    """  # fmt: skip
    out, data = np.full(96, 7, np.uint32), np.arange(64, dtype=np.uint32)
    got = values(kernel(body, 2, "sm_90a", SHARED), [out, data], completion=completion)[0]
    np.testing.assert_array_equal(got, np.r_[out[:16], data[:32], data[32:] + 7, out[80:]])


@pytest.mark.parametrize(("copy", "rule"), [
    (f"{RUN} [%r4], [%rd90], 264, [%r3];", "misaligned"),
    (f"{RUN} [%r4], [%rd90+8], 256, [%r3];", "misaligned"),
    (f"{RUN} [%r4], [%rd90+16], 256, [%r3];", "out-of-bounds"),
    (f"{RUN} [%r4+8064], [%rd90], 256, [%r3];", "out-of-bounds"),
    ("cp.async.ca.shared.global [%r4+2], [%rd90], 4;", "misaligned"),
    ("cp.async.ca.shared.global [%r4], [%rd90+256], 4;", "out-of-bounds"),
    ("mov.u32 %r9, 17; cp.async.cg.shared.global [%r4], [%rd90], 16, %r9;", "bad-copy"),
])  # fmt: skip
def test_bad_copies(copy: str, rule: str) -> None:
    body = LOAD.format(nbytes=256, copy=copy + "cp.async.wait_all;")
    assert run(kernel(body, 1, "sm_90a", SHARED), [np.zeros(64, np.uint32)]).rule == rule


def test_bytes_that_never_come_are_a_deadlock() -> None:
    copy = f"{RUN} [%r4], [%rd90], 240, [%r3];"
    launch = run(kernel(LOAD.format(nbytes=256, copy=copy), 1, "sm_90a", SHARED), [np.zeros(64, np.uint32)])
    assert launch.rule == "deadlock"
    assert "0 of 1 arrivals and 16 bytes to come" in launch.message
