"""The exact modulo solver: published answers, proofs, pins and caps, and agreement with enumeration."""

import importlib.util
import json
import signal
import sys
import threading
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir.diagnostics import UserError
from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Status
from twill.problem.problem import Family, OrderPin, Pins, Problem
from twill.problem.verify import verify
from twill.solve import modulo_cpsat, modulo_search
from twill.solve.brute import Brute
from twill.solve.modulo import Modulo, solve_modulo
from twill.solve.modulo_cpsat import Verdict
from twill.solve.modulo_instance import instance_problem, read_instances
from twill.solve.protocol import Limits

REPOSITORY = Path(__file__).parents[3]
TOY_ATTENTION = {
    "name": "toy attention", "latency": [1, 1, 1], "unit": ["tensor", "exp", "tensor"],
    "limit": {"tensor": 1, "exp": 1}, "occupancy": {"tensor": 1, "exp": 1},
    "edges": [[0, 1, 1, 0], [1, 2, 1, 0], [2, 2, 1, 1]],
}  # fmt: skip
# A. Canis, S. Brown, J. Anderson, "Modulo SDC scheduling with recurrence minimization", FPL 2014, figure 2.
CANIS = {
    "name": "canis", "latency": [1] * 5, "unit": ["mem", "mem", None, "mem", None], "limit": {"mem": 1},
    "occupancy": {"mem": 1}, "edges": [[3, 0, 1, 1], [0, 2, 1, 0], [1, 2, 1, 0], [2, 3, 1, 0], [3, 4, 1, 0]],
}  # fmt: skip
VAN_DONGEN = {
    "name": "van Dongen", "latency": [2] * 10, "unit": ["adder"] * 10, "limit": {"adder": 3}, "occupancy": {"adder": 1},
    "edges": [
        [0, 1, 2, 0], [0, 1, 2, 1], [1, 2, 2, 0], [1, 2, 2, 1], [2, 3, 2, 0], [2, 3, 2, 1], [3, 4, 2, 1], [3, 4, 2, 2],
        [4, 5, 2, 2], [4, 5, 2, 1], [5, 6, 2, 0], [6, 7, 2, 0], [7, 0, 2, 1], [3, 8, 2, 0], [8, 9, 2, 0], [9, 8, 2, 1],
    ],
}  # fmt: skip


def solve(problem, **limits):
    schedule = solve_modulo(problem, Limits(**{"time_s": 30.0, **limits}))
    assert verify(schedule, problem) == ()
    return schedule


def problem_of(ops, edges=(), units=None, **options):
    graph = DependenceGraph("test", tuple(ops), tuple(edges))
    return Problem(graph, Machine("m", units or {"u": 1}), joint=False, **options)


def shown_bound(schedule):
    return 1 + max((r.ii_cycles for r in schedule.certificate.rejections), default=0)


@pytest.mark.parametrize(("row", "ii", "length"), [(TOY_ATTENTION, 2, 4), (CANIS, 3, 6), (VAN_DONGEN, 6, 12)])
def test_published_answers_come_out_with_proof(row, ii, length):
    schedule = solve(instance_problem(row))
    assert (schedule.status, schedule.ii_cycles, schedule.length_cycles) == (Status.OPTIMAL, ii, length)
    assert schedule.lower_bound_cycles == shown_bound(schedule) == ii


def test_toy_attention_runs_its_second_product_one_iteration_late():
    schedule = solve(instance_problem(TOY_ATTENTION))
    assert [schedule.stage(f"op{i}") for i in range(3)] == [0, 0, 1]


def test_an_interval_that_no_bound_excludes_is_refuted_by_search():
    # Both ops hold the unit in the same slot at II 2: the recurrence keeps them two cycles apart. So II is 3.
    edges = [Edge("a", "b", 2), Edge("b", "a", 2, distance=2)]
    schedule = solve(problem_of([Op("a", "u", 2, 1), Op("b", "u", 2, 1)], edges))
    assert schedule.ii_cycles == 3
    assert [bound.ii_cycles for bound in schedule.certificate.bounds] == [2, 2]
    assert schedule.certificate.rejections[-1].ii_cycles == 2
    assert schedule.certificate.rejections[-1].method == "cp-sat"


