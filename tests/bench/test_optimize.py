"""The table of searches: its tasks exist, rows say what they should, and a search that was kept is read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.optimize import SUBJECTS, Row, Step, _cells, _file, _task, main

ROW = Row(
    name="transpose",
    goal=2.0,
    baseline_us=120.0,
    baseline_limiter="l1",
    winner_us=60.0,
    key="k",
    way=(Step("transpose-tile:32", 60.0, "dram"),),
    written="transpose:padded",
    written_us=66.0,
    evaluations=3,
    passed=2,
    seconds=1.0,
)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.name)
def test_every_subject_is_a_task_and_so_is_what_it_is_compared_with(subject) -> None:
    task, _, variant = subject.task.partition(":")
    assert _file(task).is_file()
    for name in (subject.task, *subject.written):
        assert _task(name).sizes["report"]
    assert not variant or _task(subject.task).variant_name == variant


def test_a_row_tells_the_way_and_compares_with_what_people_wrote() -> None:
    cells = _cells(ROW)
    assert cells[:4] == ("transpose", "120", "60", "2.00x")
    assert cells[-1] == "(l1)\ntranspose-tile:32 60 us (dram)"
    assert "1.10" in cells


def test_a_row_without_a_winner_or_with_two_has_not_reached_its_goal() -> None:
    assert ROW.is_reached
    assert not Row(**{**vars(ROW), "winner_us": None, "key": None}).is_reached
    assert not Row(**{**vars(ROW), "is_same": False}).is_reached


@pytest.mark.slow
def test_a_search_that_was_kept_is_read_again(tmp_path: Path) -> None:
    arguments = ["--tasks", "matvec", "--budget", "2", "--workers", "1", "--runs", str(tmp_path), "--json"]
    first, second = (CliRunner().invoke(main, arguments) for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    (one,), (other,) = (json.loads(r.stdout) for r in (first, second))
    assert one["key"] == other["key"]
    assert one["speedup"] > 2.0


def test_a_name_that_no_task_has_is_refused(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["--tasks", "nonsense", "--runs", str(tmp_path)])
    assert found.exit_code == 2 and "known: matvec" in found.output
