"""The proposer `rules`: every rewrite that applies, those against the kernel's limiter first. No model is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from optiml.edit import Edit
from optiml.propose.protocol import Context, Rule, Unit
from optiml.propose.rules import rules_for

if TYPE_CHECKING:
    from numpy.random import Generator

# Limiters that the profiler tells apart and the rules do not.
_ALSO = {"mufu": "special", "imad": "alu", "lsu": "l1"}


class RulesProposer:
    """Rules in the order of their table; each one's first rewrite before any one's second."""

    name = "rules"

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:  # noqa: ARG002 - it has no choice to make
        """All edits that apply."""
        unit = Unit(context.candidate, context.task)
        limiter = _ALSO.get(context.limiter, context.limiter)
        rules = rules_for(context.language)
        aimed = [r for r in rules if limiter in r.limiters]
        others = [r for r in rules if limiter not in r.limiters]
        edits = chain(_interleaved(aimed, unit), _interleaved(others, unit))
        return tuple(_distinct(edits))


def _interleaved(rules: Sequence[Rule], unit: Unit) -> Iterable[Edit]:
    rows = zip_longest(*(list(rule.rewrites(unit)) for rule in rules))
    return (edit for row in rows for edit in row if edit is not None)


def _distinct(edits: Iterable[Edit]) -> Iterable[Edit]:
    seen: set[str] = set()
    for edit in edits:
        if edit.result.key not in seen:
            seen.add(edit.result.key)
            yield edit
