"""The report of a run: whole pages that load nothing, every step in them, hostile text harmless, plain words."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from optiml.candidate import Candidate
from optiml.cli.main import optiml
from optiml.edit import Edit
from optiml.memory.record import record_document
from optiml.report.changes import changes
from optiml.report.curve import best_so_far, curve, points
from optiml.report.page import run_html
from optiml.report.story import story
from optiml.report.tree import tree
from optiml.store.reading import Reading, read_run
from optiml.store.store import StepRow, Store
from optiml.verdict import HotLine, Metrics, SizeTime, Status, failed
from tests.optiml.landscape import baseline, bowl, passed, program, search
from tests.optiml.memory.test_memory import record

VOID = {"meta", "br", "link", "img", "input", "hr"}
# Elements that make a browser fetch something.
FETCHING = {"link", "img", "iframe", "object", "embed", "audio", "video", "source", "base", "form"}
SETTINGS = {"task": "kernels/bowl/task.toml", "target": "a100", "strategy": "mcts", "proposer": "steps", "seed": 0}
TASK = {"name": "bowl", "entry": "f", "launch": {"grid": ["N"], "block": [32]}}
EVIL = '</script></style></pre><script>alert("1")</script><img src=x onerror=alert(1)>&<\'"'


class Checker(HTMLParser):
    """Checks nesting, collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: Counter[str] = Counter()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def begun(path: Path, strategy: str = "mcts", **facts: Any) -> Path:
    """A search over made-up programs that has no end yet."""
    search(path, strategy, seed=0)
    with Store.open(path) as store:
        store.state({"settings": SETTINGS, "task": TASK, "environment": {"versions": {"numpy": "2"}}, **facts})
        store.keep_verdict(program(0, 0), "baseline", baseline(0, 0).verdict)
    return path


def finished(path: Path, strategy: str = "mcts") -> Path:
    """The same with the winner examined again."""
    begun(path, strategy)
    best = read_run(path).best
    with Store.open(path) as store:
        store.keep_verdict(program(0, 0), "confirm", bowl((0, 0)))
        store.keep_verdict(store.candidate(best or ""), "confirm", bowl((3, 3)))
        store.state({"winner": best, "ended": "evaluations"})
    return path


def without_winner(path: Path) -> Path:
    begun(path)
    with Store.open(path) as store:
        store.state({"winner": None, "ended": "exhausted"})
    return path


def without_steps(path: Path) -> Path:
    with Store.create(path, {"settings": SETTINGS, "digest": "d"}) as store:
        store.keep_verdict(program(0, 0), "baseline", baseline(0, 0).verdict)
    return path


def without_baseline(path: Path) -> Path:
    Store.create(path, {"settings": SETTINGS, "digest": "d"}).close()
    return path


def one_step(path: Path, old: Candidate, edit: Edit, verdict: Any) -> Reading:
    """A run of a single step."""
    with Store.create(path, {"settings": SETTINGS}) as store:
        store.keep_verdict(old, "baseline", passed(10.0))
        store.keep_verdict(edit.result, "search", verdict)
        store.keep_step(StepRow(0, edit.result.key, old.key, edit.tag, edit.limiter, edit.why, edit.proposer, 0.1, 1.0))
    return read_run(path)


RUNS = {f.__name__: f for f in (begun, finished, without_winner, without_steps, without_baseline)}


@pytest.fixture(params=RUNS)
def reading(request: pytest.FixtureRequest, tmp_path: Path) -> Reading:
    return read_run(RUNS[request.param](tmp_path / "r.optiml"))


def test_every_kind_of_run_has_a_whole_page_with_nothing_from_elsewhere(reading: Reading) -> None:
    text = run_html(reading)
    page = Checker(text)
    assert not re.search(r"(?:https?:)?//[\w.-]+\.\w|@import|url\((?!#)", text)
    assert not FETCHING & set(page.tags)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "action") or a[1].startswith("on")]
    assert "modelled, not measured" in page.text
    assert all(sentence in page.text for sentence in story(reading))


