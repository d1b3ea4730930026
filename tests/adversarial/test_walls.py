"""Without bubblewrap Landlock, seccomp and limits hold alone: what reaches out is refused all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from optiml.isolate import bubblewrap, landlock, seccomp
from tests.adversarial.fixtures import Fixture, fixtures
from tests.adversarial.judging import Court

KINDS = ("stolen keys", "leftover files", "the network", "another program", "attacks on the process's memory",
         "reading files through the compiler", "branching on the harness", "a fork bomb")  # fmt: skip
OUTWARD = [f for f in fixtures("hostile") if f.kind in KINDS and f.name != "threads.py"]
pytestmark = pytest.mark.skipif(
    not (landlock.version() and seccomp.is_available()), reason="there is no such wall here"
)


def test_every_kind_that_reaches_out_has_a_kernel() -> None:
    assert {f.kind for f in OUTWARD} == set(KINDS)


@pytest.fixture(scope="module")
def court() -> Iterator[Court]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(bubblewrap.OFF, "1")
        court = Court()
        yield court
        court.close()


@pytest.mark.slow
@pytest.mark.parametrize("fixture", OUTWARD, ids=lambda f: f.name)
def test_the_inner_wall_holds_alone(court: Court, fixture: Fixture) -> None:
    assert not bubblewrap.prefix()
    verdict = court.end(court.begin(fixture))
    assert str(verdict.status) in fixture.status and re.search(fixture.says, verdict.evidence), verdict.evidence
