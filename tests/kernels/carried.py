"""Which values a loop carries for the bounds of inner loops alone: Triton before 3.8 drops those as dead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from twill.frontend.generic import Node

# Operands of a loop before the values that it carries: from, to, step.
_BOUNDS = 3
# These pass on what is asked for, or hold what asks.
_STRUCTURE = frozenset({"scf.for", "scf.yield", "tt.func", "builtin.module"})


def only_bounding(module: Node) -> list[str]:
    """Carried values of a TTIR module, by SSA name, that are needed, but not if bounds of loops need nothing.

    An operation with no result, with regions of its own or that is atomic needs its operands whatever follows.
    """
    nodes = list(_all(module))
    carried = {a.name for node in nodes if node.opcode == "scf.for" for a in node.regions[0][0].arguments[1:]}
    bounds = [name for node in nodes if node.opcode == "scf.for" for name in node.operands[:_BOUNDS]]
    effects = [name for node in nodes if _has_effect(node) for name in node.operands]
    sources = dict(chain.from_iterable(map(_sources, nodes)))
    return sorted((_needed([*effects, *bounds], sources) - _needed(effects, sources)) & carried)


def _has_effect(node: Node) -> bool:
    return node.opcode not in _STRUCTURE and (not node.results or bool(node.regions) or "atomic" in node.opcode)


def _needed(roots: list[str], sources: dict[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += sources.get(name, ())
    return found


def _sources(node: Node) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each result of an operation, and each value that it carries, with what these are made of."""
    yields = [block.nodes[-1].operands for block in chain.from_iterable(node.regions) if block.nodes]
    if node.opcode == "scf.for":
        made = list(zip(node.operands[_BOUNDS:], yields[0], strict=True))
        yield from zip(node.results, made, strict=True)
        yield from zip((a.name for a in node.regions[0][0].arguments[1:]), made, strict=True)
    else:
        yield from ((name, (*node.operands, *chain.from_iterable(yields))) for name in node.results)


def _all(node: Node) -> Iterator[Node]:
    yield node
    for block in chain.from_iterable(node.regions):
        for inner in block.nodes:
            yield from _all(inner)
