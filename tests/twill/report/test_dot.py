"""The graphviz text: well-formed, every op and edge in it, strings escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ir.graph import DependenceGraph, Op
from tests.twill.report import examples
from twill.report.dot import dot
from twill.report.palette import COLOURS, unit_colours

STRING = r'"(?:[^"\\]|\\.)*"'
ATTRIBUTES = rf"\[\w+={STRING}(?:, \w+={STRING})*\]"
LINE = re.compile(
    rf"\s*(?:digraph {STRING} {{|(?:node|edge|graph) {ATTRIBUTES};|subgraph cluster_\d+ {{|}}"
    rf"|label={STRING}; style={STRING}; color={STRING};|{STRING}(?: -> {STRING})? {ATTRIBUTES};)"
)


@pytest.mark.parametrize("case", examples.CASES)
def test_well_formed(case):
    schedule = examples.CASES[case]()
    text = dot(schedule)
    assert all(LINE.fullmatch(line) for line in text.splitlines())
    assert text.count("{") == text.count("}")
    assert len(re.findall(rf"^\s*{STRING} \[", text, re.M)) == len(schedule.graph.ops)
    assert text.count(" -> ") == len(schedule.graph.edges)


@pytest.mark.parametrize("case", ["attention", "modulo", "timeout"])
def test_golden(case, golden):
    golden(f"{case}.dot", dot(examples.CASES[case]()))


def test_strings_are_escaped():
    graph = DependenceGraph('a"b\\c', (Op('x"y', None),))
    schedule = replace(examples.timeout(), graph=graph)
    assert all(LINE.fullmatch(line) for line in dot(schedule).splitlines())


def test_units_have_different_colours_while_there_are_enough():
    machine = replace(
        examples.HOPPER, units={name: 1 for name in ("x", "tensor", "alu", "fma", "tmem", "sfu0", "sfu1")}
    )
    assert len(set(unit_colours(machine).values())) == 7
    many = replace(machine, units={f"u{i}": 1 for i in range(25)})
    assert set(unit_colours(many).values()) == set(COLOURS)