def test_an_op_may_hold_one_of_several_units_for_longer_than_the_interval():
    schedule = solve(problem_of([Op("a", "u", 5, 5), Op("b", "u", 3, 3)], units={"u": 3}))
    assert (schedule.ii_cycles, schedule.length_cycles) == (3, 5)


def test_a_heuristic_answer_above_the_bound_is_improved_to_the_optimum():
    row = {"name": "pack", "latency": [4, 3, 3, 2], "unit": ["u"] * 4, "limit": {"u": 2}, "occupancy": {"u": 3}}
    schedule = solve(instance_problem({**row, "edges": [[0, 1, 4, 0], [1, 2, 3, 0], [2, 0, 0, 2]]}))
    assert (schedule.status, schedule.ii_cycles) == (Status.OPTIMAL, 6)


def test_the_cap_on_stages_costs_interval_and_is_stated():
    free, capped = instance_problem(TOY_ATTENTION), replace(instance_problem(TOY_ATTENTION), max_stages=1)
    schedule = solve(capped)
    assert (solve(free).ii_cycles, schedule.ii_cycles, schedule.stages) == (2, 3, 1)
    assert schedule.status is Status.OPTIMAL
    assert schedule.certificate.assumptions == ("at most 1 stages, as the problem asks",)
    assert solve(replace(capped, relaxed=frozenset({Family.STAGES}))).ii_cycles == 2


def test_a_limit_on_the_interval_below_the_optimum_is_infeasible():
    schedule = solve(replace(instance_problem(CANIS), max_ii=2))
    assert (schedule.status, schedule.ii_cycles, schedule.lower_bound_cycles) == (Status.INFEASIBLE, None, 3)
    assert schedule.conflict.families == ("dependence", "unit")


def test_relaxed_families_ask_for_nothing():
    problem = instance_problem(CANIS)
    assert solve(replace(problem, relaxed=frozenset({Family.UNIT, Family.DEPENDENCE}))).ii_cycles == 1
    assert solve(replace(problem, relaxed=frozenset({Family.UNIT}))).ii_cycles == 3


def test_pinned_interval_stages_and_order_are_kept():
    problem = instance_problem(TOY_ATTENTION)
    assert solve(replace(problem, pins=Pins(ii_cycles=4))).ii_cycles == 4
    staged = solve(replace(problem, pins=Pins(stages={"op0": 0, "op1": 1, "op2": 3})))
    assert [staged.stage(f"op{i}") for i in range(3)] == [0, 1, 3]
    assert (staged.status, staged.ii_cycles) == (Status.OPTIMAL, 2)
    order = OrderPin((("op2", 0), ("op0", 0)))
    ordered = solve(replace(problem, pins=Pins(orders=(order,))))
    # The second product comes before the first of its own iteration: never, since it depends on it.
    assert ordered.status is Status.INFEASIBLE
    late = solve(replace(problem, pins=Pins(orders=(OrderPin((("op2", 0), ("op0", 1))),))))
    assert late.ii_cycles == 3
    assert late.by_op["op2"].time_cycles <= late.by_op["op0"].time_cycles + late.ii_cycles


def test_pinned_stages_that_contradict_a_dependence_are_infeasible_at_every_interval():
    schedule = solve(replace(instance_problem(TOY_ATTENTION), pins=Pins(stages={"op0": 1, "op1": 0})))
    assert schedule.status is Status.INFEASIBLE


def test_time_out_is_no_proof():
    problem = replace(instance_problem(VAN_DONGEN), max_stages=1)
    schedule = solve_modulo(problem, Limits(time_s=0.0))
    assert schedule.status is Status.TIMEOUT
    assert verify(schedule, problem) == ()
    assert schedule.conflict is None
    assert "time limit" in schedule.message


