"""Asynchronous units against published intervals and latencies: wgmma, tcgen05, copies, mbarriers."""

from __future__ import annotations

import pytest

from backends.machines import load_machine, rate, rate_table
from backends.model.sm.costs import BarrierUse, MemoryCost, TensorShape
from backends.model.sm.trace import Repeat, Run
from tests.backends.model.sm.builder import function, issue_cycles, loop, parameters, run

WGMMA = rate_table(load_machine("h100"), "wgmma").rows
TCGEN05 = rate_table(load_machine("b200"), "tcgen05").rows


@pytest.mark.parametrize(("layout", "n", "cycles"), WGMMA)
def test_wgmma(layout: str, n: int, cycles: float) -> None:
    """Luo et al., H800: interval and latency of a wgmma m64nNk16; N / 2 from N = 64 on."""
    a = "gdesc[UR4]" if layout == "SS" else "R152, gdesc[UR4]"
    text = f"HGMMA.64x{n}x16.F32 R24, {a}, R24"
    code = "\n".join([text] * 15 + [f"{text}, gsb0", "WARPGROUP.DEPBAR.LE gsb0, 0x0", "NOP"])
    result = run(code, warps=4, machine="h100")
    issues = [i.cycle for i in result.timeline if i.warp == 0]
    assert issues[1:16] == [cycles * i for i in range(1, 16)]
    assert issues[-1] == 16 * cycles
    assert result.stalls["gmma"][16] > 0
    if n >= 64:
        assert cycles == n / 2


def test_a_warp_waits_for_older_matrix_groups_only() -> None:
    text = "HGMMA.64x256x16.F32 R24, gdesc[UR4], R24, gsb0"
    result = run(f"{text}\n{text}\nWARPGROUP.DEPBAR.LE gsb0, 0x1\nNOP", machine="h100")
    assert issue_cycles(result, 2) == [129]
    assert issue_cycles(result, 3) == [130]


@pytest.mark.parametrize(("layout", "group", "m", "n", "latency", "interval"), TCGEN05)
def test_tcgen05(layout: str, group: int, m: int, n: int, latency: float, interval: float) -> None:
    """SemiAnalysis, B200: the last of eight matrix instructions completes after seven intervals and a latency."""
    a = "gdesc[UR4]" if layout == "SS" else "tmem[UR4]"
    text = f"UTCHMMA {a}, gdesc[UR6], tmem[UR9], tmem[UR32], idesc[UR33], UPT"
    code = [text] * 8 + ["UTCBAR [UR11], URZ", "SYNCS.PHASECHK.TRANS64.TRYWAIT P0, [UR11], R4", "NOP"]
    done = BarrierUse("done")
    shapes = dict.fromkeys(range(8), TensorShape(m, n, group))
    result = run("\n".join(code), machine="b200", shapes=shapes, barriers={8: done, 9: done})
    assert issue_cycles(result, 10) == [pytest.approx(7 * interval + latency, abs=1)]
    assert result.pipe_busy["tensor"] == pytest.approx(4 * 8 * interval)


def test_other_widths_lie_between_the_measured_ones() -> None:
    text = "UTCHMMA gdesc[UR4], gdesc[UR6], tmem[UR9], tmem[UR32], idesc[UR33], UPT"
    result = run(text, machine="b200", shapes={0: TensorShape(128, 192)})
    assert result.pipe_busy["tensor"] == 4 * 96


