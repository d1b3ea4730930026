"""The tables: content, plainness off a terminal, colour on one."""

from __future__ import annotations

import sys

import pytest

from tests.twill.report import examples
from twill.problem.verify import verify
from twill.report.formats import FORMATS
from twill.report.table import table


@pytest.mark.parametrize("case", examples.CASES)
def test_golden(case, golden):
    golden(f"{case}.table.txt", table(examples.CASES[case]()))


def test_plain_off_a_terminal():
    text = table(examples.attention())
    assert "\x1b" not in text
    assert text.isascii()


def test_coloured_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in table(examples.attention())


def test_no_color_wins_over_the_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in table(examples.attention())


def test_square_brackets_of_names_survive():
    assert "qk[0]" in table(examples.attention())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("case", examples.CASES)
def test_every_format_renders_every_case_the_same_twice(name, case):
    first, second = (FORMATS[name].render(examples.CASES[case]()) for _ in range(2))
    assert first == second
    assert first.endswith("\n")


@pytest.mark.parametrize("case", [case for case in examples.CASES if case != "wide"])
def test_the_examples_themselves_are_valid(case):
    assert verify(examples.CASES[case]()) == ()
