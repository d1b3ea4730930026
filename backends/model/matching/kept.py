"""Flows out of the cache: the same graph with the same counts is solved once, and the solver imported only for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache as once
from importlib.metadata import version
from pathlib import Path

from backends.compilers.cache import Cache, cached_text
from backends.model.matching import flow
from backends.model.matching.anchors import Anchor
from backends.model.matching.flow import Flow, leaves, solve_flow
from backends.sass.function import Function


def kept_flow(function: Function, anchors: Sequence[Anchor], cache: Cache | None = None) -> Flow | None:
    """As `solve_flow`; `cache` None is the user's own."""
    text = cached_text(cache, _parts(function, anchors), lambda: _text(solve_flow(function, anchors)))
    found = json.loads(text)
    if found is None:
        return None
    edges = {(source, target): count for source, target, count in found.pop("edges")}
    return Flow(edges, **found)


def _parts(function: Function, anchors: Sequence[Anchor]) -> Iterator[str]:
    """All that the solver is told, and who it is."""
    yield from ("flow", _program(), version("ortools"))
    yield repr([(b.first, b.last, b.successors, b.callee, leaves(function, b.number)) for b in function.blocks])
    yield repr([(loop.header, sorted(loop.blocks)) for loop in function.loops])
    yield repr(list(anchors))


@once
def _program() -> str:
    """The text that states the problem: what it made of the same graph before it was changed is another answer."""
    return hashlib.sha256(Path(flow.__file__).read_bytes()).hexdigest()


def _text(found: Flow | None) -> str:
    if found is None:
        return "null"
    edges = [[*edge, count] for edge, count in found.edges.items()]
    told = {"edges": edges, "deviation": found.deviation, "total": found.total, "is_proven": found.is_proven}
    return json.dumps(told)
