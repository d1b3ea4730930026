"""The memory: records come back, like kernels are found, a broken or busy file loses no run, questions keep answers."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ir.diagnostics import UserError
from ir.task import load_task
from optiml.candidate import Candidate, candidate_of
from optiml.cli.main import optiml
from optiml.memory.features import features, likeness
from optiml.memory.file import UNUSABLE, MemoryFile, memory_path
from optiml.memory.offer import Offer, Remembered, chosen, worth
from optiml.memory.record import Record, record_document, record_of
from optiml.memory.session import begin, end
from optiml.memory.words import as_text

ROOT = Path(__file__).parents[3]
LIKE = {"loops:()": 1.0}
UNLIKE = {"call:dot": 1.0}


def record(tag: str = "unroll:i=4", speedup: float = 2.0, **changes: object) -> Record:
    made = Record(
        task="t", name="bowl", language="cuda", architecture="sm_80", tag=tag, proposer="rules", aimed_at="dram",
        limiter_before="dram", limiter_after="issue", speedup=speedup, kind="modelled", before="a",
        after=f"{tag} {speedup}", diff="-x\n+y", features=LIKE,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def kernel(name: str) -> dict[str, float]:
    task = load_task(ROOT / "kernels" / f"{name}.toml")
    return dict(features(candidate_of(task), task))


# Records.


def test_a_record_comes_back() -> None:
    assert record_of(json.loads(json.dumps(record_document(record())))) == record()


@pytest.mark.parametrize(
    "change",
    [{"speedup": -1.0}, {"speedup": "2"}, {"tag": None}, {"features": []}, {"features": {"a": "b"}}, {"more": 1}],
)
def test_another_form_is_no_record(change: dict[str, object]) -> None:
    with pytest.raises(UserError, match="bad-record"):
        record_of({**record_document(record()), **change})
    with pytest.raises(UserError, match="bad-record"):
        record_of([])


# Features.


def test_kernels_that_work_alike_are_alike() -> None:
    a_thread_a_row = [kernel(n) for n in ("matvec/task", "softmax_cuda/naive", "layer_norm_cuda/naive")]
    other = kernel("histogram/task")
    for one in a_thread_a_row:
        assert all(likeness(one, rival) > likeness(one, other) + 0.1 for rival in a_thread_a_row)


@pytest.mark.parametrize("name", ["sgemm/task", "softmax_cuda/task", "gemm/task", "attention_forward/task"])
def test_comments_and_layout_change_nothing(name: str) -> None:
    task = load_task(ROOT / "kernels" / f"{name}.toml")
    candidate = candidate_of(task)
    mark = "//" if candidate.language == "cuda" else "#"
    commented = Candidate(candidate.language, f"{mark} x\n{candidate.source}\n\n{mark} for (;;) y")
    assert features(commented, task) == features(candidate, task)
    assert likeness(features(candidate, task), features(candidate, task)) == 1.0


def test_only_what_the_entry_reaches_counts() -> None:
    task = load_task(ROOT / "kernels" / "transpose" / "task.toml")
    candidate = candidate_of(task)
    more = candidate.source + "\n__global__ void other(float* x) { for (;;) { x[0] = expf(x[1]); __syncthreads(); } }\n"
    assert features(Candidate("cuda", more), task) == features(candidate, task)


def test_shared_memory_and_nests_are_seen() -> None:
    found = kernel("softmax_cuda/task")
    assert {"declares:shared", "loops:(())", "call:__syncthreads", "read:global", "write:global"} <= found.keys()
    assert {"loops:()", "call:dot", "call:load"} <= kernel("gemm/task").keys()


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.sampled_from(["cuda", "triton"]))
def test_any_text_has_features(text: str, language: str) -> None:
    task = load_task(ROOT / "kernels" / ("transpose" if language == "cuda" else "gemm"))
    found = features(Candidate(language, text), task)
    assert 0.0 <= likeness(found, kernel("transpose/task")) <= 1.0


# Offers.


def test_what_is_chosen_is_alike_and_in_one_order() -> None:
    records = [record("a"), record("b", features=UNLIKE), record("d", speedup=4.0)]
    found = chosen(records, LIKE)
    assert [r.tag for r in found] == ["d", "a"]
    assert chosen(records[::-1], LIKE) == found


def test_the_same_limiter_and_machine_weigh_more() -> None:
    about = Offer((record("a", limiter_before="fma"), record("b"), record("c", architecture="sm_90"))).about(
        LIKE, "dram", "sm_80"
    )
    assert [(m.record.tag, m.weight) for m in about] == [("b", 1.0), ("c", 0.8), ("a", 0.5)]
    assert Offer().about(LIKE, "dram", "sm_80") == ()


def test_worth_is_drawn_to_nothing_by_little_evidence() -> None:
    def known(*records: Record) -> list[Remembered]:
        return [Remembered(r, 1.0) for r in records]

    assert worth("unroll:i=4", []) == worth("pad:x", known(record())) == 0.0
    once = worth("unroll:i=4", known(record()))
    often = worth("unroll:i=4", known(record(), record(after="b"), record(after="c")))
    assert 0 < worth("unroll:i=8", known(record())) < once < often < log(2.0)
    assert worth("unroll:i=4", known(record(speedup=0.5))) < 0


def test_records_are_told_in_words() -> None:
    memory = Offer((record("a", 1.01), record("b", 4.0), record("c", 0.5))).about(LIKE, "dram", "sm_80")
    text = as_text(memory, most=2)
    assert text.splitlines() == [
        "- b made bowl 4.00x faster on sm_80 (modelled); limiter dram -> issue; likeness 1.00",
        "- c made bowl 2.00x slower on sm_80 (modelled); limiter dram -> issue; likeness 1.00",
    ]
    assert "    +y" in as_text(memory, most=1, with_diffs=True) and as_text(()) == ""


# The file.


@pytest.fixture
def file(tmp_path: Path) -> MemoryFile:
    return MemoryFile(tmp_path / "folder" / "memory.sqlite")


def test_where_the_file_is() -> None:
    assert memory_path({"OPTIML_MEMORY_FILE": "/a/b"}) == Path("/a/b")
    assert memory_path({"XDG_DATA_HOME": "/d"}) == Path("/d/optiml/memory.sqlite")
    assert memory_path({}) == Path.home() / ".local/share/optiml/memory.sqlite"


def test_records_are_kept_once(file: MemoryFile) -> None:
    assert file.records() == () and not file.path.exists()
    assert file.add([record(), record("b", language="triton")]) == 2
    assert file.add([record(), record("c")]) == 1
    assert [r.tag for r in file.records()] == ["unroll:i=4", "b", "c"]
    assert [r.tag for r in file.records("triton")] == ["b"]
    assert file.add([]) == 0
    assert file.clear() == 3 and file.records() == () and file.clear() == 0


def test_a_question_is_answered_from_the_same_records_again(file: MemoryFile) -> None:
    file.add([record("a"), record("t", language="triton")])
    first = file.offered("q", "cuda", lambda rs: rs)
    file.add([record("b")])
    assert file.offered("q", "cuda", lambda rs: rs) == first == (record("a"),)
    assert file.offered("other", "cuda", lambda rs: rs) == (record("a"), record("b"))
    file.clear()
    assert file.offered("q", "cuda", lambda rs: rs) == ()


BROKEN = {
    "no database": lambda path: path.write_bytes(b"not a database, but longer than a header " * 40),
    "a folder": lambda path: path.mkdir(parents=True),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "another version": lambda path: _execute(path, "PRAGMA user_version = 7"),
    "a bad record": lambda path: _execute(path, "UPDATE records SET record = '{}'"),
    "no table": lambda path: _execute(path, "DROP TABLE records"),
    "no JSON": lambda path: _execute(path, "UPDATE records SET record = 'x'"),
}


def _execute(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_a_problem_and_no_end(file: MemoryFile, how: str) -> None:
    if how not in ("a folder", "no database"):
        file.add([record(str(n)) for n in range(40)])
    file.path.parent.mkdir(exist_ok=True)
    BROKEN[how](file.path)
    with pytest.raises(UserError, match=UNUSABLE):
        file.offered("q", "cuda", lambda rs: rs)
    session = begin("q", "cuda", LIKE, file.path)
    assert session.offer == Offer() and session.problem is not None and session.problem.rule == UNUSABLE
    problem = end([record("new")], file.path)
    assert problem is None or problem.rule == UNUSABLE


@pytest.mark.parametrize("how", ["no database", "a bad record", "another version"])
def test_a_broken_file_can_be_cleared(file: MemoryFile, how: str) -> None:
    if how != "no database":
        file.add([record()])
    file.path.parent.mkdir(exist_ok=True)
    BROKEN[how](file.path)
    file.clear()
    assert file.add([record("new")]) == 1 and [r.tag for r in file.records()] == ["new"]


def test_a_file_that_another_one_holds_is_a_problem(file: MemoryFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.add([record()])
    monkeypatch.setattr("optiml.memory.file._WAIT_S", 0.05)
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    problem = end([record("b")], file.path)
    assert problem is not None and "locked" in problem.message
    with pytest.raises(UserError, match=UNUSABLE):
        file.clear()
    other.execute("ROLLBACK")
    other.close()
    assert end([record("b")], file.path) is None and len(file.records()) == 2


WRITER = """
    import sys
    from pathlib import Path
    from optiml.memory.file import MemoryFile
    from tests.optiml.memory.test_memory import record
    file = MemoryFile(Path(sys.argv[1]))
    for n in range(20):
        file.add([record(f"{sys.argv[2]}:{n}"), record(f"both:{n}")])
        file.offered(f"q{n}", "cuda", lambda records: records)
"""


def test_several_runs_write_at_once(file: MemoryFile) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(file.path)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("a", "b", "c")]
    assert [w.wait(timeout=120) for w in writers] == [0, 0, 0]
    expected = sorted(f"{writer}:{n}" for writer in ("a", "b", "c", "both") for n in range(20))
    assert sorted(r.tag for r in file.records()) == expected


# The command.


def run(*arguments: str) -> str:
    found = CliRunner().invoke(optiml, ["memory", *arguments], standalone_mode=False, catch_exceptions=False)
    assert found.return_value == 0
    return found.output


def test_the_command_lists_exports_and_clears(
    file: MemoryFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIML_MEMORY_FILE", str(file.path))
    assert "0 records" in run("list")
    file.add([record("a"), record("b", name="other")])
    assert "2 records" in run("list") and "a made bowl 2.00x faster" in run("list")
    assert "a made" not in run("list", "--task", "other")
    document = json.loads(run("list", "--json"))
    run("export", str(tmp_path / "all.json"))
    assert json.loads((tmp_path / "all.json").read_text()) == document and len(document["records"]) == 2
    assert "2 records forgotten" in run("clear") and file.records() == ()
