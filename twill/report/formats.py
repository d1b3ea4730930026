"""The formats in which a schedule can be reported, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ir.schedule import Schedule
from twill.report.dot import dot
from twill.report.gantt import gantt
from twill.report.html import html
from twill.report.listing import listing
from twill.report.table import table
from twill.report.trace import trace


@dataclass(frozen=True)
class Format:
    """How a schedule is rendered, and the ending of a file that holds the result."""

    ending: str
    render: Callable[[Schedule], str]
    description: str


FORMATS: Mapping[str, Format] = {
    "table": Format(".txt", table, "tables for the terminal"),
    "gantt": Format(".txt", gantt, "ASCII Gantt chart of the steady state"),
    "listing": Format(".txt", listing, "prologue, steady state and epilogue of every warp group, with barriers"),
    "dot": Format(".dot", dot, "dependence graph for graphviz"),
    "trace": Format(".json", trace, "Chrome/Perfetto trace of several iterations"),
    "html": Format(".html", html, "one page with charts, proof, explanation and source"),
}
