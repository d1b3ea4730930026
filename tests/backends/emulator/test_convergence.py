"""Lanes that a `.sync` instruction names are waited for; clocks, tensor maps in memory and 128-bit moves."""

from __future__ import annotations

import numpy as np
import pytest

from ir.diagnostics import UserError
from tests.backends.emulator.engine import kernel, run, values

STORE = "mul.wide.u32 %rd1, %r1, 4; add.u64 %rd1, %rd1, %rd90; st.global.u32 [%rd1], %r9;"
N = np.arange(32)
# The odd lanes are sent behind the meeting place and come back, so that the even ones are there first.
DETOUR = """
    and.b32 %r5, %r0, 1; setp.eq.u32 %p1, %r5, 1; mov.u32 %r6, 0; @%p1 bra FAR;
MEET: {sync}
    bra STORE;
FAR: add.u32 %r6, %r6, 1; setp.lt.u32 %p2, %r6, 40; @%p2 bra FAR; bra MEET;
STORE: """
SYNCS = {
    "shuffle": ("add.u32 %r7, %r0, 10; shfl.sync.bfly.b32 %r9, %r7, 1, 31, -1;", (N ^ 1) + 10),
    "vote": ("vote.sync.ballot.b32 %r9, %p1, -1;", N * 0 + 0xAAAAAAAA),
    "sum": ("redux.sync.add.u32 %r9, %r0, -1;", N * 0 + N.sum()),
    "match": ("match.any.sync.b32 %r9, %r5, -1;", np.where(N % 2, 0xAAAAAAAA, 0x55555555)),
    "leader": ("elect.sync %r9|%p3, -1;", N * 0),
    "mask in a register": ("mov.u32 %r8, -1; shfl.sync.idx.b32 %r9, %r0, 3, 31, %r8;", N * 0 + 3),
    "half": ("mov.u32 %r8, 0x55555555; @%p1 mov.u32 %r8, 0xAAAAAAAA;"
        " redux.sync.add.u32 %r9, %r0, %r8;", np.where(N % 2, 256, 240)),
    "after a store": (STORE.replace("%r9", "%r0") + "shfl.sync.bfly.b32 %r9, %r0, 1, 31, -1;", N ^ 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SYNCS)
def test_lanes_meet(name: str) -> None:
    body, want = SYNCS[name]
    ptx = kernel(DETOUR.replace("{sync}", body) + STORE)
    (got,) = values(ptx, [np.zeros(32, np.uint32)], engine="numpy")
    np.testing.assert_array_equal(got, want)


def test_warp_barriers_in_two_branches_are_one() -> None:
    body = """
    .shared .align 4 .b32 word; mov.u32 %r9, 0;
    and.b32 %r5, %r0, 1; setp.eq.u32 %p1, %r5, 1; @%p1 bra ODD;
    bar.warp.sync -1; ld.shared.u32 %r9, [word]; bra STORE;
ODD: st.shared.u32 [word], 5; bar.warp.sync -1;
STORE: """
    (got,) = values(kernel(body + STORE), [np.zeros(32, np.uint32)])
    np.testing.assert_array_equal(got, np.where(N % 2, 0, 5))


def test_lanes_that_have_ended_are_not_waited_for() -> None:
    body = "setp.gt.u32 %p1, %r0, 20; @%p1 exit; redux.sync.add.u32 %r9, %r0, -1;"
    (got,) = values(kernel(body + STORE), [np.zeros(32, np.uint32)])
    np.testing.assert_array_equal(got[:21], np.full(21, 210))


def test_a_lane_that_never_comes_is_a_deadlock() -> None:
    body = "setp.eq.u32 %p1, %r0, 4; @%p1 bra AWAY; bar.warp.sync -1; AWAY: bar.sync 0;"
    launched = run(kernel(body), [np.zeros(32, np.uint32)])
    assert launched.rule == "deadlock"
    assert "lanes [4]" in launched.message


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("clock", ["clock64", "globaltimer"])
def test_a_loop_that_waits_for_a_clock_ends(clock: str, engine: str) -> None:
    body = f"mov.u64 %rd5, %{clock}; AGAIN: mov.u64 %rd6, %{clock}; sub.u64 %rd7, %rd6, %rd5;"
    body += "setp.lt.u64 %p1, %rd7, 1000; @%p1 bra AGAIN; cvt.u32.u64 %r9, %rd7;"
    (got,) = values(kernel(body + STORE), [np.zeros(32, np.uint32)], engine=engine)
    assert (got >= 1000).all()


@pytest.mark.parametrize("register", ["pm0", "reserved_smem_offset_begin"])
def test_an_unknown_special_register_is_refused(register: str) -> None:
    with pytest.raises(UserError, match=register):
        values(kernel(f"mov.u32 %r9, %{register};"), [np.zeros(4, np.uint32)])


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_128_bits_are_moved_and_swapped(engine: str) -> None:
    body = """
    .reg .b128 %q<4>;
    shl.b64 %rd1, %rd0, 4; add.u64 %rd2, %rd90, %rd1; add.u64 %rd3, %rd91, %rd1;
    ld.global.b128 %q1, [%rd2]; mov.b128 {%rd4, %rd5}, %q1; mov.b128 %q2, {%rd5, %rd4};
    atom.global.cas.b128 %q3, [%rd2], %q1, %q2; st.global.b128 [%rd3], %q3;"""
    # The halves of some are NaNs and zeros of either sign, which compare otherwise than their bits.
    data = np.array([[0x7FF8 << 48, 1 << 63], [1 << 63, 0], [1, 2], [2**64 - 1, 5]] * 8, np.uint64)
    swapped, found = values(kernel(body, 2), [data, np.zeros_like(data)], engine=engine)
    np.testing.assert_array_equal(found, data)
    np.testing.assert_array_equal(swapped, data[:, ::-1])


REFUSED = {
    "multimem": "multimem.red.global.add.u32 [%rd90], %r0;",
    "tex": "tex.1d.v4.f32.s32 {%f0, %f1, %f2, %f3}, [%rd90, {%r0}];",
    "suld": "suld.b.1d.b32.trap %r9, [%rd90, {%r0}];",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_device_has_not_is_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match=f"does not implement.*{name}"):
        values(kernel(REFUSED[name]), [np.zeros(4, np.uint32)])


def test_a_kernel_makes_its_own_tensor_map() -> None:
    """A map of 8 x 32 words is built in shared memory, published, and used for a load."""
    fields = [
        ("global_address", "b64", "%rd91"), ("rank", "b32", "1"), ("box_dim", "b32", "0, 32"),
        ("box_dim", "b32", "1, 8"),
        ("global_dim", "b32", "0, 32"), ("global_dim", "b32", "1, 8"), ("global_stride", "b64", "0, 128"),
        ("element_stride", "b32", "0, 1"), ("element_stride", "b32", "1, 1"), ("elemtype", "b32", "2"),
        ("interleave_layout", "b32", "0"), ("swizzle_mode", "b32", "0"), ("fill_mode", "b32", "0"),
    ]  # fmt: skip
    replaced = "\n".join(
        f"@%p0 tensormap.replace.tile.{name}.shared::cta.b1024.{kind} [map], {value};" for name, kind, value in fields
    )
    body = f"""
    .shared .align 128 .b8 map[128]; .shared .align 128 .b8 tile[1024]; .shared .align 8 .b64 full;
    setp.eq.u32 %p0, %r0, 0; mov.u32 %r5, map; shl.b32 %r6, %r0, 2; add.u32 %r6, %r6, %r5; st.shared.u32 [%r6], 0;
    @%p0 mbarrier.init.shared::cta.b64 [full], 1; bar.sync 0;
    {replaced}
    bar.sync 0;
    tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%rd92], [map], 128;
    fence.proxy.tensormap::generic.acquire.gpu [%rd92], 128;
    @%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], 1024;
    mov.u32 %r7, tile; mov.u32 %r8, 0;
    @%p0 cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::complete_tx::bytes [%r7], [%rd92, {{%r8,
        %r8}}], [full];
WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [full], 0; @!%p2 bra WAIT;
    shl.b32 %r6, %r0, 2; add.u32 %r6, %r6, %r7; ld.shared.u32 %r9, [%r6+128];
    """
    source = np.arange(256, dtype=np.uint32)
    got, _, _ = values(kernel(body + STORE, 3), [np.zeros(32, np.uint32), source, np.zeros(128, np.uint8)])
    np.testing.assert_array_equal(got, source[32:64])
