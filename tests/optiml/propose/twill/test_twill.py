"""The proposer `twill`: what it offers follows from the schedule, is the same each time, and hostile code stays out."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from backends.machines import load_machine
from ir.loop import Kernel
from ir.schedule import Schedule, Status
from ir.task import Task, load_task
from optiml.candidate import Candidate, candidate_of
from optiml.edit import Edit
from optiml.propose.protocol import Context
from optiml.propose.twill import TwillProposer, emission
from optiml.propose.twill.emission import emitted
from optiml.propose.twill.instructions import Stream, resident_warps
from optiml.propose.twill.order import effects_of, reordered
from optiml.propose.twill.reading import Reader
from twill.pipeline import Options, run
from twill.solve.protocol import Limits

ROOT = Path(__file__).parents[4]
GATED = ROOT / "tests/optiml/kernels/gated_product"
SAXPY = 'extern "C" __global__ void f(float* y, const float* x, int n) {%s}'


def proposed(task: Task, machine: str, candidate: Candidate | None = None) -> list[Edit]:
    target = load_machine(machine)
    context = Context(task, candidate or candidate_of(task), target.architecture, machine=target)
    return list(TwillProposer().propose(context, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def gated() -> list[Edit]:
    return proposed(load_task(GATED), "h100")


def test_the_best_tile_comes_first_with_warps_and_stages_that_suit_it(gated: list[Edit]) -> None:
    first = gated[0]
    assert first.tag.startswith("tile:") and first.proposer == "twill"
    changed = first.result.overrides
    assert changed["constants.BLOCK_M"] * changed["constants.BLOCK_N"] > 32 * 32
    assert changed["launch.num_warps"] in (4, 8) and changed["launch.num_stages"] > 1


def test_every_reason_quotes_bounds_and_says_that_they_are_modelled(gated: list[Edit]) -> None:
    for edit in gated:
        assert "ResMII" in edit.why and "RecMII" in edit.why and edit.why.endswith("(modelled).")
    assert any("both proven" in e.why and "buffers" in e.why and "registers" in e.why for e in gated)


def test_every_result_is_another_program_and_parses(gated: list[Edit]) -> None:
    keys = [e.result.key for e in gated]
    assert len(set(keys)) == len(keys) and candidate_of(load_task(GATED)).key not in keys
    for edit in gated:
        ast.parse(edit.result.source)


def test_two_proposers_say_the_same(gated: list[Edit]) -> None:
    assert [(e.tag, e.result.key) for e in proposed(load_task(GATED), "h100")] == [(e.tag, e.result.key) for e in gated]


def test_hostile_python_is_compiled_in_the_sandbox_alone(tmp_path: Path) -> None:
    task, victim = load_task(GATED), tmp_path / "victim"
    own = candidate_of(task)
    attack = f"open({str(victim)!r}, 'w').write('x')\n"
    assert proposed(task, "a100", Candidate("triton", attack + own.source)) == []
    assert not victim.exists()


def test_what_a_child_says_is_no_kernel_unless_it_reads_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task(GATED)
    for forged in ({"kernels": ["kernel x dialect"]}, {"kernels": []}, {"kernels": 3}, {}):
        reader = Reader(task, "sm_80")
        reader._client = _Forged(forged)  # type: ignore[assignment]
        assert reader.read([candidate_of(task)]) == [None]


class _Forged:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def submit(self, *_: object) -> int:
        return 1

    def wait(self, _number: int) -> dict[str, object]:
        return {"answer": self.answer}

    def close(self) -> None: ...


def test_kernels_without_a_loop_get_no_edit() -> None:
    assert proposed(load_task(ROOT / "kernels/vector_add"), "a100") == []


def test_gluon_kernels_get_no_edit() -> None:
    assert proposed(load_task(ROOT / "kernels/gemm_warp_specialized"), "h100") == []


def test_a_long_recurrence_in_cuda_speaks_for_rules_with_its_numbers() -> None:
    """A thread of the naive product adds to one sum: a chain, which leaves units idle where few warps are resident."""
    edits = proposed(load_task(ROOT / "kernels/sgemm"), "a100")
    assert edits and {e.proposer for e in edits} == {"twill"}
    assert all("one warp: II" in e.why for e in edits)


def _example(chain_cycles: int, load_cycles: int) -> Schedule:
    from ir.graph import DependenceGraph, Edge, Op
    from ir.machine import Machine

    ops = (Op("load", "lsu", load_cycles, 4), Op("sum", "fma", chain_cycles, 2))
    graph = DependenceGraph("f", ops, (Edge("load", "sum"), Edge("sum", "sum", distance=1)))
    machine = Machine("m", {"lsu": 1, "fma": 1}, warp_specialization=False)
    return run(graph, Options(target=machine, joint=False), Limits(time_s=30.0)).schedule


def test_warps_that_are_resident_serve_chains_and_hide_latency() -> None:
    schedule = _example(chain_cycles=40, load_cycles=400)
    assert schedule.status is Status.OPTIMAL and schedule.ii_cycles == 40
    assert (Stream(schedule, 1).chains, Stream(schedule, 5).chains) == (10.0, 2.0)
    assert Stream(schedule, 1).needed == 110
    assert resident_warps(load_machine("a100"), 0.5) == 8 and resident_warps(load_machine("a100"), None) == 0


def test_an_emitter_is_asked_for_its_own_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, written = _example(4, 4), Candidate("triton", "written")
    own = Kernel("f", dialect="ttir")
    key = (own.dialect, schedule.machine.architecture)
    monkeypatch.setattr(emission, "EMITTERS", {key: lambda _schedule, _kernel, _candidate: written})
    assert emitted(schedule, own, Candidate("triton", "")) is written
    assert emitted(schedule, Kernel("f", dialect="ptx"), Candidate("triton", "")) is None


def test_a_candidate_that_ends_its_compiler_costs_the_others_nothing() -> None:
    task = load_task(GATED)
    good = candidate_of(task)
    bomb = Candidate("triton", f"import os\nos.kill(os.getpid(), 9)\n{good.source}")
    reader = Reader(task, "sm_90")
    try:
        found = reader.read([bomb, good])
    finally:
        reader.close()
    assert found[0] is None
    assert found[1] is not None and found[1].name


LOOP = """
def f(p, q, n):
    for i in tl.range(0, n):
        a = tl.load(p)
        {first}
        {second}
        p += 1
