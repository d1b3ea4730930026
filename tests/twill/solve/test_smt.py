"""The SMT solver: known answers, the encoding against arithmetic, lazily added parts, time limits, second opinions."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import pytest

from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.machine import Machine
from ir.schedule import Level, Schedule, Status
from twill.problem.problem import Family, Pins, Problem
from twill.problem.verify import verify
from twill.solve.certify import ContradictionError, certify, claims_of
from twill.solve.protocol import Limits
from twill.solve.smt import Smt
from twill.solve.smt_query import Oracle, Question, Verdict
from twill.solve.smt_search import Search
from twill.solve.smt_terms import Terms
from twill.solve.smt_worker import Send, WorkerError, messages

TOY = Problem(
    DependenceGraph(
        "toy attention",
        (Op("qk", "tensor", 1, 1), Op("exp", "sfu", 1, 1), Op("pv", "tensor", 1, 1)),
        (Edge("qk", "exp"), Edge("exp", "pv"), Edge("pv", "pv", distance=1)),
    ),
    Machine("toy", {"tensor": 1, "sfu": 1}),
    joint=False,
)
# Figure 2 of Canis, Brown, Anderson: "Modulo SDC scheduling with recurrence minimization", FPL 2014.
CANIS = Problem(
    DependenceGraph(
        "canis",
        tuple(Op(f"o{i}", "mem" if i in (0, 1, 3) else None, 1, 1) for i in range(5)),
        (Edge("o3", "o0", distance=1), Edge("o0", "o2"), Edge("o1", "o2"), Edge("o2", "o3"), Edge("o3", "o4")),
    ),
    Machine("canis", {"mem": 1}),
    joint=False,
)


def solved(problem: Problem, time_s: float = 60) -> Schedule:
    schedule = Search(problem, Limits(time_s=time_s)).run()
    assert verify(schedule, problem) == ()
    return schedule


def solved_by_another(problem: Problem) -> Schedule:
    """The same, with its proofs in the name of another solver, so that this one is the one to check them."""
    schedule = solved(problem)
    levels = tuple(replace(level, method="CP-SAT") for level in schedule.certificate.levels)
    return replace(schedule, certificate=replace(schedule.certificate, levels=levels))


@pytest.mark.parametrize(("problem", "ii", "length"), [(TOY, 2, 4), (CANIS, 3, 6)])
def test_known_optima(problem: Problem, ii: int, length: int) -> None:
    schedule = solved(problem)
    assert (schedule.status, schedule.ii_cycles, schedule.length_cycles) == (Status.OPTIMAL, ii, length)


def attention(registers_per_sm: int = 65536) -> Problem:
    """Two 64-row sub-tiles of attention forward on a Hopper-like machine, in raw cycles."""
    load = Op("k", "tma", 700, 256, smem_bytes=32768, variable_latency=True, streaming=True, handoff_cycles=20)
    ops, edges = [load, replace(load, name="v")], []
    for i in "01":
        tile = Op("", "alu", 64, 64, 64, registers=64, warps=4, handoff_cycles=500)
        row = replace(tile, latency_cycles=8, occupancy_cycles=8, issue_cycles=8, registers=1, handoff_cycles=60)
        product = replace(tile, unit="tensor", latency_cycles=540, occupancy_cycles=512, issue_cycles=1)
        exp = replace(tile, unit="sfu", latency_cycles=520, occupancy_cycles=512, issue_cycles=512)
        kinds = {"qk": product, "max": row, "sub": tile, "p": exp, "alpha": row, "scale": tile, "pv": product}
        ops += [replace(op, name=name + i) for name, op in kinds.items()]
        edges += [
            Edge("k", "qk" + i, blocking=True),
            Edge("qk" + i, "max" + i, blocking=True),
            Edge("max" + i, "max" + i, distance=1),
            Edge("qk" + i, "sub" + i, in_place=True),
            Edge("max" + i, "sub" + i),
            Edge("sub" + i, "p" + i, in_place=True),
            Edge("max" + i, "alpha" + i),
            Edge("p" + i, "pv" + i),
            Edge("v", "pv" + i, blocking=True),
            Edge("alpha" + i, "scale" + i),
            Edge("pv" + i, "scale" + i, distance=1, in_place=True, blocking=True),
            Edge("scale" + i, "pv" + i, in_place=True),
        ]
    machine = Machine(
        "hopper-like",
        {"tma": 1, "tensor": 1, "alu": 1, "sfu": 1},
        smem_bytes=227 * 1024,
        registers_per_sm=registers_per_sm,
        max_registers_per_thread=240,
        reserved_registers=24,
        max_warps=16,
        max_groups=4,
        wait_cycles=30,
    )
    queries = (Invariant("q0", smem_bytes=16384), Invariant("q1", smem_bytes=16384))
    return Problem(DependenceGraph("attention", tuple(ops), tuple(edges), queries), machine)


def test_attention_reaches_the_tensor_core_bound() -> None:
    schedule = solved(attention())
    assert schedule.status is Status.OPTIMAL
    assert schedule.ii_cycles == 2048  # four products of 512 cycles each
    assert [level.value for level in schedule.certificate.levels[2:]] == [3, 4]


def test_registers_can_make_every_ii_impossible() -> None:
    few = replace(attention(), machine=replace(attention().machine, registers_per_sm=32 * (24 + 4 * 2 * 48)))
    assert solved(few).status is Status.INFEASIBLE
    assert solved(replace(few, relaxed=frozenset({Family.REGISTERS}))).status is Status.OPTIMAL


def values_of(terms: Terms, times: tuple[int, ...]) -> dict[object, object]:
    make = terms.make
    stages = {terms.stage[v]: make.Int(t // terms.ii) for v, t in enumerate(times)}
    return stages | {terms.slot[v]: make.Int(t % terms.ii) for v, t in enumerate(times)}


def holds(terms: Terms, formula: object, times: tuple[int, ...]) -> bool:
    substituted = terms.environment.substituter.substitute(formula, values_of(terms, times))
    return bool(terms.environment.simplifier.simplify(substituted).is_true())


@pytest.mark.parametrize("ii", [1, 2, 3, 5])
def test_atoms_mean_what_they_say(ii: int) -> None:
    from pysmt.environment import Environment

    terms = Terms(Environment(), ii, 2)
    for least in range(-3 * ii, 3 * ii + 1):
        atom, end, turn = terms.after(0, 1, least), terms.ends_by(1, least), terms.turn_at_most(0, 1, least)
        for times in itertools.product(range(2 * ii), repeat=2):
            assert holds(terms, atom, times) == (times[1] - times[0] >= least)
            assert holds(terms, end, times) == (times[1] <= least)
            assert holds(terms, turn, times) == ((times[1] - times[0]) % ii <= least)


@pytest.mark.parametrize("weights", [(1,), (3, 1, 2), (4, 4, 4, 2), (5, 7, 11, 3, 1)])
def test_diagram_is_the_sum(weights: tuple[int, ...]) -> None:
    from pysmt.environment import Environment

    terms = Terms(Environment(), 2, 0)
    literals = [terms.boolean(f"x{i}") for i in range(len(weights))]
    for limit in range(-1, sum(weights) + 1):
        formula = terms.at_most(list(zip(literals, weights, strict=True)), limit)
        for chosen in itertools.product((False, True), repeat=len(weights)):
            truth = dict(zip(literals, map(terms.make.Bool, chosen), strict=True))
            value = terms.environment.simplifier.simplify(terms.environment.substituter.substitute(formula, truth))
            assert value.is_true() == (sum(itertools.compress(weights, chosen)) <= limit)


def test_more_copies_are_counted_when_the_verifier_asks_for_them() -> None:
    """Nine live copies of one byte: the model starts with four and must end with the true limit."""
    ops = tuple(Op(name, "u", 1, 1) for name in ("mid", "use"))
    edges = (Edge("load", "mid", 9, kind="order"), Edge("mid", "use", 8, kind="order"), Edge("load", "use", 1))
    graph = DependenceGraph("long-lived", (Op("load", "u", 1, 1, smem_bytes=1), *ops), edges)
    problem = Problem(graph, Machine("m", {"u": 2}, smem_bytes=8))
    oracle = Oracle(problem)
    assert oracle.ask(Question(2), 30) is Verdict.REFUTED
    assert oracle.copies > 8
    assert solved(problem).ii_cycles == 3


def test_register_cuts_are_added_only_where_needed() -> None:
    roomy, tight = Oracle(attention()), Oracle(attention(32 * (24 + 4 * 2 * 192)))
    assert not isinstance(tight.ask(Question(2048), 60), Verdict)
    assert tight.cuts
    relaxed = Oracle(replace(attention(), relaxed=frozenset({Family.REGISTERS})))
    assert not isinstance(relaxed.ask(Question(2048), 60), Verdict)
    assert not relaxed.cuts
    assert not roomy.cuts


def test_pinned_ii_is_the_only_one_tried() -> None:
    problem = replace(TOY, joint=True, pins=Pins(ii_cycles=5))
    schedule = solved(problem)
    assert (schedule.status, schedule.ii_cycles) == (Status.OPTIMAL, 5)
    assert solved(replace(problem, pins=Pins(ii_cycles=1))).status is Status.INFEASIBLE


def test_infeasible_answers_name_the_last_ii() -> None:
    too_small = replace(TOY, max_ii=1)
    answer = solved(too_small)
    assert answer.status is Status.INFEASIBLE
    assert [(r.ii_cycles, r.method) for r in answer.certificate.rejections] == [(1, "bounds")]


def test_no_time_is_no_answer() -> None:
    schedule = Smt().solve(attention(), Limits(time_s=0))
    assert schedule.status is Status.TIMEOUT
    assert not schedule.placements


def hard() -> Problem:
    """A packing of 40 ops of odd sizes into one full unit with many orders: far too much for a short time limit."""
    ops = tuple(Op(f"o{i}", "u", 5, 7 + (i * i) % 23) for i in range(40))
    edges = tuple(Edge(f"o{i}", f"o{(i * 7 + 3) % 40}", distance=1, latency_cycles=400) for i in range(40))
    return Problem(DependenceGraph("hard", ops, edges), Machine("m", {"u": 1}), joint=False)


@pytest.mark.parametrize("time_s", [1.0, 3.0])
def test_time_limit_holds(time_s: float) -> None:
    started = time.monotonic()
    schedule = Smt().solve(hard(), Limits(time_s=time_s))
    assert time.monotonic() - started < time_s + 1.0
    assert schedule.status in (Status.TIMEOUT, Status.FEASIBLE)
    assert verify(schedule, hard()) == ()


def test_worker_reaches_the_same_values_and_reports_progress() -> None:
    lines: list[str] = []
    schedule = Smt().solve(TOY, Limits(time_s=60, progress=lines.append))
    assert replace(schedule, placements=(), timing={}) == replace(solved(TOY), placements=(), timing={})
    assert any("II 2: found" in line for line in lines)


def test_same_input_and_seed_give_the_same_schedule() -> None:
    first, second = (replace(Smt().solve(attention(), Limits(time_s=60)), timing={}) for _ in range(2))
    assert first == second


@dataclass(frozen=True)
class Failing:
    def run(self, send: Send) -> None:
        send("before")
        raise ZeroDivisionError("on purpose")


@dataclass(frozen=True)
class Endless:
    def run(self, send: Send) -> None:
        send("before")
        while True:
            pass


def test_worker_that_fails_is_an_error() -> None:
    heard = []
    with pytest.raises(WorkerError, match="on purpose"):
        heard.extend(messages(Failing(), 30))


def test_worker_that_never_ends_is_ended() -> None:
    started = time.monotonic()
    assert list(messages(Endless(), 2.0)) in (["before"], [])
    assert time.monotonic() - started < 3.0


def test_certify_refutes_each_claim_again() -> None:
    problem = replace(TOY, joint=True)
    schedule = certify(problem, solved_by_another(problem), Limits(time_s=60))
    assert schedule.certificate.cross_checks == (
        "smt: II <= 1 unsat",
        "smt: length <= 3 at II 2 unsat",
        "smt: groups <= 0 at II 2, length 4 unsat",
    )
    assert verify(schedule, problem) == ()


def test_certify_asks_cpsat_where_the_schedule_is_this_solvers_own() -> None:
    """The II is proven by bounds, which this solver may check; 0 crossings need no claim."""
    problem = replace(TOY, joint=True)
    length, groups, ii = certify(problem, solved(problem), Limits(time_s=60)).certificate.cross_checks
    assert length.startswith("cpsat: length <= 3 at II 2 infeasible with at most")
    assert groups == "cpsat: groups <= 0 at II 2, length 4 infeasible: every op is in a group"
    assert ii == "smt: II <= 1 unsat"


def test_certify_refutes_infeasibility_again() -> None:
    problem = replace(TOY, max_ii=1)
    schedule = certify(problem, solved(problem), Limits(time_s=60))
    assert schedule.certificate.cross_checks == ("smt: II <= 1 unsat",)


def test_certify_says_what_it_did_not_check() -> None:
    problem = replace(TOY, joint=True)
    schedule = certify(problem, solved_by_another(problem), Limits(time_s=0))
    assert len(schedule.certificate.cross_checks) == 3
    assert all(line.endswith("not cross-checked") for line in schedule.certificate.cross_checks)


def test_certify_tells_what_rests_on_an_assumed_cap() -> None:
    """In one stage the toy takes three cycles an iteration, in two stages two: only the cap makes 3 the optimum."""
    problem = replace(TOY, joint=True)
    schedule = solved_by_another(replace(problem, max_stages=1))
    assert schedule.ii_cycles == 3
    assumed = replace(schedule.certificate, assumptions=("at most 1 stages (for the test)",))
    lines = certify(problem, replace(schedule, certificate=assumed), Limits(time_s=60)).certificate.cross_checks
    assert lines[0] == "smt: II <= 2 unsat within 1 stages, and possible with more"
    assert lines[1] == "smt: length <= 2 at II 3 unsat"


def test_certify_makes_no_claim_for_open_levels() -> None:
    problem = replace(TOY, joint=True)
    schedule = solved(problem)
    levels = tuple(replace(level, lower_bound=0) for level in schedule.certificate.levels)
    opened = replace(schedule, status=Status.FEASIBLE, certificate=replace(schedule.certificate, levels=levels))
    assert list(claims_of(problem, opened)) == []


def test_contradiction_carries_the_better_schedule() -> None:
    problem = TOY
    schedule = solved(problem)
    three = Search(replace(TOY, joint=True, pins=Pins(ii_cycles=3)), Limits()).run()
    length = three.length_cycles or 0
    wrong = replace(
        schedule,
        ii_cycles=3,
        certificate=replace(
            schedule.certificate, levels=(Level("ii", 3, 3, "wrong"), Level("length", length, length, "wrong"))
        ),
    )
    with pytest.raises(ContradictionError, match="II <= 2") as caught:
        certify(problem, wrong, Limits(time_s=60))
    assert caught.value.schedule.ii_cycles == 2
    assert verify(caught.value.schedule, problem) == ()


def test_importing_the_solver_does_not_import_z3() -> None:
    code = "import sys, twill.solve.smt, twill.solve.certify; print({'z3', 'pysmt'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_model_leaves_nothing_behind_in_the_global_environment() -> None:
    """Else each model of a long run is slower to build than the one before."""
    from pysmt.environment import get_env

    kept = len(get_env().stc.memoization)
    assert Oracle(attention()).ask(Question(2), 60.0) is not Verdict.UNKNOWN
    assert len(get_env().stc.memoization) == kept
