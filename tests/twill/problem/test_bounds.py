"""ResMII and RecMII against published answers and against the enumeration of all cycles."""

from fractions import Fraction

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from twill.problem.bounds import all_bounds, minimum_ii, recurrence_bound, resource_bounds

# van Dongen's example: (source, target, distance); every adder has a latency of 2 cycles, and there are three.
VAN_DONGEN = [
    (0, 1, 0), (0, 1, 1), (1, 2, 0), (1, 2, 1), (2, 3, 0), (2, 3, 1), (3, 4, 1), (3, 4, 2), (4, 5, 2), (4, 5, 1),
    (5, 6, 0), (6, 7, 0), (7, 0, 1), (3, 8, 0), (8, 9, 0), (9, 8, 1),
]  # fmt: skip


def graph_of(arcs, latency=2, n=10, unit="adder", occupancy=1):
    ops = tuple(Op(f"n{i}", unit, latency, occupancy) for i in range(n))
    edges = tuple(Edge(f"n{u}", f"n{v}", rest[1] if len(rest) > 1 else None, rest[0]) for u, v, *rest in arcs)
    return DependenceGraph("test", ops, edges)


def test_van_dongen_needs_ten_thirds_for_the_adders_and_sixteen_thirds_for_the_recurrence():
    graph, machine = graph_of(VAN_DONGEN), Machine("three adders", {"adder": 3})
    unit, recurrence = resource_bounds(graph, machine)[0], recurrence_bound(graph)
    assert (unit.ii_cycles, unit.name, len(unit.ops)) == (4, "adder", 10)
    assert "10/3 = 3.333" in unit.detail
    assert recurrence.ii_cycles == 6
    assert recurrence.ops == tuple(f"n{i}" for i in range(8))
    assert "16/3 = 5.333" in recurrence.detail
    assert minimum_ii(graph, machine) == 6
    assert [b.kind for b in all_bounds(graph, machine)] == ["recurrence", "unit"]


def test_an_acyclic_graph_has_no_recurrence_bound():
    assert recurrence_bound(graph_of([(0, 1, 0), (1, 2, 3)])) is None


def test_a_recurrence_without_delay_is_no_bound():
    assert recurrence_bound(graph_of([(0, 1, 0), (1, 0, 1)], latency=0)) is None


def test_an_op_may_hold_its_unit_for_longer_than_the_interval():
    graph = graph_of([], n=1, occupancy=7)
    assert minimum_ii(graph, Machine("m", {"adder": 2})) == 4


def test_an_empty_graph_has_an_interval_of_one():
    assert minimum_ii(DependenceGraph("empty", ()), Machine("m", {})) == 1


def test_units_without_work_set_no_bound():
    assert resource_bounds(graph_of([], occupancy=0), Machine("m", {"adder": 1, "idle": 1})) == ()


def test_streaming_sources_count_with_no_delay_in_a_recurrence():
    ops = (Op("load", latency_cycles=100, variable_latency=True, streaming=True), Op("use", latency_cycles=3))
    edges = (Edge("load", "use"), Edge("use", "load", distance=1))
    assert recurrence_bound(DependenceGraph("g", ops, edges)).ii_cycles == 3


@pytest.mark.parametrize("arcs", [[(0, 1, 0), (1, 0, 0)], [(2, 2, 0)]])
def test_a_cycle_of_distance_zero_is_an_error_that_names_it(arcs):
    with pytest.raises(ValueError, match=f"distance 0.*n{arcs[0][0]}"):
        recurrence_bound(graph_of(arcs))


@st.composite
def arcs_without_zero_cycles(draw):
    n = draw(st.integers(1, 6))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 2), st.integers(0, 9))
    rows = draw(st.lists(ends, max_size=12))
    return n, [(u, v, distance if u < v else distance + 1, delay) for u, v, distance, delay in rows]


@given(arcs_without_zero_cycles())
def test_the_recurrence_bound_is_the_largest_ratio_over_all_cycles(case):
    n, arcs = case
    bound = recurrence_bound(graph_of(arcs, n=n))
    ratio = max(_ratios(arcs), default=Fraction(0))
    if ratio == 0:
        assert bound is None
        return
    assert bound.ii_cycles == -(-ratio.numerator // ratio.denominator)
    assert f": {ratio}" in bound.detail
    hops = list(zip(bound.ops, (*bound.ops[1:], bound.ops[0]), strict=True))
    assert all((int(a[1:]), int(b[1:])) in {(u, v) for u, v, *_ in arcs} for a, b in hops)


def _ratios(arcs):
    """Ratio of every cycle; a node in the middle of each arc keeps parallel arcs apart."""
    split = networkx.DiGraph()
    for i, (u, v, distance, delay) in enumerate(arcs):
        split.add_edge(u, f"arc{i}", weight=(delay, distance))
        split.add_edge(f"arc{i}", v, weight=(0, 0))
    for cycle in networkx.simple_cycles(split):
        weights = [split.edges[a, b]["weight"] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        yield Fraction(sum(w[0] for w in weights), sum(w[1] for w in weights))
