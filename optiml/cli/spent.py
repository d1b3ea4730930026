"""What a run asked of models: calls, tokens, money, and how many answers could be used."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from optiml.propose.exchange import Exchange, total


def spent_document(exchanges: Sequence[Exchange]) -> list[dict[str, Any]]:
    """An object for each proposer that asks a model; null is unknown."""
    return [_document(name, calls) for name, calls in _by_proposer(exchanges)]


def spent_lines(exchanges: Sequence[Exchange]) -> list[str]:
    """A line for each proposer that asks a model."""
    return [_line(_document(name, calls)) for name, calls in _by_proposer(exchanges)]


def _by_proposer(exchanges: Sequence[Exchange]) -> list[tuple[str, list[Exchange]]]:
    ranked = sorted(exchanges, key=lambda e: e.proposer)
    return [(name, list(calls)) for name, calls in groupby(ranked, key=lambda e: e.proposer)]


def _document(name: str, calls: Sequence[Exchange]) -> dict[str, Any]:
    usage = total(calls)
    return {
        "proposer": name,
        "calls": len(calls),
        "used": sum(e.outcome == "used" for e in calls),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost,
        "has_unknown_cost": any(e.usage.cost is None for e in calls),
    }


def _line(told: dict[str, Any]) -> str:
    read, written, cost = told["input_tokens"], told["output_tokens"], told["cost_usd"]
    tokens = "tokens unknown" if read is None else f"{read:,} tokens read, {written or 0:,} written"
    least = "at least " if told["has_unknown_cost"] else ""
    money = "cost unknown" if cost is None else f"{least}{cost:.4f} USD"
    calls = f"{told['calls']} call{'s' if told['calls'] != 1 else ''}"
    return f"{told['proposer']}: {calls}, {told['used']} with a usable answer; {tokens}; {money}."
