"""Sums of columns over the instructions that are of one kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.classify import Traits

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Columns by instruction, what each instruction is, and `singles`: what belongs to no instruction.

    used: the columns and singles that were asked for.
    """

    columns: Mapping[str, Column]
    opcodes: Sequence[tuple[str, ...]]
    traits: Sequence[Traits]
    singles: Mapping[str, float]
    _masks: dict[tuple[tuple[str, object], ...], NDArray[np.bool_]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def single(self, name: str) -> float:
        """One of the singles."""
        self.used.add(name)
        return self.singles[name]

    def total(self, column: str, **wanted: object) -> float:
        """The sum of a column over the instructions whose properties are those wanted."""
        self.used.add(column)
        values = self.columns[column]
        return float(values[self._mask(tuple(wanted.items()))].sum() if wanted else values.sum())

    def _mask(self, wanted: tuple[tuple[str, object], ...]) -> NDArray[np.bool_]:
        if wanted not in self._masks:
            rows = zip(self.opcodes, self.traits, strict=True)
            self._masks[wanted] = np.array([all(_has(o, t, *w) for w in wanted) for o, t in rows], np.bool_)
        return self._masks[wanted]


def _has(opcode: tuple[str, ...], traits: Traits, key: str, value: object) -> bool:
    tests = {
        "cls": lambda: value in traits.classes,
        "base": lambda: opcode[0] == value,
        "bases": lambda: opcode[0] in value,  # type: ignore[operator]
        "base_not": lambda: str(value) not in opcode[0],
        "bulk": lambda: bulk_kind(opcode) == value,
    }
    return tests[key]() if key in tests else getattr(traits, key) == value


def bulk_kind(opcode: tuple[str, ...]) -> str:
    """`ld` or `st` for a bulk copy from or to global memory, "" for any other instruction.

    >>> bulk_kind(("cp", "async", "bulk", "tensor", "2d", "shared::cta", "global"))
    'ld'
    """
    if "bulk" not in opcode or opcode[0] != "cp" or "prefetch" in opcode:
        return ""
    spaces = [p.partition("::")[0] for p in opcode if p.partition("::")[0] in ("shared", "global")]
    return {"shared": "ld", "global": "st"}.get(spaces[0], "") if "global" in spaces else ""
