"""The HTML page: well-formed, self-contained, every op in every chart, numbers called modelled, strings escaped."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from ir.diagnostics import Location
from ir.graph import DependenceGraph, Edge, Op
from tests.twill.report import examples
from twill.report.html import html
from twill.report.page.layout import layered
from twill.report.page.source import excerpts
from twill.report.palette import unit_colours

VOID = {"meta", "br", "link", "img", "input", "hr"}
# Elements and attributes that make a browser fetch something.
FETCHING = {"link", "img", "iframe", "object", "embed", "audio", "video", "source", "base", "form"}


class Checker(HTMLParser):
    """Checks nesting, collects ids, references, texts and attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: Counter[str] = Counter()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"twice the same attribute in <{tag}>"
        self.ids.update(value for name, value in attrs if name == "id")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def checked(schedule) -> Checker:
    checker = Checker()
    checker.feed(html(schedule))
    checker.close()
    assert checker.open == []
    return checker


@pytest.mark.parametrize("case", examples.CASES)
def test_well_formed_with_unique_ids(case):
    page = checked(examples.CASES[case]())
    assert set(page.ids.values()) == {1}
    used = {m for _, _, value in page.attributes for m in re.findall(r"url\(#([\w-]+)\)", value)}
    assert used <= set(page.ids)


@pytest.mark.parametrize("case", examples.CASES)
def test_nothing_comes_from_elsewhere(case):
    text = html(examples.CASES[case]())
    page = checked(examples.CASES[case]())
    assert not re.search(r"(?:https?:)?//[\w.-]+\.\w|@import|url\((?!#)", text)
    assert not FETCHING & set(page.tags)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "action") or a[1].startswith("on")]


def test_every_op_is_in_every_chart_and_has_details():
    schedule = examples.attention()
    text = html(schedule)
    names = {op.name for op in schedule.graph.ops}
    charts = re.findall(r'<svg viewBox[^>]*class="chart[^>]*>.*?</svg>', text, re.S)
    drawn = [set(re.findall(r'<g data-op="([^"]+)" class="op"', chart)) for chart in charts]
    assert sum(found == names for found in drawn) == 3
    details = json.loads(re.search(r'id="details">(.*?)</script>', text, re.S)[1])
    assert set(details) == names
    assert ["issues at", "2,660 = stage 1, slot 612"] in details["acc[0]"]


def test_bars_have_the_colour_of_their_unit():
    schedule = examples.attention()
    text = html(schedule)
    colours = unit_colours(schedule.machine)
    for op in schedule.graph.ops:
        bars = re.findall(rf'<g data-op="{re.escape(op.name)}" class="op"><rect[^>]*--c:(#\w+)', text)
        assert bars
        assert set(bars) == {colours[op.unit]}


@pytest.mark.parametrize("case", ["attention", "modulo", "one_cycle", "wide"])
def test_model_numbers_are_called_modelled(case):
    page = checked(examples.CASES[case]())
    assert "modelled cycles" in page.text
    assert "not measured" in page.text


def test_the_proof_shows_what_is_not_proven():
    text = html(examples.attention())
    assert text.count('<li class="no">') == 1
    assert "at least 4132" in text


@pytest.mark.parametrize(
    ("case", "words"), [("infeasible", "48 KiB more shared memory"), ("timeout", "proves nothing")]
)
def test_negative_answers_say_why(case, words):
    page = checked(examples.CASES[case]())
    assert words in page.text
    assert "Steady state" not in page.text


def test_strings_cannot_break_out():
    evil = '</script><script>alert("1")</script>&<'
    ops = (Op(evil, "alu", 1, 1, detail=evil, opcode=evil, location=Location(evil, 3)), Op("b", None))
    graph = DependenceGraph(evil, ops, (Edge(evil, "b", reason=evil, assumed=True),), notes=(evil,))
    schedule = examples.timeout()
    page = checked(replace(schedule, graph=graph, message=evil, solver=evil))
    assert page.tags["script"] == 2
    assert 'alert("1")' in page.text


def test_source_lines_carry_their_ops(tmp_path):
    file = tmp_path / "k.py"
    file.write_text("\n".join(f"line {n}" for n in range(1, 31)))
    ops = (
        Op("a", None, location=Location(str(file), 5)),
        Op("b", None, location=Location(str(file), 20)),
        Op("c", None),
    )
    [excerpt] = excerpts(replace(examples.timeout(), graph=DependenceGraph("g", ops)))
    assert [line.number for line in excerpt.lines] == [3, 4, 5, 6, 7, 18, 19, 20, 21, 22]
    assert {line.number: line.ops for line in excerpt.lines if line.ops} == {5: ("a",), 20: ("b",)}
    assert [line.number for line in excerpt.lines if line.skipped] == [18]
    assert excerpt.lines[2].text == "line 5"


def test_without_the_file_the_places_remain():
    ops = (Op("a", None, location=Location("gone.py", 5)),)
    [excerpt] = excerpts(replace(examples.timeout(), graph=DependenceGraph("g", ops)))
    assert [(line.number, line.text, line.ops) for line in excerpt.lines] == [(5, None, ("a",))]


def test_layout_keeps_boxes_apart_and_edges_downward():
    graph = examples.wide(60, 1000, 4).graph
    widths = {op.name: 40.0 + 7 * len(op.name) for op in graph.ops}
    edges = [(e.source, e.target) for e in graph.edges if e.distance == 0]
    layout = layered(widths, edges)
    assert all(layout.layer[a] < layout.layer[b] for a, b in edges)
    rows: dict[int, list[str]] = {}
    for name in widths:
        rows.setdefault(layout.layer[name], []).append(name)
    for row in rows.values():
        row.sort(key=layout.x.__getitem__)
        for a, b in pairwise(row):
            assert layout.x[b] - layout.x[a] >= (widths[a] + widths[b]) / 2
    assert all(widths[n] / 2 - 1e-6 <= layout.x[n] <= layout.width - widths[n] / 2 + 1e-6 for n in widths)


def test_layout_draws_a_tree_without_crossings():
    edges = [("r", "a"), ("r", "b"), ("a", "c"), ("a", "d"), ("b", "e"), ("b", "f")]
    layout = layered(dict.fromkeys("rabdcfe", 30.0), edges)
    x = layout.x
    assert (x["a"] - x["b"]) * (x["c"] - x["e"]) > 0
    assert (x["a"] - x["b"]) * (x["d"] - x["f"]) > 0
    assert layered({}, []).layers == 0
