"""Divergence, loops, exchanges between lanes and limits: the native engine against NumPy's."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.backends.emulator.engine import Array, agree, both, kernel

BLOCKS = (1, 7, 32, 33, 100)
OUT = "shl.b64 %rd1, %rd0, 2; add.s64 %rd91, %rd91, %rd1; add.s64 %rd2, %rd90, %rd1; ld.global.u32 %r10, [%rd2];"


def words(count: int, seed: int = 0) -> list[Array]:
    """Random words, and room for as many results."""
    data = np.random.default_rng(seed).integers(0, 1 << 32, count, dtype=np.uint64).astype(np.uint32)
    return [data, np.zeros(count, np.uint32)]


@pytest.mark.parametrize("block", BLOCKS)
def test_guards_and_nested_branches(block: int) -> None:
    body = f"""{OUT}
        mov.u32 %r20, 0;
        and.b32 %r11, %r10, 1; setp.ne.u32 %p1, %r11, 0;
        and.b32 %r12, %r10, 6; setp.gt.u32 %p2, %r12, 2;
        @%p1 add.u32 %r20, %r20, 1;
        @!%p1 add.u32 %r20, %r20, 100;
        @%p1 bra ODD;
        @%p2 bra EVEN_BIG;
        xor.b32 %r20, %r20, %r10;
        bra JOIN_EVEN;
    EVEN_BIG:
        mul.lo.u32 %r20, %r20, 77;
        @%p2 st.global.u32 [%rd91], %r20;
    JOIN_EVEN:
        add.u32 %r20, %r20, 5;
        bra JOIN;
    ODD:
        @!%p2 bra SMALL;
        sub.u32 %r20, %r20, %r10;
        @%p1 ret;
    SMALL:
        shl.b32 %r20, %r20, 3;
    JOIN:
        st.global.u32 [%rd91], %r20;
    """
    agree(kernel(body, parameters=2), words(block * 5), block=block, grid=5)


@pytest.mark.parametrize("block", BLOCKS)
def test_loops_with_other_trip_counts_in_each_lane(block: int) -> None:
    body = f"""{OUT}
        and.b32 %r11, %r10, 15; mov.u32 %r20, 1; mov.u32 %r21, 0;
    OUTER:
        setp.ge.u32 %p1, %r21, %r11;
        @%p1 bra DONE;
        mov.u32 %r22, 0;
    INNER:
        mad.lo.u32 %r20, %r20, 33, %r22;
        add.u32 %r22, %r22, 1;
        setp.lt.u32 %p2, %r22, %r21;
        @%p2 bra INNER;
        add.u32 %r21, %r21, 1;
        bra OUTER;
    DONE:
        st.global.u32 [%rd91], %r20;
    """
    agree(kernel(body, parameters=2), words(block * 3), together=False, block=block, grid=3)


def test_a_long_loop_lets_others_have_their_turn() -> None:
    body = f"""{OUT}
        mov.u32 %r20, 0;
    LOOP:
        mad.lo.u32 %r10, %r10, 1664525, 1013904223;
        add.u32 %r20, %r20, 1;
        setp.lt.u32 %p1, %r20, 10000;
        @%p1 bra LOOP;
        st.global.u32 [%rd91], %r10;
    """
    agree(kernel(body, parameters=2), words(96), block=48, grid=2)


MODES = ("up", "down", "bfly", "idx")


@pytest.mark.parametrize(("mode", "block"), list(product(MODES, (7, 32, 64))))
def test_shuffles(mode: str, block: int) -> None:
    lines = [
        f"""
            shfl.sync.{mode}.b32 %r20|%p1, %r10, {lane}, {clamp}, -1;
            selp.u32 %r21, 0x10001, 3, %p1;
            mad.lo.u32 %r22, %r22, 31, %r20; add.u32 %r22, %r22, %r21;
        """
        for clamp in (0x1F, 0x0, 0x181F, 0x1C07, 0x100F)
        for lane in ("0", "1", "5", "16", "31", "%r12")
    ]
    body = f"{OUT} mov.u32 %r22, 0; shr.u32 %r12, %r10, 27; {''.join(lines)} st.global.u32 [%rd91], %r22;"
    agree(kernel(body, parameters=2), words(block * 3), block=block, grid=3)


@pytest.mark.parametrize("block", [5, 32, 96])
def test_votes(block: int) -> None:
    body = f"""{OUT}
        shr.u32 %r11, %r0, 5; and.b32 %r12, %r10, %r11; setp.eq.u32 %p1, %r12, 0;
        setp.ge.u32 %p2, %r10, 0; setp.lt.u32 %p3, %r10, 0;
        mov.u32 %r20, 0;
        {"".join(_vote(mode, p) for mode, p in product(("all", "any", "uni"), ("%p1", "!%p1", "%p2", "%p3")))}
        vote.sync.ballot.b32 %r21, %p1, -1; xor.b32 %r20, %r20, %r21;
        activemask.b32 %r23; add.u32 %r20, %r20, %r23;
        elect.sync %r24|%p5, -1; selp.u32 %r25, 7, 0, %p5; add.u32 %r20, %r20, %r25; add.u32 %r20, %r20, %r24;
        st.global.u32 [%rd91], %r20;
    """
    agree(kernel(body, parameters=2), words(block * 2), block=block, grid=2)


def _vote(mode: str, predicate: str) -> str:
    return f"vote.sync.{mode}.pred %p4, {predicate}, -1; selp.u32 %r22, 1, 0, %p4; mad.lo.u32 %r20, %r20, 2, %r22;"


def test_exchanges_in_divergent_code() -> None:
    body = f"""{OUT}
        setp.lt.u32 %p1, %r0, 16; mov.u32 %r20, 0;
        @%p1 bra LOW;
        shfl.sync.bfly.b32 %r20, %r10, 1, 0x1f, 0xffff0000;
        bra JOIN;
    LOW:
        shfl.sync.bfly.b32 %r20, %r10, 2, 0x1f, 0x0000ffff;
        activemask.b32 %r21; add.u32 %r20, %r20, %r21;
    JOIN:
        bar.warp.sync -1;
        vote.sync.ballot.b32 %r22, %p1, -1; add.u32 %r20, %r20, %r22;
        st.global.u32 [%rd91], %r20;
    """
    agree(kernel(body, parameters=2), words(32))


def test_a_block_that_gives_up_is_not_done_twice() -> None:
    # The guarded vote cannot run natively where a lane is missing, after the store has happened.
    body = f"""{OUT}
        setp.ne.u32 %p1, %r0, 3;
        ld.global.u32 %r20, [%rd91]; add.u32 %r20, %r20, 1; st.global.u32 [%rd91], %r20;
        @%p1 vote.sync.ballot.b32 %r21, %p1, -1;
        @%p1 add.u32 %r20, %r20, %r21; st.global.u32 [%rd2], %r20;
    """
    done = agree(kernel(body, parameters=2), words(32))
    assert (done.buffers[1] == 1).all()


@pytest.mark.parametrize("store", ["st.global.u32", "st.u32"])
def test_generic_access_to_local_memory_after_a_store_is_not_done_twice(store: str) -> None:
    body = f"""{OUT}
        mov.u64 %rd5, buffer; cvta.local.u64 %rd5, %rd5;
        ld.global.u32 %r20, [%rd91]; add.u32 %r20, %r20, 1; {store} [%rd91], %r20;
        st.u32 [%rd5], %r10; ld.u32 %r21, [%rd5];
        add.u32 %r21, %r21, %r20; st.global.u32 [%rd2], %r21;
    """
    ptx = kernel(body, parameters=2, declarations=".local .align 8 .b8 buffer[16];")
    done = agree(ptx, words(64), block=64)
    assert (done.buffers[1] == 1).all()


ENDLESS = kernel(f"{OUT} LOOP: add.u32 %r10, %r10, 1; bra LOOP; st.global.u32 [%rd91], %r10;", 2)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"instruction_budget": 100_000}, "budget-spent"),
        ({"cost_limit_s": 0.02}, "budget-spent"),
        ({"time_limit_s": 0.3}, "time-limit"),
    ],
)
def test_endless_loops_end(settings: dict[str, float], rule: str) -> None:
    reference, native = both(ENDLESS, words(64), block=64, **settings)
    assert (reference.rule, native.rule) == (rule, rule)
    assert "it may never end" in native.message


def test_a_trap_after_native_work() -> None:
    body = f"{OUT} setp.eq.u32 %p1, %r0, 9; @%p1 trap; st.global.u32 [%rd91], %r10;"
    launched = agree(kernel(body, parameters=2), words(32))
    assert launched.rule == "trap"


def test_barriers_between_native_blocks() -> None:
    body = f"""{OUT}
        mov.u32 %r11, tile; mad.lo.u32 %r12, %r0, 4, %r11; st.shared.u32 [%r12], %r10;
        bar.sync 0;
        sub.u32 %r13, 127, %r0; mad.lo.u32 %r13, %r13, 4, %r11; ld.shared.u32 %r20, [%r13];
        st.global.u32 [%rd91], %r20;
    """
    ptx = kernel(body, parameters=2, declarations=".shared .align 4 .b8 tile[512];")
    done = agree(ptx, words(128 * 3), block=128, grid=3)
    data = done.buffers[0].reshape(3, 128)
    np.testing.assert_array_equal(done.buffers[1].reshape(3, 128), data[:, ::-1])
