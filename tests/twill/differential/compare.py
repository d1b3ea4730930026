"""Several solvers on one problem: do they agree on the status and on every level, and does the verifier accept each?

As a program: `python -m tests.twill.differential.compare --count 2000` prints what it met, and one line a disagreement.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ir.schedule import Schedule, Status
from tests.twill.differential.generate import random_problem
from twill.problem.check import check, is_negative_answer
from twill.problem.problem import Problem
from twill.problem.verify import verify
from twill.solve.brute import Brute
from twill.solve.cpsat import CpSat
from twill.solve.protocol import Limits
from twill.solve.smt_search import Search

TIME_S = 60.0
Solve = Callable[[Problem], Schedule]

# The SMT search is called in this process: a worker for each instance would take longer than the instance.
SOLVERS: Mapping[str, Solve] = {
    "smt": lambda problem: Search(problem, Limits(time_s=TIME_S)).run(),
    "cpsat": lambda problem: CpSat().solve(problem, Limits(time_s=TIME_S, workers=1)),
    "brute": lambda problem: Brute().solve(problem, Limits(time_s=TIME_S)),
}
PROVEN = (Status.OPTIMAL, Status.INFEASIBLE)


@dataclass(frozen=True)
class Comparison:
    """What the solvers said of one problem."""

    problem: Problem
    answers: Mapping[str, Schedule]

    def faults(self) -> Iterator[str]:
        """Disagreements, invalid schedules, and answers that are no proof."""
        for name, answer in self.answers.items():
            yield from (f"{name}: {finding.render()}" for finding in verify(answer, self.problem))
            if answer.status not in PROVEN:
                yield f"{name}: {answer.status}: {answer.message}"
        if len({outcome(answer) for answer in self.answers.values()}) > 1:
            said = (f"{name} {' '.join(map(str, outcome(answer)))}" for name, answer in self.answers.items())
            yield f"they disagree: {'; '.join(said)}"
        impossible = [finding.rule for finding in check(self.problem)]
        if impossible and any(answer.status is not Status.INFEASIBLE for answer in self.answers.values()):
            yield f"the check calls it impossible ({', '.join(impossible)}), a solver does not"


def outcome(answer: Schedule) -> tuple[object, ...]:
    """Status and, level by level, the values reached."""
    return (str(answer.status), *(level.value for level in answer.certificate.levels))


def compare(problem: Problem, names: tuple[str, ...]) -> Comparison:
    """Ask these solvers."""
    return Comparison(problem, {name: SOLVERS[name](problem) for name in names})


def problem_of(seed: int) -> Problem:
    """The problem of a seed: one in five a modulo problem, one in three small enough for brute force."""
    return random_problem(seed, joint=seed % 5 != 0, max_ops=3 if seed % 3 == 0 else 6)


def solvers_of(seed: int) -> tuple[str, ...]:
    """Brute force joins where the problem is small."""
    return ("smt", "cpsat", "brute") if seed % 3 == 0 else ("smt", "cpsat")


def features(problem: Problem) -> Iterator[str]:
    """What the problem has, so that a run can show that it met every family."""
    graph, machine, joint = problem.graph, problem.machine, problem.joint
    pins = problem.pins
    facts = {
        "modulo": not joint,
        "smem": joint and machine.smem_bytes is not None and any(op.smem_bytes for op in graph.ops),
        "tmem": joint and machine.tmem_columns is not None and any(op.tmem_columns for op in graph.ops),
        "registers": joint and machine.registers_per_sm is not None and any(op.registers for op in graph.ops),
        "load group": joint and problem.has_load_group,
        "no specialization": joint and not machine.warp_specialization,
        "hand-off": joint and any(graph.by_name[e.source].handoff_cycles for e in graph.edges),
        "register hand-off forbidden": joint and problem.forbid_register_handoff,
        "blocking": joint and machine.wait_cycles > 0 and any(e.blocking for e in graph.edges),
        "in place": joint and any(e.in_place for e in graph.edges),
        "invariants": joint and bool(graph.invariants),
        "distance": any(e.distance for e in graph.edges),
        "several of a unit": max(machine.units.values()) > 1,
        "long occupancy": any(op.occupancy_cycles > 3 for op in graph.ops),
        "streaming": any(op.streaming for op in graph.ops),
        "pinned groups": bool(pins.groups),
        "pinned stages": bool(pins.stages),
        "pinned order": bool(pins.orders),
        "pinned II": pins.ii_cycles is not None,
        "no stage cap": problem.max_stages is None,
        **{f"relaxed {family}": True for family in problem.relaxed},
    }
    yield from (name for name, there in facts.items() if there)


@dataclass
class Tally:
    """What a run met."""

    statuses: Counter[str]
    features: Counter[str]
    seconds: Counter[str]
    faults: list[str]


def run(seeds: Iterable[int], progress: Callable[[str], None] = lambda _line: None) -> Tally:
    """Compare on every seed whose problem is well formed; `progress` gets each fault, and a line now and then."""
    tally = Tally(Counter(), Counter(), Counter(), [])
    for seed in seeds:
        problem = problem_of(seed)
        if not all(map(is_negative_answer, check(problem))):
            tally.statuses["not well formed"] += 1
            continue
        started = time.monotonic()
        compared = compare(problem, solvers_of(seed))
        tally.seconds[" + ".join(compared.answers)] += time.monotonic() - started  # type: ignore[assignment]
        tally.statuses[compared.answers["smt"].status] += 1
        tally.features.update(features(problem))
        faults = [f"seed {seed}: {fault}" for fault in compared.faults()]
        tally.faults += faults
        for line in faults if seed % 100 else [*faults, f"seed {seed}: {len(tally.faults)} faults so far"]:
            progress(line)
    return tally


def main() -> int:
    """Print the tally; 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    tally = run(seeds, lambda line: print(line, file=sys.stderr, flush=True))
    for title, counts in (("answers", tally.statuses), ("features", tally.features), ("seconds", tally.seconds)):
        print(title + ":", ", ".join(f"{name} {count:.4g}" for name, count in counts.most_common()))
    print("faults:", len(tally.faults))
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
