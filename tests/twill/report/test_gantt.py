"""The ASCII Gantt chart: width, labels, wrap-around, golden files."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.twill.report import examples
from twill.report.bars import pack
from twill.report.gantt import gantt


@pytest.mark.parametrize("case", examples.CASES)
def test_golden(case, golden):
    golden(f"{case}.gantt.txt", gantt(examples.CASES[case](), 110))


@pytest.mark.parametrize("width", [48, 60, 80, 131, 200])
@pytest.mark.parametrize("case", ["attention", "modulo", "one_cycle", "one_long", "wide"])
def test_no_line_is_wider_than_asked(case, width):
    lines = gantt(examples.CASES[case](), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any(len(line) > (width // 2 if case in ("attention", "wide", "one_long") else 20) for line in lines)


def test_width_follows_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    assert max(map(len, gantt(examples.attention()).splitlines())) <= 72


def test_ascii_only():
    assert gantt(examples.attention(), 100).isascii()


def test_every_op_is_labelled_with_its_stage():
    schedule = examples.attention()
    text = gantt(schedule, 300)
    for op in schedule.graph.ops:
        assert f"{op.name}@{schedule.stage(op.name)}" in text


def test_wrap_around_is_shown_at_both_ends():
    lines = [line for line in gantt(examples.attention(), 120).splitlines() if line.startswith("tensor")]
    assert lines[0].endswith(">|")
    assert "|<" in lines[0]


def test_random_schedules_never_fail():
    rng = random.Random(7)
    for _ in range(60):
        schedule = examples.random_schedule(rng, rng.randint(1, 30), rng.choice((1, 2, 7, 64, 5000)))
        assert max(map(len, gantt(schedule, 90).splitlines())) <= 90


def test_pack_keeps_lanes_free_of_overlap():
    rng = random.Random(3)
    spans = [(a, a + rng.randint(1, 9)) for a in (rng.randint(0, 50) for _ in range(80))]
    lanes = pack(spans, lambda span: span)
    assert sorted(span for lane in lanes for span in lane) == sorted(spans)
    for lane in lanes:
        ordered = sorted(lane)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ordered))
