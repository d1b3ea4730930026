"""What `twill schedule` prints for an outcome: a report format, with the explanation where people read it."""

from __future__ import annotations

from ir.serialize import schedule_document, to_text
from twill.explain.explain import explain
from twill.pipeline import Outcome
from twill.report.formats import FORMATS


def render(outcome: Outcome, name: str) -> str:
    """The report called `name`; JSON is the document that `twill verify` reads."""
    if name == "json":
        return to_text(schedule_document(outcome.schedule))
    text = FORMATS[name].render(outcome.schedule)
    return f"{text.rstrip()}\n\n{explanation(outcome)}\n" if name == "table" else text


def explanation(outcome: Outcome) -> str:
    """Why the schedule is as it is, in words."""
    return "\n".join(explain(outcome.schedule, outcome.problem).lines)
