"""Atomics that meet: shares by hand, and whole launches on histograms of one and of many bins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.emulator.counters.stream import ATOMIC, LOAD
from backends.machines import load_machine
from backends.model.counts.contention import busiest_shares
from backends.model.counts.tape import Tape
from backends.model.profiling import ProfileOptions, profile_task
from ir.task import load_task

KERNELS = Path(__file__).parents[4] / "kernels"


def tape(entries: list[tuple[int, int, int]], kind: int = ATOMIC) -> Tape:
    """Of (CTA, instruction, line) in order, each a request of its own."""
    cta, site, line = (np.array(column) for column in zip(*entries, strict=True))
    number, same = np.arange(len(cta)), np.ones(len(cta), np.int64)
    return Tape(cta, number, number, site, same * kind, same * 0, same, line * 4)


def test_one_line_for_all_has_every_request() -> None:
    assert busiest_shares(tape([(c, 1, 7) for c in range(4)]), 3).tolist() == [0.0, 1.0, 0.0]


def test_lines_of_their_own_do_not_meet() -> None:
    assert not busiest_shares(tape([(c, 0, c) for c in range(4) for _ in range(5)]), 1).any()


def test_two_lines_share_the_requests() -> None:
    entries = [(c, 0, line) for c in range(8) for line in (3, 9)]
    assert busiest_shares(tape(entries), 1)[0] == pytest.approx(0.5)


def test_one_cta_tells_nothing_and_loads_do_not_count() -> None:
    assert not busiest_shares(tape([(0, 0, 7), (0, 0, 7)]), 1).any()
    assert not busiest_shares(tape([(c, 0, 7) for c in range(4)], LOAD), 1).any()


def test_a_histogram_in_global_memory_waits_at_its_lines() -> None:
    task, machine = load_task(KERNELS / "histogram"), load_machine("h100")
    sizes, quick = {"N": 1 << 20}, ProfileOptions(with_interval=False)
    meets = profile_task(task.variant("global"), sizes, machine, quick)
    apart = profile_task(task, sizes, machine, quick)
    assert meets.limits.limiter == "atomics"
    # 8 lines have 256 bins: each gets an eighth of the requests, of four words on average.
    request_cycles = min(4 * machine.rates["atomic_word_cycles"], machine.rates["atomic_line_cycles"])
    assert meets.time.cycles == pytest.approx(sizes["N"] / 4 / 8 * request_cycles, rel=0.2)
    assert apart.time.cycles < meets.time.cycles / 4
