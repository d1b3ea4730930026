"""Every value is defined once, and before its uses."""

from __future__ import annotations

from collections.abc import Iterable

from ir.loop import Kernel, Loop, Operation, Value


def check_names(kernel: Kernel) -> None:
    """Assert single definition, definition before use, and loop names by path."""
    known: set[str] = set()
    _define(known, kernel.arguments)
    _items(known, kernel.body, "")


def _define(known: set[str], values: Iterable[Value]) -> None:
    for value in values:
        assert value.name and value.name not in known, value.name
        known.add(value.name)


def _use(known: set[str], names: Iterable[str]) -> None:
    missing = set(names) - known
    assert not missing, missing


def _items(known: set[str], items: Iterable[Operation | Loop], path: str) -> None:
    loops = 0
    for item in items:
        _use(known, (p.condition for p in item.predicates))
        if isinstance(item, Operation):
            _use(known, item.operands)
            _define(known, item.results)
            continue
        assert item.name == f"{path}{loops}"
        loops += 1
        _loop(known, item)


def _loop(known: set[str], loop: Loop) -> None:
    if loop.induction is not None:
        _use(known, (loop.lower, loop.upper, loop.step))
        _define(known, [loop.induction])
    _use(known, (c.initial for c in loop.carried))
    _define(known, (c.argument for c in loop.carried))
    _items(known, loop.body, f"{loop.name}.")
    _use(known, (c.yielded for c in loop.carried))
    _define(known, (c.result for c in loop.carried))