"""


@pytest.mark.parametrize(
    ("first", "second", "moves"),
    [
        ("x = a + 1", "b = tl.load(q)", True),
        ("tl.store(q, a)", "b = tl.load(q)", False),
        ("unknown(a)", "b = tl.load(q)", False),
        ("q = q + a", "b = tl.load(q)", False),
        ("b = a", "b = tl.load(q)", False),
    ],
)
def test_statements_move_only_where_dependences_allow(first: str, second: str, moves: bool) -> None:
    text = LOOP.format(first=first, second=second)
    loop = ast.parse(text).body[0].body[0]  # type: ignore[attr-defined]
    found = reordered(text, loop, {4: 0, 5: 100, 6: 10})
    assert (found is not None) == moves
    if found is not None:
        assert found.index(second) < found.index(first)


def test_a_loop_that_may_end_early_is_left_alone() -> None:
    text = LOOP.format(first="x = a", second="if x:\n            break\n        b = tl.load(q)")
    assert reordered(text, ast.parse(text).body[0].body[0], {8: 0, 4: 9}) is None  # type: ignore[attr-defined]


def test_a_helper_does_what_its_body_does() -> None:
    tree = ast.parse("def g(p):\n    tl.store(p, 1)\ndef h(p):\n    return tl.load(p)\ng(x)\ny = h(x)\n")
    assert effects_of(tree.body[2], tree).stores and not effects_of(tree.body[3], tree).stores
    assert effects_of(tree.body[3], tree).loads
