"""Every hostile kernel is refused for its reason, and every honest one is accepted, by the cascade of a search."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from backends.machines import load_machine
from optiml.evaluate.questions import guarded
from optiml.isolate import landlock, seccomp
from optiml.verdict import Status, Verdict
from tests.adversarial.fixtures import HERE, Fixture, fixtures, task_of
from tests.adversarial.judging import TARGET, Court

pytestmark = pytest.mark.skipif(
    not (landlock.version() and seccomp.is_available()), reason="Python of candidates is not run without a sandbox"
)
TASKS = sorted(path.name for path in (HERE / "tasks").iterdir() if path.is_dir())


def _parameters(folder: str) -> list[object]:
    slow = pytest.mark.slow
    return [pytest.param(f, id=f.name, marks=slow if f.is_slow else ()) for f in fixtures(folder)]


@pytest.fixture(scope="module")
def court() -> Iterator[Court]:
    court = Court()
    yield court
    court.close()


def _verdict(court: Court, fixture: Fixture) -> Verdict:
    return court.end(court.begin(fixture))


@pytest.mark.parametrize("fixture", _parameters("hostile"))
def test_a_hostile_kernel_is_refused_for_its_reason(court: Court, fixture: Fixture) -> None:
    verdict = _verdict(court, fixture)
    assert str(verdict.status) in fixture.status, verdict.evidence
    assert re.search(fixture.says, verdict.evidence), verdict.evidence
    assert not verdict.is_ok and verdict.time_us is None


@pytest.mark.parametrize("fixture", _parameters("honest"))
def test_an_honest_kernel_is_accepted(court: Court, fixture: Fixture) -> None:
    verdict = _verdict(court, fixture)
    assert verdict.status is Status.OK, f"{verdict.stage}: {verdict.evidence}"
    assert verdict.metrics is not None and verdict.metrics.time_us > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_baselines_are_right_and_touch_all_of_their_data(court: Court, name: str) -> None:
    verdict = court.baseline(name)
    assert verdict.is_ok and verdict.metrics is not None, verdict.evidence
    assert guarded(court.question(name), task_of(name), load_machine(TARGET), verdict.metrics) == court.job(name)


def test_the_suite_is_as_large_as_it_says() -> None:
    hostile, honest = fixtures("hostile"), fixtures("honest")
    assert len(hostile) >= 45 and len(honest) >= 66
    assert {f.file.suffix for f in hostile} == {f.file.suffix for f in honest} == {".cu", ".py"}
    assert not [f.name for f in hostile if "ok" in f.status or not f.says or not f.does]
    assert len({f.kind for f in hostile}) >= 30
