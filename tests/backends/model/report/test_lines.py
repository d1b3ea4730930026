"""The line-level view: everything is on some line, once, and on the right one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.model.report.lines import line_of
from ir.diagnostics import Location
from tests.backends.model.report.profiles import report

KERNELS = ("transpose", "transpose:shared", "softmax", "sgemm:square")


@pytest.mark.parametrize("kernel", KERNELS)
def test_lines_add_up_to_the_whole(kernel: str):
    found = report(kernel)
    facts, lines = found.facts, found.lines
    assert sum(line.machine_instructions for line in lines) == len(facts.function.instructions)
    assert sum(line.instructions for line in lines) == pytest.approx(facts.executions.sum())
    assert sum(line.instruction_share for line in lines) == pytest.approx(1.0)
    assert sum(line.global_sectors for line in lines) == pytest.approx(facts.sectors.sum())
    assert sum(line.shared_wavefronts for line in lines) == pytest.approx(facts.wavefronts.sum())
    assert sum(line.stall_share for line in lines) == pytest.approx(1.0)
    for line in lines:
        assert sum(line.by_stall.values()) == pytest.approx(line.stall_share)


@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_is_better_than_the_ideal(kernel: str):
    for line in report(kernel).lines:
        assert line.global_sectors >= line.global_sectors_ideal - 1e-6
        assert line.shared_wavefronts >= line.shared_wavefronts_ideal - 1e-6


def test_the_line_of_a_naive_transposition():
    by_line = {line.location.line: line for line in report("transpose").lines}
    copy = by_line[12]
    assert "y[" in (copy.text or "")
    assert copy.sectors_per_request == 18.0, "4 of a load and 32 of a store"
    assert copy.ideal_sectors_per_request == 4.0
    assert copy.stall == "long_scoreboard"


def test_conflicts_are_at_the_line_that_reads_the_column():
    (worst,) = [line for line in report("transpose:shared").lines if line.shared_wavefronts > 2 * line.shared_requests]
    assert worst.shared_wavefronts / worst.shared_requests == 32.0
    assert worst.shared_wavefronts_ideal == worst.shared_requests
    assert "tile[" in (worst.text or "")


def test_inlined_library_code_belongs_to_the_kernels_own_line():
    found = report("softmax")
    assert {line.location.file.rpartition("/")[2] for line in found.lines if line.location.file} == {"kernel.py"}


def test_the_line_of_an_instruction():
    instruction = report("transpose").facts.function.instructions[0]
    library, own = Location("/lib/standard.py", 3, 7), Location("/here/kernel.py", 9, 2)
    inlined = replace(instruction, location=library, inlined_at=(own,))
    assert line_of(inlined, "/elsewhere/kernel.py") == Location("/here/kernel.py", 9)
    assert line_of(inlined, "/elsewhere/other.py") == Location("/lib/standard.py", 3)
    assert line_of(replace(instruction, location=None, inlined_at=()), "kernel.py") == Location("")