def pipeline(turns: int, stages: int, work: int) -> tuple[float, int, bool]:
    """A producer warp with TMA and a consumer warp around a ring of slots: cycles, turns that waited."""
    code = function(
        f"""
        SYNCS.PHASECHK.TRANS64.TRYWAIT P0, [UR9], R2
        SYNCS.ARRIVE.TRANS64 RZ, [UR9], R2
        UTMALDG.2D [UR8], [UR6]

        SYNCS.PHASECHK.TRANS64.TRYWAIT P0, [UR9], R2
        [S15] NOP
        {"[S15] NOP" * 0}
        {chr(10).join(["[S10] NOP"] * (work // 10))}
        SYNCS.ARRIVE.TRANS64.A1T0 RZ, [UR9], RZ
        """,
        "sm_90",
    )
    last = len(code.instructions) - 1
    full = BarrierUse("full", arrivals=2)
    barriers = {0: BarrierUse("empty", 1, -stages), 1: full, 2: full, 3: full, last: BarrierUse("empty")}
    costs = {2: MemoryCost("global", "copy", bytes=16384)}
    warps = [(loop(turns, 0),), (loop(turns, 1),)]
    result = run(code, warps, "h100", costs, barriers=barriers, timeline=0)
    return result.cycles, result.simulated_issues, result.is_extrapolated


def test_a_ring_hides_the_latency_of_copies() -> None:
    # All SMs copy at once: each has its share of the L2.
    copy = 16384 / parameters("h100").l2_bytes_per_cycle
    latency = rate(load_machine("h100"), "tma_latency_cycles")
    one, four = (pipeline(400, stages, 100)[0] / 400 for stages in (1, 4))
    assert one == pytest.approx(copy + latency, rel=0.05)
    # With slots enough for the latency, the copies' own rate is what is left.
    assert four == pytest.approx(copy, rel=0.05)


def test_the_consumer_sets_the_pace_where_it_is_slower() -> None:
    assert pipeline(400, 4, 1000)[0] / 400 == pytest.approx(1000, rel=0.08)


def test_a_ring_is_extrapolated_to_any_trip_count() -> None:
    few, _, _ = pipeline(2_000, 4, 100)
    many, issues, extrapolated = pipeline(1_000_000, 4, 100)
    assert extrapolated and issues < 200_000
    assert many / 1_000_000 == pytest.approx(few / 2_000, rel=0.01)


def test_cp_async_groups() -> None:
    """A wait for all but the youngest group ends with the older one; L2 latency and 7 cycles of LDGSTS."""
    code = """
        LDGSTS.E.BYPASS.128 [R8], [R2.64]
        [W0] LDGDEPBAR
        [S200] NOP
        LDGSTS.E.BYPASS.128 [R8], [R2.64]
        [W0] LDGDEPBAR
        DEPBAR.LE SB0, 0x1
        DEPBAR.LE SB0, 0x0
        NOP
    """.replace("[S200] NOP", "\n".join(["[S15] NOP"] * 10))
    cost = MemoryCost("global", "copy", 16, wavefronts=4, sectors=16)
    result = run(code, machine="a100", costs={0: cost, 12: cost})
    older, younger, after = (issue_cycles(result, i)[0] for i in (14, 15, 16))
    latency = 39 + 206 - 33
    assert (younger, after) == (pytest.approx(latency, abs=8), pytest.approx(latency + 152, abs=8))
    assert older < 170 and result.stalls["long_scoreboard"][14] > 0


def test_bulk_stores_are_waited_for() -> None:
    code = "UTMASTG.2D [UR4], [UR10]\n[W0] UTMACMDFLUSH\nDEPBAR.LE SB0, 0x0\nNOP"
    result = run(code, machine="h100", costs={0: MemoryCost("global", "copy", bytes=32768)})
    done = 32768 / parameters("h100").l2_bytes_per_cycle + rate(load_machine("h100"), "tma_latency_cycles")
    assert issue_cycles(result, 3) == [pytest.approx(done, abs=3)]
    assert result.bytes["l2"] == 32768


def test_warps_with_other_work_do_not_hold_up_a_loop() -> None:
    """A warp that waits at a barrier all the while does not keep the others' loop from being extrapolated."""
    code = function("[S4] FADD R1, R1, R2\nFADD R3, R4, R5\n\nBAR.SYNC.DEFER_BLOCKING 0x0\nEXIT")
    turning = (Repeat((Run((0,)),), 1_000_000), Run((1,)))
    result = run(code, [turning, turning, (Run((1,)),)], timeline=0)
    assert result.cycles == pytest.approx(5e6, rel=0.01) and result.simulated_issues < 100_000
