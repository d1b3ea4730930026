"""A search whose proposer mixes bombs and cheats with honest edits goes on to its end, and its winner is honest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from numpy.random import Generator

from backends.machines import load_machine
from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.evaluate.job import Limits
from optiml.evaluate.judge import Judge
from optiml.evaluate.pool import Pool
from optiml.evaluate.questions import guarded, question
from optiml.propose.protocol import Context
from optiml.search.budget import Budget
from optiml.search.driver import Driver
from optiml.search.finalists import choose
from optiml.search.protocol import Scored
from optiml.search.space import RecordedSpace
from optiml.search.strategies import make_strategy
from optiml.store.store import Store
from optiml.verdict import Status
from tests.adversarial.fixtures import Fixture, fixtures, task_of

# The order in which they are proposed: each honest one stands behind some that are not.
CUDA = (
    "template_bomb.cu", "constexpr_bomb.cu", "reads_passwords.cu", "endless_kernel.cu", "axpy_grid_stride.cu",
    "prints_for_ever.cu", "huge_array.cu", "corrupts_memory.cu", "own_headers.cu", "axpy_vectors_with_tail.cu",
    "axpy_streaming_hints.cu", "fewer_blocks_when_large.cu", "includes_itself.cu",
)  # fmt: skip
TRITON = (
    "fork_bomb.py", "memory_bomb.py", "endless_import.py", "add_large_blocks.py", "floods_stdout.py", "segfault.py",
    "floods_the_channel.py", "kills_its_parent.py", "exits.py", "deep_source.py", "threads.py", "add_grid_stride.py",
    "writes_its_own_verdict.py", "forges_one_size.py", "steals_keys.py", "runs_a_program.py", "leaves_files.py",
)  # fmt: skip
# Right, and slow: each thread goes over elements side by side, so that no two threads' accesses are.
SLOW = {
    "axpy": Candidate(
        "cuda",
        """extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int first = (blockIdx.x * 256 + threadIdx.x) * 32;
    for (int i = first; i < min(first + 32, n); ++i) y[i] = 2.0f * x[i] + y[i];
}
""",
        {"launch.grid": ["cdiv(N, 8192)"]},
    ),
    "triton_add": Candidate(
        "triton",
        """import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    for k in range(32):
        at = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)) * 32 + k
        tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
""",
        {"launch.grid": ["cdiv(N, 32 * BLOCK)"]},
    ),
}
LIMITS = Limits(wall_s=60.0, compile_s=10.0, launch_s=3.0, memory_bytes=2 << 30)


class Crowd:
    """Proposes all of the named fixtures, whatever it is asked about."""

    name = "crowd"

    def __init__(self, known: Sequence[Fixture]) -> None:
        self._known = known

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:
        """The same edits each time."""
        return [Edit(f.name, "dram", f.does, f.candidate, self.name) for f in self._known]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("task_name", "names"), [("axpy", CUDA), ("triton_add", TRITON)])
def test_a_search_among_bombs_ends_with_an_honest_winner(
    task_name: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    known = {f.name: f for f in (*fixtures("hostile"), *fixtures("honest"))}
    crowd = Crowd([known[name] for name in names])
    task, machine = task_of(task_name), load_machine("a100")
    job, root = question(task, "a100", task.sizes["report"][:1], 0, LIMITS), SLOW[task_name]
    pool = Pool(2, task.language)
    try:
        with Store.create(tmp_path / "run.optiml", {}) as store:
            verdict = Judge(pool, job, 0, store, "baseline").verdict(root)
            assert verdict.is_ok and verdict.metrics is not None, verdict.evidence
            baseline = Scored(root, verdict, 0.0)
            judge = Judge(pool, guarded(job, task, machine, verdict.metrics), 0, store, "search")
            space = RecordedSpace(task, crowd, machine, 0, store, baseline)
            strategy = make_strategy("best-of-n", baseline, space, 0)
            searched = Driver(strategy, judge, verdict.metrics, Budget(len(names)), store).run()
            final = choose(baseline, [t.result for t in searched.told], _again(judge, store))
    finally:
        pool.close()
    found = {t.step.edit.tag: t.result.verdict for t in searched.told}
    for name, verdict in found.items():
        assert str(verdict.status) in known[name].status, (name, verdict.evidence)
        assert re.search(known[name].says, verdict.evidence), (name, verdict.evidence)
    assert set(found) == set(names), "each of them was judged"
    honest = {name for name in names if known[name].status == ("ok",)}
    assert {name for name, verdict in found.items() if verdict.status is Status.OK} == honest
    assert final.winner is not None and final.winner.scored.path[-1] in honest


def _again(judge: Judge, store: Store) -> Judge:
    """The same questions with fresh inputs."""
    return Judge(judge._evaluator, judge.job, 0, store, "confirm")
