"""Three solvers that share nothing but the problem page give the same answers; the verifier accepts each schedule."""

from __future__ import annotations

import pytest

from ir.schedule import Status
from tests.twill.differential.compare import problem_of, run
from twill.problem.check import check
from twill.problem.problem import Family

# The last ones are problems that a solver has once got wrong.
QUICK = (*range(55), 81, 87, 826, 1279, 1394, 1671)
# 2,010 of them are well formed.
SLOW = range(2060)


def test_solvers_agree() -> None:
    tally = run(QUICK)
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.statuses[Status.OPTIMAL] > 20
    assert tally.statuses[Status.INFEASIBLE] > 5


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_solvers_agree_on_many() -> None:
    tally = run(SLOW)
    assert not tally.faults, "\n".join(tally.faults)
    assert min(tally.features[f"relaxed {family}"] for family in Family) > 0
    assert min(tally.features.values()) > 5
    assert tally.statuses[Status.OPTIMAL] > 1000


def test_most_problems_are_well_formed() -> None:
    assert sum(bool(check(problem_of(seed))) for seed in range(100)) < 30
