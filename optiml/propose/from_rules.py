"""The proposer `rules`: every rewrite that applies, those against the kernel's limiter first. No model is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from optiml.edit import Edit
from optiml.memory.offer import worth
from optiml.propose.protocol import Context, Rule, Unit
from optiml.propose.rules import rules_for

if TYPE_CHECKING:
    from numpy.random import Generator

# Limiters that the profiler tells apart and the rules do not.
_ALSO = {"mufu": "special", "imad": "alu", "lsu": "l1", "cta launch": "launch"}


class RulesProposer:
    """Rules in the order of their table; each one's first rewrite before any one's second.

    What the memory of earlier runs expects more of comes before that; without a memory nothing does. What was done on
    the way to the candidate, or failed there, with another parameter perhaps, comes after all else.
    """

    name = "rules"

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:  # noqa: ARG002 - it has no choice to make
        """All edits that apply."""
        unit = Unit(context.candidate, context.task, context.architecture)
        limiter = _ALSO.get(context.limiter, context.limiter)
        rules = rules_for(context.language)
        aimed = [r for r in rules if limiter in r.limiters]
        others = [r for r in rules if limiter not in r.limiters]
        against = (replace(edit, limiter=limiter) for edit in _interleaved(aimed, unit))
        edits = _distinct(chain(against, _interleaved(others, unit)))
        done = {_move(tag) for tag in context.tried}
        return tuple(sorted(edits, key=lambda e: (_move(e.tag) in done, -worth(e.tag, context.memory))))


def _move(tag: str) -> str:
    """A tag without its parameter.

    >>> _move("tile-size:BLOCK_M=128"), _move("block-coarsening:x2"), _move("warp-per-row:row")
    ('tile-size:BLOCK_M', 'block-coarsening:x', 'warp-per-row:row')
    """
    return re.sub(r"[=\d].*$", "", tag)


def _interleaved(rules: Sequence[Rule], unit: Unit) -> Iterable[Edit]:
    rows = zip_longest(*(list(rule.rewrites(unit)) for rule in rules))
    return (edit for row in rows for edit in row if edit is not None)


def _distinct(edits: Iterable[Edit]) -> Iterable[Edit]:
    seen: set[str] = set()
    for edit in edits:
        if edit.result.key not in seen:
            seen.add(edit.result.key)
            yield edit
