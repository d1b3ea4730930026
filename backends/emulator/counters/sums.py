"""Sums of columns over the instructions that are of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.kinds import Kinds

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Columns by instruction, what each instruction is, and `singles`: what belongs to no instruction.

    tensor_paths: of products whose types only their operands tell, by instruction. used: the columns and singles that
    were asked for.
    """

    columns: Mapping[str, Column]
    kinds: Kinds
    singles: Mapping[str, float]
    tensor_paths: Mapping[int, str]
    used: set[str] = field(default_factory=set)

    def single(self, name: str) -> float:
        """One of the singles."""
        self.used.add(name)
        return self.singles[name]

    def total(self, column: str, **wanted: object) -> float:
        """The sum of a column over the instructions whose properties are those wanted; see `Kinds.mask`."""
        self.used.add(column)
        values = self.columns[column]
        if not wanted:
            return float(values.sum())
        told = sum(values[i] for i, path in self.tensor_paths.items() if wanted == {"tensor_path": path})
        return float(values[self.kinds.mask(tuple(wanted.items()))].sum() + told)
