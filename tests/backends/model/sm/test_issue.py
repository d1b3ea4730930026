"""Issue of one instruction after the other: stall counts, pipes, register banks, warp choice, barriers."""

from __future__ import annotations

import pytest

from backends.model.sm.result import STALLS
from ir.diagnostics import UserError
from tests.backends.model.sm.builder import function, issue_cycles, loop, run


def interval(text: str, machine: str, count: int = 64, warps: int = 1) -> float:
    """Cycles between issues of one instruction by the warps of one sub-core, in the long run."""
    # Every fourth warp is on the same sub-core.
    lines = "\n".join([text] * count)
    result = run(lines, warps=4 * warps - 3, machine=machine)
    cycles = [i.cycle for i in result.timeline if i.warp % 4 == 0]
    return (max(cycles) - min(cycles)) / (len(cycles) - 1)


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        # Dependent and independent cycles for an instruction, Abdelkhalik et al., A100: the compiler's stall counts
        # and the widths of the pipes.
        ("[S4] FADD R1, R1, R2", 4),
        ("FADD R1, R2, R3", 2),
        ("[S4] IADD3 R1, R1, R2, RZ", 4),
        ("IADD3 R1, R2, R3, RZ", 2),
        ("IMAD R1, R2, R3, RZ", 2),
        ("IMAD.WIDE R4, R2, R3, R6", 4),
        ("LOP3.LUT R1, R2, R3, RZ, 0xc0, !PT", 2),
        ("DFMA R2, R4, R6, R8", 4),
        ("MUFU.EX2 R1, R2", 8),
        ("HMMA.16816.F32 R4, R8, R12, R4", 8),
        ("HMMA.1684.F32.TF32 R4, R8, R12, R4", 4),
        ("DMMA.884 R4, R8, R12, R4", 16),
        ("IMMA.16816.S8.S8 R4, R8, R12, R4", 4),
    ],
)
def test_cycles_for_an_instruction_on_a100(text: str, cycles: float) -> None:
    assert interval(text, "a100") == cycles
    assert interval(text, "a100", warps=4) == pytest.approx(cycles / (4 if "[S4]" in text else 1), abs=1.05)


@pytest.mark.parametrize("machine", ["a100", "a6000", "h100", "b200", "rtx4090", "rtx5090"])
def test_mufu_holds_its_pipe_for_8_cycles(machine: str) -> None:
    assert interval("MUFU.EX2 R1, R2", machine, warps=4) == pytest.approx(8, rel=0.01)


@pytest.mark.parametrize(
    ("machine", "text", "cycles"),
    [
        ("a6000", "FADD R1, R2, R3", 1),
        ("h100", "FADD R1, R2, R3", 1),
        ("a6000", "IADD3 R1, R2, R3, RZ", 2),
        ("rtx5090", "IADD3 R1, R2, R3, RZ", 2),
        ("rtx5090", "IADD R1, R2, R3", 1),
        ("a100", "HFMA2 R1, R2, R3, R5", 2),
        ("a6000", "DADD R2, R4, R7", 64),
        ("h100", "DADD R2, R4, R7", 2),
        ("a6000", "HMMA.16816.F32 R4, R8, R12, R4", 16),
        ("rtx4090", "HMMA.16816.F32 R4, R8, R12, R4", 32),
        ("rtx4090", "HMMA.16816.F16 R4, R8, R12, R4", 16),
        ("h100", "HMMA.16816.F32 R4, R8, R12, R4", 4 / 0.629),
    ],
)
def test_pipe_widths(machine: str, text: str, cycles: float) -> None:
    assert interval(text, machine) == pytest.approx(cycles, rel=0.01)


def test_integer_products_share_the_pipe_of_floats_where_there_is_one() -> None:
    """On A100 they take turns at 2 cycles each; on GA10x they are beside each other."""
    text = "FFMA R1, R2, R3, RZ\nIMAD R4, R6, R7, RZ"
    assert interval(text, "a100", count=16) == pytest.approx(2, rel=0.05)
    assert interval(text, "a6000", count=16) == pytest.approx(1, rel=0.05)


def test_stall_counts_are_exact() -> None:
    result = run("[S4] FADD R1, R1, R2\n[S13] FADD R1, R1, R2\nFADD R1, R1, R2")
    assert [i.cycle for i in result.timeline] == [0, 4, 17]
    assert result.stalls["wait"] == (0.0, 3.0, 12.0)


