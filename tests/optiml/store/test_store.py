"""The store: what was kept comes back, each event whole or not at all, and no other file is taken for a run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir.diagnostics import Diagnostic, Location, UserError
from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.store.store import StepRow, Store
from optiml.verdict import HotLine, Metrics, SizeTime, Status, Verdict

ROOT = Path(__file__).parents[3]
TEXTS = st.text(max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
OVERRIDES = st.dictionaries(
    TEXTS, st.one_of(st.integers(), st.booleans(), TEXTS, st.lists(TEXTS, max_size=2)), max_size=3
)
CANDIDATES = st.builds(Candidate, st.sampled_from(["cuda", "triton"]), TEXTS, OVERRIDES)
TIMES = st.builds(SizeTime, st.dictionaries(TEXTS, st.integers(), max_size=2), NUMBERS, NUMBERS, NUMBERS)
METRICS = st.builds(
    Metrics,
    kind=st.sampled_from(["modelled", "measured"]),
    times=st.lists(TIMES, min_size=1, max_size=3).map(tuple),
    limiter=TEXTS,
    busy=st.dictionaries(TEXTS, NUMBERS, max_size=2),
    registers=st.integers(0, 255),
    occupancy=NUMBERS,
    counters=st.dictionaries(TEXTS, NUMBERS, max_size=2),
    error_percent=st.none() | NUMBERS,
    hot=st.lists(st.builds(HotLine, TEXTS, NUMBERS, TEXTS, NUMBERS, st.none() | NUMBERS), max_size=2).map(tuple),
)
DIAGNOSTICS = st.builds(Diagnostic, TEXTS, TEXTS, st.none() | st.builds(Location, TEXTS, st.integers(0, 9)), TEXTS)
VERDICTS = st.builds(
    Verdict, st.sampled_from(Status), TEXTS, TEXTS, st.lists(DIAGNOSTICS, max_size=2).map(tuple), st.none() | METRICS
)
EDITS = st.lists(st.builds(Edit, TEXTS, TEXTS, TEXTS, CANDIDATES, TEXTS), max_size=4)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3), CANDIDATES, VERDICTS, EDITS)
def test_what_was_kept_comes_back(
    facts: dict[str, object], candidate: Candidate, verdict: Verdict, edits: list[Edit]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.optiml"
        with Store.create(path, {}) as store:
            store.state(facts)
            store.keep_verdict(candidate, "search", verdict)
            store.keep_proposal(0, candidate.key, edits)
        with Store.open(path) as store:
            assert store.facts() == facts
            assert store.verdict(candidate.key, "search") == verdict
            assert store.verdict(candidate.key, "confirm") is None
            assert store.candidate(candidate.key).key == candidate.key
            found = store.proposal(0)
            assert found is not None and found[0] == candidate.key
            assert [(e.tag, e.why, e.result.key) for e in found[1]] == [(e.tag, e.why, e.result.key) for e in edits]
            assert store.proposal(1) is None


def test_steps_come_back_in_order(tmp_path: Path) -> None:
    rows = [StepRow(n, f"k{n}", "root", "tag", "dram", "why", "rules", n / 3, float(n)) for n in range(5)]
    with Store.create(tmp_path / "r", {}) as store:
        for row in reversed(rows):
            store.keep_step(row)
        assert store.steps() == tuple(rows)
        assert store.step(3) == rows[3]
        assert store.step(9) is None


def test_an_event_that_fails_leaves_nothing(tmp_path: Path) -> None:
    candidate = Candidate("triton", "A = 1")
    with Store.create(tmp_path / "r", {}) as store:
        store.keep_proposal(0, "key", [])
        with pytest.raises(sqlite3.IntegrityError):
            store.keep_proposal(0, "key", [Edit("t", "", "", candidate, "p")])
        assert store.keys() == []


def test_a_reader_sees_whole_events_while_a_run_goes_on(tmp_path: Path) -> None:
    with Store.create(tmp_path / "r", {}) as writer:
        writer.state({"seed": 1})
        with Store.open(tmp_path / "r") as reader:
            assert reader.facts() == {"seed": 1}
            writer.state({"seed": 2})
            assert reader.facts() == {"seed": 2}


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    Store.create(tmp_path / "r", {}).close()
    with pytest.raises(UserError, match="run-exists"):
        Store.create(tmp_path / "r", {})


@pytest.mark.parametrize("content", [b"", b"text of some kind, longer than a page header " * 50])
def test_another_file_is_no_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(UserError, match="no-run"):
        Store.open(tmp_path / "r")


def test_a_missing_file_and_a_missing_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing-file"):
        Store.open(tmp_path / "r")
    with pytest.raises(UserError, match="bad-folder"):
        Store.create(tmp_path / "none" / "r", {})


WRITER = """
    import sys
    from pathlib import Path
    from optiml.candidate import Candidate
    from optiml.edit import Edit
    from optiml.store.store import StepRow, Store
    with Store.create(Path(sys.argv[1]), {}) as store:
        print("begun", flush=True)
        for n in range(100_000):
            edits = [Edit(f"{n}:{i}", "", "", Candidate("triton", f"A = {n}, {i}"), "p") for i in range(3)]
            store.keep_proposal(n, f"k{n}", edits)
            store.keep_step(StepRow(n, edits[0].result.key, "root", edits[0].tag, "", "", "p", 0.0, 0.0))
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.2])
def test_a_kill_leaves_whole_events(tmp_path: Path, delay_s: float) -> None:
    path = tmp_path / "r"
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"begun\n"
    time.sleep(delay_s)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    with Store.open(path) as store:
        steps = store.steps()
        assert [s.number for s in steps] == list(range(len(steps)))
        for step in steps:
            found = store.proposal(step.number)
            assert found is not None
            assert found[1][0].result.key == step.key
            assert store.candidate(step.key)


def test_a_run_that_was_killed_before_it_had_a_table_is_begun_anew(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "r")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with Store.create(tmp_path / "r", {"seed": 3}) as store:
        assert store.facts() == {"seed": 3}
