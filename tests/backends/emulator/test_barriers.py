"""Named barriers, mbarriers and deadlocks, each on a kernel of a few lines."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.emulator.engine import kernel, run, values

OUT = "shl.b64 %rd1, %rd0, 2; add.s64 %rd1, %rd90, %rd1;"
SHARED = ".shared .align 8 .b8 bar[64]; .shared .align 4 .b8 tile[1024];"
COMPLETIONS = ("early", "late", "random")


def results(body: str, block: int = 128, grid: int = 1, **settings: object) -> np.ndarray:
    """What the threads store to their words."""
    ptx = kernel(f"{OUT} {body}", declarations=SHARED)
    return values(ptx, [np.zeros(block * grid, np.uint32)], block=block, grid=grid, **settings)[0]


def fault(body: str, block: int = 128) -> tuple[str | None, str]:
    """(rule, message) of the fault."""
    launched = run(kernel(f"{OUT} {body}", declarations=SHARED), [np.zeros(block, np.uint32)], block=block)
    return launched.rule, launched.message


def test_producers_arrive_and_consumers_sync() -> None:
    got = results("""
        setp.ge.u32 %p1, %r0, 64; mov.u32 %r3, tile; and.b32 %r5, %r0, 63; mad.lo.u32 %r3, %r5, 4, %r3;
        @%p1 bra PRODUCE;
        bar.sync 1, 128; ld.shared.u32 %r4, [%r3]; st.global.u32 [%rd1], %r4; ret;
    PRODUCE:
        mov.u32 %r6, 0;
    DELAY:
        add.u32 %r6, %r6, 1; setp.lt.u32 %p2, %r6, 50; @%p2 bra DELAY;
        add.u32 %r4, %r0, 1000; st.shared.u32 [%r3], %r4; bar.arrive 1, 128;
    """)
    np.testing.assert_array_equal(got[:64], np.arange(1064, 1128))
    assert not got[64:].any()


def test_pairs_of_warps_at_other_barriers() -> None:
    got = results("""
        shr.u32 %r3, %r0, 6; add.u32 %r3, %r3, 2; mov.u32 %r4, tile; mad.lo.u32 %r5, %r0, 4, %r4;
        st.shared.u32 [%r5], %r0; barrier.sync %r3, 64;
        xor.b32 %r6, %r0, 63; mad.lo.u32 %r5, %r6, 4, %r4; ld.shared.u32 %r7, [%r5]; st.global.u32 [%rd1], %r7;
    """)
    np.testing.assert_array_equal(got, np.arange(128) ^ 63)


@pytest.mark.parametrize(("operation", "wanted"), [("popc.u32", 43), ("and.pred", 0), ("or.pred", 1)])
@pytest.mark.parametrize("block", [128, 100])
def test_reductions_of_a_barrier(operation: str, wanted: int, block: int) -> None:
    target = "%r4" if operation.startswith("popc") else "%p2"
    got = results(
        f"""
        rem.u32 %r3, %r0, 3; setp.eq.u32 %p1, %r3, 0; bar.red.{operation} {target}, 0, %p1;
        {"" if target == "%r4" else "selp.u32 %r4, 1, 0, %p2;"} st.global.u32 [%rd1], %r4;
        """,
        block=block,
    )
    assert (got == (wanted if operation != "popc.u32" else -(-block // 3))).all()


def test_threads_that_have_ended_are_not_waited_for() -> None:
    got = results("setp.ge.u32 %p1, %r0, 32; @%p1 ret; bar.sync 0; st.global.u32 [%rd1], 7;")
    assert got.tolist() == [7] * 32 + [0] * 96


def test_deadlock_report() -> None:
    rule, message = fault("setp.ge.u32 %p1, %r0, 96; @%p1 bra END; bar.sync 3, 128; END: st.global.u32 [%rd1], 7;")
    assert rule == "deadlock"
    assert "warps [0, 1, 2] wait at barrier 3, 96 of 128 threads have arrived" in message
    assert "`bar.sync 3, 128`" in message


@pytest.mark.parametrize(("body", "words"), [
    ("mov.u32 %r3, 16; bar.sync %r3;", "barrier 16"), ("bar.sync 1, 48;", "not a multiple of 32"),
])  # fmt: skip
def test_bad_barriers(body: str, words: str) -> None:
    rule, message = fault(body)
    assert rule == "bad-barrier"
    assert words in message


INIT = """
    mov.u32 %r3, bar; setp.eq.u32 %p1, %r0, 0; @%p1 mbarrier.init.shared.b64 [%r3], {count}; bar.sync 0;
"""


def test_phases_by_parity() -> None:
    """Two phases: each thread's arrival of the second comes after all of the first."""
    wait = """
        W{n}: mbarrier.try_wait.parity.shared.b64 %p2, [%r3], {parity}; @!%p2 bra W{n};
    """
    got = results(
        INIT.format(count=128)
        + "mov.u32 %r4, tile; mad.lo.u32 %r5, %r0, 4, %r4; st.shared.u32 [%r5], %r0;"
        + "mbarrier.arrive.shared.b64 _, [%r3];"
        + wait.format(n=0, parity=0)
        + "xor.b32 %r6, %r0, 127; mad.lo.u32 %r7, %r6, 4, %r4; ld.shared.u32 %r8, [%r7];"
        + "mbarrier.arrive.shared.b64 _, [%r3];"
        + wait.format(n=1, parity=1)
        + "st.shared.u32 [%r5], %r8; bar.sync 0; ld.shared.u32 %r9, [%r5]; st.global.u32 [%rd1], %r9;"
    )
    np.testing.assert_array_equal(got, np.arange(128) ^ 127)


