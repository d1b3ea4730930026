"""The interval: thinned traces keep what they are made of, and part of the work changes as the whole does."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.machines import load_machine, machine_names
from backends.model.chip import chip_time
from backends.model.sm import Repeat, Run, executed_blocks
from backends.model.sm.trace import WarpTrace
from backends.model.spread import GROUPS, groups_of, interval, spread
from backends.model.thinning import thinned
from tests.backends.model.report.profiles import report

_RUNS = st.integers(0, 9).map(lambda n: Run((n,)))
_TRACES = st.recursive(
    st.lists(_RUNS, min_size=1, max_size=3).map(tuple),
    lambda inner: st.tuples(_RUNS, st.builds(Repeat, inner, st.integers(1, 500))),
    max_leaves=6,
)


@given(_TRACES, st.floats(0.001, 1.0))
def test_a_thinned_trace_has_about_its_part_of_the_work_and_every_block(trace: WarpTrace, part: float):
    cut = thinned(trace, part)
    assert executed_blocks(cut) <= executed_blocks(trace)
    assert _blocks(cut) == _blocks(trace)
    assert executed_blocks(cut) >= part * executed_blocks(trace) * 0.4
    assert thinned(trace, 1.0) == trace


def _blocks(trace: WarpTrace) -> set[int]:
    return {b for step in trace for b in (step.blocks if isinstance(step, Run) else _blocks(step.body))}


def test_counts_of_nested_loops_are_cut_outside_first():
    nest = (Repeat((Repeat((Run((1,)),), 100),), 10),)
    assert thinned(nest, 0.1) == (Repeat((Repeat((Run((1,)),), 100),), 1),)
    assert thinned(nest, 0.01) == (Repeat((Repeat((Run((1,)),), 10),), 1),)


@pytest.mark.parametrize("name", machine_names())
def test_every_spread_is_in_one_group_and_slow_is_the_slow_end(name: str):
    machine = load_machine(name)
    found = [rate for group in groups_of(machine) for rate in group.slow]
    assert sorted(found) == sorted(machine.spreads)
    assert {g.name for g in groups_of(machine)} <= set(GROUPS)
    ends = {rate: (g.slow[rate], g.fast[rate]) for g in groups_of(machine) for rate in g.slow}
    assert ends["dram_achieved_gbyte_per_s"][0] < ends["dram_achieved_gbyte_per_s"][1]
    assert ends["l1_hit_latency_cycles"][0] > ends["l1_hit_latency_cycles"][1]
    assert ends["launch_us"][0] > ends["launch_us"][1]


def test_factors_add_up_as_squares():
    low, high = spread(iter([(1.1, 0.9), (1.0, 1.0)]))
    assert (low, high) == pytest.approx((0.9, 1.1))
    assert spread(iter([(1.01, 1.02)])) == pytest.approx((1.0, 1.02)), "both ends slower: no faster than stated"


def test_the_interval_holds_the_value_and_says_what_makes_it_up():
    modelled = report("transpose", sizes="ROWS=2048 COLS=2048", with_interval=True).modelled
    found = modelled.time_us
    assert found.low < found.value < found.high
    assert {e.group for e in found.effects} == {g.name for g in groups_of(modelled.parameters.machine)}
    factors = [max(e.slow, e.fast, 1.0) for e in found.effects]
    assert found.high / found.value <= prod(factors) + 1e-9


def test_part_of_the_work_changes_as_the_whole_does():
    """The bandwidth of a copy: the sample's effect beside that of the whole launch at the ends."""
    modelled = report("stream", sizes="N=16777216").modelled
    found = interval(modelled.work, modelled.time, modelled.parameters)
    (group,) = [g for g in groups_of(modelled.parameters.machine) if g.name == "bandwidth"]
    (effect,) = [e for e in found.effects if e.group == "bandwidth"]
    for end, factor in ((group.slow, effect.slow), (group.fast, effect.fast)):
        whole = chip_time(modelled.work, replace(modelled.parameters, overrides=dict(end)))
        assert factor == pytest.approx(whole.total_cycles / modelled.cycles, rel=0.02)
    assert effect.slow > 1.03 and effect.fast < 0.995