@pytest.mark.parametrize(
    ("second", "late"),
    [("FFMA R13, R16, R17, R19", 0), ("FFMA R13, R16, R18, R19", 1), ("FFMA R13, R16, R18, R20", 2)],
)
def test_register_bank_conflicts(second: str, late: int) -> None:
    """Huerta et al.: after an FFMA that reads one bank three times, each further read of it costs a cycle."""
    result = run(f"FFMA R11, R10, R12, R14\n{second}\nCS2R R30, SRZ")
    assert issue_cycles(result, 2) == [2 + late]
    assert sum(result.stalls["dispatch_stall"]) == late


def test_the_reuse_cache_saves_reads() -> None:
    plain = "\n".join(["FFMA R0, R10, R12, R14"] * 32)
    reusing = "\n".join(["[U012] FFMA R1, R10.reuse, R12.reuse, R14.reuse"] * 32)
    assert run(plain).cycles > 3 * 29
    assert run(reusing).cycles < 40


def test_greedy_then_youngest() -> None:
    # Three warps of one sub-core (0, 4, 8) and others elsewhere: the youngest goes first, and goes on while it can.
    result = run("FADD R1, R2, R3\n[S4] FADD R1, R2, R3\nFADD R1, R2, R3", warps=9)
    order = [(i.warp, i.instruction) for i in sorted(result.timeline, key=lambda i: i.cycle) if i.warp % 4 == 0]
    assert order == [(8, 0), (8, 1), (4, 0), (4, 1), (0, 0), (0, 1), (8, 2), (4, 2), (0, 2)]


def test_yield_gives_way() -> None:
    result = run("[Y] FADD R1, R2, R3\nFADD R1, R2, R3", warps=5)
    order = [i.warp for i in sorted(result.timeline, key=lambda i: i.cycle) if i.warp % 4 == 0]
    assert order == [4, 0, 4, 0]


@pytest.mark.parametrize(("warps", "cycles"), [(1, 23), (2, 25), (4, 29), (8, 37), (16, 53), (32, 85)])
def test_barrier_by_warps(warps: int, cycles: int) -> None:
    """Sun et al., A100: __syncthreads of a CTA of so many warps."""
    code = function("BAR.SYNC.DEFER_BLOCKING 0x0", "sm_80")
    result = run(code, warps=[(loop(50),)] * warps, machine="a100", extrapolate=False)
    assert result.cycles / 50 == pytest.approx(cycles, rel=0.10)
    assert sum(result.stalls["barrier"]) > 0


def test_named_barriers_take_their_own_warps() -> None:
    code = "BAR.SYNC.DEFER_BLOCKING 0x1, 0x40\nFADD R1, R2, R3"
    result = run(code, warps=4, machine="a100")
    # Two pairs of warps: each pair goes on without the other.
    assert len(set(issue_cycles(result, 1))) == 2


def test_an_exit_completes_a_barrier_of_all() -> None:
    code = function("BAR.SYNC.DEFER_BLOCKING 0x0\n\nEXIT")
    result = run(code, warps=[(loop(1, 0),), (loop(1, 1),)])
    assert result.cycles > 20


def test_warps_that_never_meet_are_a_diagnostic() -> None:
    with pytest.raises(UserError, match=r"wait for what never comes: CTA 0 warp 0 at `BAR.SYNC.*model-deadlock"):
        run("BAR.SYNC.DEFER_BLOCKING 0x1, 0x40", warps=1)


def test_warp_cycles_add_up() -> None:
    """Every cycle of a warp is an issue or one of the states."""
    text = """
        [W0:S2] LDS R4, [R2]
        [WAIT0:S4] FADD R1, R4, R3
        MUFU.EX2 R6, R1
        BAR.SYNC.DEFER_BLOCKING 0x0
        FADD R1, R2, R3
    """
    result = run(text, warps=12)
    last = {w: max(i.cycle for i in result.timeline if i.warp == w) for w in range(12)}
    assert sum(last.values()) + 12 == sum(result.stall_cycles().values()) + sum(result.issues)
    assert set(result.stalls) == set(STALLS)
    assert result.stalls["short_scoreboard"][1] > 0


def test_what_is_assumed_is_said() -> None:
    result = run("LDG.E R4, [R2]\nSYNCS.PHASECHK.TRANS64.TRYWAIT P0, [UR4], R2", machine="h100")
    assert {d.rule for d in result.assumptions} == {"memory-cost-unknown", "mbarrier-unknown"}
    assert all(d.message.startswith("`") for d in result.assumptions)