def test_a_token_names_its_phase() -> None:
    got = results(
        INIT.format(count=2)
        + """
        mov.u32 %r9, 0; @!%p1 bra END;
        mbarrier.arrive.shared.b64 %rd5, [%r3];
        mbarrier.test_wait.shared.b64 %p2, [%r3], %rd5; selp.u32 %r4, 1, 0, %p2;
        mbarrier.pending_count.b64 %r5, %rd5;
        mbarrier.arrive.shared.b64 %rd6, [%r3];
        mbarrier.pending_count.b64 %r6, %rd6;
        mbarrier.test_wait.shared.b64 %p3, [%r3], %rd5; selp.u32 %r7, 1, 0, %p3;
        mad.lo.u32 %r9, %r4, 1000, %r5; mad.lo.u32 %r9, %r9, 10, %r6; mad.lo.u32 %r9, %r9, 10, %r7;
        END: st.global.u32 [%rd1], %r9;
        """
    )
    # Before: 2 and then 1 arrivals were pending; incomplete, then complete.
    assert got[0] == 211


def test_announced_bytes_hold_a_phase_open() -> None:
    got = results(
        INIT.format(count=1)
        + """
        @!%p1 bra END;
        mbarrier.arrive.expect_tx.shared.b64 %rd5, [%r3], 48;
        mbarrier.test_wait.parity.shared.b64 %p2, [%r3], 0; selp.u32 %r4, 1, 0, %p2;
        mbarrier.complete_tx.shared::cluster.relaxed.cluster.b64 [%r3], 32;
        mbarrier.test_wait.parity.shared.b64 %p3, [%r3], 0; selp.u32 %r5, 1, 0, %p3;
        mbarrier.complete_tx.shared::cluster.relaxed.cluster.b64 [%r3], 16;
        mbarrier.test_wait.parity.shared.b64 %p4, [%r3], 0; selp.u32 %r6, 1, 0, %p4;
        mad.lo.u32 %r7, %r4, 10, %r5; mad.lo.u32 %r7, %r7, 10, %r6; add.u32 %r7, %r7, 100; st.global.u32 [%rd1], %r7;
        END: bar.sync 0;
        """
    )
    assert got[0] == 101


def test_dropped_threads_are_not_expected_again() -> None:
    got = results(
        INIT.format(count=128)
        + """
        setp.ge.u32 %p4, %r0, 32;
        @%p4 mbarrier.arrive_drop.shared.b64 _, [%r3];
        @%p4 ret;
        mbarrier.arrive.shared.b64 _, [%r3];
        A: mbarrier.try_wait.parity.shared.b64 %p2, [%r3], 0; @!%p2 bra A;
        mbarrier.arrive.shared.b64 _, [%r3];
        B: mbarrier.try_wait.parity.shared.b64 %p2, [%r3], 1; @!%p2 bra B;
        st.global.u32 [%rd1], 5;
        """
    )
    assert got.tolist() == [5] * 32 + [0] * 96


def test_a_wait_that_nobody_ends_is_a_deadlock() -> None:
    body = (
        INIT.format(count=129)
        + "mbarrier.arrive.shared.b64 _, [%r3]; A: mbarrier.try_wait.parity.shared.b64 %p2, [%r3], 0; @!%p2 bra A;"
    )
    rule, message = fault(body)
    assert rule == "deadlock"
    assert (
        "wait for phase 0 of the mbarrier at shared address 0x0 (phase 0, 1 of 129 arrivals and 0 bytes to come)"
        in message
    )


@pytest.mark.parametrize(("body", "rule"), [
    ("mbarrier.arrive.shared.b64 _, [%r3];", "uninitialised-mbarrier"),
    ("mbarrier.try_wait.parity.shared.b64 %p2, [%r3], 0;", "uninitialised-mbarrier"),
    ("mbarrier.init.shared.b64 [%r3], 0;", "bad-mbarrier"),
    ("mbarrier.init.shared.b64 [%r3+4], 1;", "misaligned"),
    ("mbarrier.init.shared.b64 [%r3+4096], 1;", "out-of-bounds"),
])  # fmt: skip
def test_bad_mbarriers(body: str, rule: str) -> None:
    assert fault(f"mov.u32 %r3, bar; {body}")[0] == rule


@pytest.mark.parametrize("blocks", range(4))
def test_a_spinning_warp_starves_nobody(blocks: int) -> None:
    """However many blocks were run before: the warp that others spin for has its turns."""
    before = "".join(f"@%p9 bra B{n}; add.u32 %r9, %r9, 1; B{n}: " for n in range(blocks))
    got = results(
        f"""
        setp.ge.u32 %p9, %r0, 0; {before} mov.u32 %r4, 7; setp.lt.u32 %p1, %r0, 32; @!%p1 bra SET;
    SPIN:
        ld.volatile.shared.u32 %r3, [tile]; setp.ne.u32 %p2, %r3, 7; @%p2 bra SPIN;
        st.global.u32 [%rd1], %r3; ret;
    SET:
        mov.u32 %r6, 0;
    DELAY:
        add.u32 %r6, %r6, 1; setp.lt.u32 %p3, %r6, 5; @%p3 bra DELAY;
        st.volatile.shared.u32 [tile], %r4; st.global.u32 [%rd1], %r4;
    """,
        block=64,
        instruction_budget=20_000,
    )
    assert (got == 7).all()