def test_every_kind_of_run_is_shown_and_reported(reading: Reading) -> None:
    out = reading.path.with_name("out") / "page.html"
    found = CliRunner().invoke(optiml, ["report", str(reading.path), "--out", str(out)], standalone_mode=False)
    assert found.return_value == 0 and f"wrote {out}" in found.output
    assert out.read_text() == run_html(reading)
    shown = CliRunner().invoke(optiml, ["show", str(reading.path)], standalone_mode=False)
    assert shown.return_value == 0 and story(reading)[0] in shown.output


@pytest.mark.parametrize("strategy", ["mcts", "best-of-n", "greedy", "random"])
def test_every_step_is_in_the_tree_once_below_the_program_that_it_changed(tmp_path: Path, strategy: str) -> None:
    reading = read_run(finished(tmp_path / "r.optiml", strategy))
    above: list[str] = [reading.root or ""]
    seen = []
    for mark in tree(reading):
        if mark.branch is None:
            above.pop()
            continue
        seen.append(mark.branch.step.number)
        assert mark.branch.step.parent == above[-1]
        if mark.kind == "open":
            above.append(mark.branch.step.key)
    assert above == [reading.root]
    assert sorted(seen) == [s.number for s in reading.steps] and len(seen) >= 20
    marked = [m.branch.step for m in tree(reading) if m.branch and m.branch.is_on_way]
    assert tuple(marked) == reading.way(reading.best or "") and marked


def test_a_tree_of_any_depth_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "r.optiml"
    depth = 700
    with Store.create(path, {"settings": SETTINGS}) as store:
        store.keep_verdict(program(0), "baseline", passed(1e4))
        for n in range(depth):
            store.keep_verdict(program(n + 1), "search", passed(1e4 - n))
            store.keep_step(StepRow(n, program(n + 1).key, program(n).key, f"t:{n}", "dram", "", "p", 0.0, 0.0))
    page = Checker(run_html(read_run(path)))
    assert page.tags["details"] == depth - 1
    assert f"{depth} edits led there" in page.text


def test_failures_say_why(tmp_path: Path) -> None:
    page = Checker(run_html(read_run(begun(tmp_path / "r.optiml"))))
    assert "failed at verify\na multiple of seven" in page.text
    assert "gave wrong results" in page.text


def test_hostile_text_is_only_text(tmp_path: Path) -> None:
    old = Candidate("triton", "A = 1", {EVIL: EVIL})
    hot = (HotLine(EVIL, 0.5, EVIL, 0.5),)
    metrics = Metrics("modelled", (SizeTime({EVIL: 1}, 5.0, 5.0, 5.0),), EVIL, EVIL, {EVIL: 0.5}, counters={EVIL: 1.0},
                      kernel_class=EVIL, hot=hot)  # fmt: skip
    edit = Edit(EVIL, EVIL, EVIL, Candidate("triton", f"A = 2 # {EVIL}", {EVIL: [EVIL]}), EVIL)
    verdict = replace(passed(5.0), metrics=metrics)
    page = Checker(run_html(one_step(tmp_path / "r.optiml", old, edit, verdict)))
    assert page.tags["script"] == 1 and page.tags["style"] == 1 and not page.tags["img"]
    assert not [a for a in page.attributes if a[1].startswith("on")]
    assert f"+A = 2 # {EVIL}" in page.text

    broken = Edit(EVIL, EVIL, EVIL, Candidate("triton", "A = 3"), EVIL)
    page = Checker(run_html(one_step(tmp_path / "s.optiml", old, broken, failed(Status.CRASH, EVIL, EVIL))))
    assert page.tags["script"] == 1 and EVIL in page.text


def test_the_page_tells_launch_settings_and_what_was_remembered(tmp_path: Path) -> None:
    known = record_document(record(EVIL, 2.0))
    page = Checker(run_html(read_run(begun(tmp_path / "r.optiml", memory=[known] * 20))))
    assert "and 8 more" in page.text
    for text in ("launch.block", "[32]", "strategy", "versions.numpy", f"{EVIL} made bowl 2.00x faster on sm_80"):
        assert text in page.text