def test_without_the_length_level_the_interval_is_proven_alone():
    schedule = solve_modulo(instance_problem(CANIS), Limits(30.0), levels=("ii",))
    levels = {level.name: level for level in schedule.certificate.levels}
    assert levels["ii"].proven
    assert schedule.length_cycles == levels["length"].value >= levels["length"].lower_bound


def test_a_joint_problem_is_refused_with_a_remedy():
    with pytest.raises(UserError, match="one instruction stream"):
        Modulo().solve(replace(instance_problem(CANIS), joint=True), Limits())


def test_same_seed_same_schedule():
    problem = instance_problem(VAN_DONGEN)
    assert solve(problem, seed=3).placements == solve(problem, seed=3).placements


def test_an_empty_loop_has_an_interval_of_one():
    schedule = solve_modulo(problem_of([]), Limits())
    assert (schedule.status, schedule.ii_cycles, schedule.length_cycles) == (Status.OPTIMAL, 1, 0)


def test_an_interrupt_keeps_the_schedule_found(monkeypatch):
    from twill.solve import modulo_length

    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(modulo_length.Whole, "feasible", interrupt)
    problem = problem_of([Op("a", "u", 1, 1), Op("b", "u", 1, 1), Op("c", "u", 1, 1)])
    schedule = solve_modulo(problem, Limits(30.0))
    assert (schedule.status, schedule.ii_cycles) == (Status.FEASIBLE, 3)
    assert verify(schedule, problem) == ()
    assert "stopped by the user" in schedule.message


def test_ctrl_c_during_a_search_stops_it_with_what_it_has(request):
    # Whoever started the tests in the background may have left the signal ignored.
    request.addfinalizer(
        partial(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
    )

    class Endless:
        """A search that ends only when it is told to."""

        def __init__(self):
            self.stopped = threading.Event()

        def solve(self, _model):
            timer.start()
            assert self.stopped.wait(20), "nobody stopped the search"
            return Verdict.FEASIBLE.value

        def stop_search(self):
            self.stopped.set()

    # Only once the search goes on: an interrupt before that would end the tests.
    timer = threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    assert modulo_cpsat._solve(Endless(), None) == (Verdict.FEASIBLE, True)
    timer.join()


def test_the_benchmark_reports_and_verifies(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("bench_modulo", REPOSITORY / "bench" / "modulo.py")
    bench = importlib.util.module_from_spec(spec)
    sys.modules["bench_modulo"] = bench
    spec.loader.exec_module(bench)
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps([TOY_ATTENTION, CANIS, VAN_DONGEN]))
    assert bench.main(["--instances", str(path), "--length"]) == 0
    assert "3 loops, II proven for 3, length too for 3" in capsys.readouterr().out
    assert bench.main(["--instances", str(path), "--json"]) == 0
    assert [row["ii_cycles"] for row in json.loads(capsys.readouterr().out)["rows"]] == [2, 3, 6]
    assert bench.main(["--instances", str(tmp_path / "absent.json")]) == 2


def test_reading_instances_reports_bad_files(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_instances(tmp_path / "absent.json")
    bad = tmp_path / "bad.json"
    bad.write_text("[{")
    with pytest.raises(UserError, match=r"bad\.json:1:"):
        read_instances(bad)
    bad.write_text('[{"name": "x"}]')
    with pytest.raises(UserError, match="not a list of modulo instances"):
        read_instances(bad)
    good = tmp_path / "good.json"
    good.write_text(json.dumps([CANIS]))
    assert read_instances(good)[0] == instance_problem(CANIS)


@st.composite
def small_problems(draw, max_ops=4, max_delay=3):
    n = draw(st.integers(1, max_ops))
    units = {"u": draw(st.integers(1, 2)), "w": 1}
    ops = []
    for i in range(n):
        unit = draw(st.sampled_from(["u", "u", "w", None]))
        occupancy = draw(st.integers(1, 3)) if unit else 0
        ops.append(Op(f"n{i}", unit, draw(st.integers(0, 3)), occupancy))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, max_delay), st.integers(0, 2))
    edges = [
        Edge(f"n{u}", f"n{v}", delay, distance if u < v else distance + 1)
        for u, v, delay, distance in draw(st.lists(ends, max_size=n + 3))
    ]
    return problem_of(ops, edges, units)


def smallest_by_slots(problem):
    """II and length from all slots of all ops, with the least stages that each choice of slots allows; no cap."""
    ii = 1
    while True:
        lengths = [
            x for slots in product(range(ii), repeat=len(problem.graph.ops)) if (x := _length(problem, ii, slots))
        ]
        if lengths:
            return ii, min(lengths)
        ii += 1


def _length(problem, ii, slots):
    ops, index = problem.graph.ops, problem.graph.index
    for unit, count in problem.machine.units.items():
        used = [0] * ii
        for op, slot in zip(ops, slots, strict=True):
            for cycle in range(slot, slot + op.occupancy_cycles if op.unit == unit else slot):
                used[cycle % ii] += 1
        if max(used) > count:
            return None
    times = list(slots)
    for _ in range(len(ops) * len(ops) + 1):
        changed = False
        for edge in problem.graph.edges:
            u, v = index[edge.source], index[edge.target]
            while times[v] < times[u] + problem.graph.delay_cycles(edge) - edge.distance * ii:
                if u == v:
                    return None
                times[v], changed = times[v] + ii, True
        if not changed:
            return max(t + op.span_cycles for t, op in zip(times, ops, strict=True)) - min(times)
    return None


@settings(max_examples=150, deadline=None)
@given(small_problems())
def test_interval_and_length_agree_with_the_enumeration_of_all_slots(problem):
    schedule = solve(problem)
    assert schedule.status is Status.OPTIMAL
    assert (schedule.ii_cycles, schedule.length_cycles) == smallest_by_slots(problem)


@settings(max_examples=80, deadline=None)
@given(small_problems(), st.integers(1, 3), st.sampled_from([-1, 2]))
def test_search_without_the_heuristic_agrees_with_the_enumeration_of_all_slots(problem, seed, most_turns):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modulo_search, "schedule_at", lambda system, ii: None)
        # Below 0, units are always modelled by slots in the ring, else in absolute time where that is smaller.
        patch.setattr(modulo_cpsat, "_MOST_TURNS", most_turns)
        schedule = solve(problem, seed=seed, workers=1)
    assert schedule.status is Status.OPTIMAL
    assert (schedule.ii_cycles, schedule.length_cycles) == smallest_by_slots(problem)


@settings(max_examples=40, deadline=None)
@given(small_problems(max_ops=4), st.integers(1, 2), st.data())
def test_capped_and_pinned_problems_agree_with_exhaustive_search(problem, max_stages, data):
    names = [op.name for op in problem.graph.ops]
    stages = data.draw(st.dictionaries(st.sampled_from(names), st.integers(0, max_stages - 1), max_size=2))
    entries = st.lists(st.tuples(st.sampled_from(names), st.integers(0, 1)), min_size=2, max_size=3)
    orders = data.draw(st.lists(st.builds(OrderPin, entries.map(tuple), st.booleans()), max_size=1))
    pins = Pins(stages=stages, orders=tuple(orders))
    problem = replace(problem, max_stages=max_stages, pins=pins, max_ii=8)
    schedule, reference = solve(problem), Brute().solve(problem, Limits(20.0))
    assert schedule.status == reference.status
    assert (schedule.ii_cycles, schedule.length_cycles) == (reference.ii_cycles, reference.length_cycles)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(small_problems(max_ops=5, max_delay=5))
def test_interval_and_length_agree_with_the_enumeration_on_larger_loops(problem):
    schedule = solve(problem)
    if schedule.ii_cycles <= 6:
        assert (schedule.ii_cycles, schedule.length_cycles) == smallest_by_slots(problem)