def test_a_finalist_whose_whole_result_is_wrong_is_shown_so(tmp_path: Path) -> None:
    path = finished(tmp_path / "r.optiml")
    best = read_run(path).best or ""
    with Store.open(path) as store:
        wrong = failed(Status.WRONG_RESULT, "verify", "a corner")
        store.keep_verdict(store.candidate(best), "whole", wrong)
        store.keep_verdict(program(0, 0), "whole", bowl((0, 0)))
        store.state({"winner": None})
    reading = read_run(path)
    assert reading.confirmed[best] == wrong and reading.confirmed[reading.root or ""].is_ok
    text = Checker(run_html(reading)).text
    assert "wrong-result" in text.partition("Examined again")[2].partition("Search tree")[0]


def test_every_failure_has_words(tmp_path: Path) -> None:
    for status in Status:
        if status is not Status.OK:
            old, edit = Candidate("triton", "A = 1"), Edit("t", "", "", Candidate("triton", "A = 2"), "p")
            told = story(one_step(tmp_path / status, old, edit, failed(status, "stage", "")))
            assert any(sentence.startswith("1 program tried: 0 passed") for sentence in told)


def test_a_page_is_the_same_twice(tmp_path: Path) -> None:
    path = finished(tmp_path / "r.optiml")
    assert run_html(read_run(path)) == run_html(read_run(path))


def test_each_step_has_its_diff_with_overrides_and_evidence(tmp_path: Path) -> None:
    old, new = Candidate("triton", "A = 1\nB = 2"), Candidate("triton", "A = 1\nB = 3", {"launch.num_warps": 8})
    verdict = passed(4.0, "issue")
    page = Checker(run_html(one_step(tmp_path / "r.optiml", old, Edit("t:1", "dram", "It helps.", new, "p"), verdict)))
    for text in ("-B = 2", "+B = 3", "-launch.num_warps as in the task file", "+launch.num_warps = 8", "It helps."):
        assert text in page.text
    assert "Aimed at dram, proposed by p" in page.text
    assert "Limited by dram before, by issue after." in page.text


def test_changes_are_judged_by_what_costs() -> None:
    def metrics(time_us: float, **counters: float) -> Metrics:
        time = SizeTime({"N": 1}, time_us, time_us, time_us)
        return Metrics("modelled", (time,), "dram", registers=int(time_us), counters=counters)

    kinds = {
        c.name: c.kind for c in changes(metrics(10.0, dram_bytes=1.0, x=1.0), metrics(20.0, dram_bytes=0.5, x=2.0))
    }
    assert kinds["at N=1"] == "worse" and kinds["dram bytes"] == "better"
    assert kinds["x"] == kinds["registers a thread"] == "changed"
    assert {c.kind for c in changes(metrics(10.0), metrics(10.1))} == {"same"}


def test_the_curve_never_falls_and_has_every_program(tmp_path: Path) -> None:
    reading = read_run(finished(tmp_path / "r.optiml"))
    found = points(reading)
    best = best_so_far(found)
    assert list(best) == sorted(best) and best[-1] == pytest.approx(19.0)
    assert [p.number for p in found] == list(range(1, len({s.key for s in reading.steps}) + 1))
    drawing = curve(found)
    assert drawing.count("<circle") + drawing.count('class="failed"') == len(found)
    assert curve([]) == ""


def test_the_story_of_a_finished_run(tmp_path: Path) -> None:
    reading = read_run(finished(tmp_path / "r.optiml"))
    told = "\n".join(story(reading))
    assert "bowl on a100: 1 us in place of 19 us, 19.0 times as fast (modelled)." in told
    assert "verified again with fresh inputs" in told and "its evaluations were spent" in told
    assert all(step.tag in told for step in reading.way(reading.best or ""))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (begun, "optiml resume"),
        (without_winner, "nothing faster than the baseline of 19 us was found"),
        (without_steps, "has been found yet"),
        (without_baseline, "the baseline has not been evaluated"),
    ],
)
def test_the_story_of_other_runs(tmp_path: Path, make: Any, says: str) -> None:
    assert says in " ".join(story(read_run(make(tmp_path / "r.optiml"))))
