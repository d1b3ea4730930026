"""Runs of `mma.sync`: chains along k over a grid of tiles, which are one multiplication of larger matrices.

A compiler unrolls C[i, j] += A[i, k] * B[k, j] into one instruction per (i, j, k). A run of them is taken apart into
chains (the accumulator of one is the addend of the next); where the chains are a full grid of shared A and B tiles, the
whole run is one product, else each chain is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.ptx.syntax import Immediate, Instruction, Operand, Register, Vector

Names = tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One instruction: the names of its result, its factors and its addend, with the operands of each."""

    d: Names
    a: Names
    b: Names
    c: Names
    instruction: Instruction


@dataclass(frozen=True)
class Chain:
    """Instructions that add to one accumulator, in order."""

    steps: tuple[Step, ...]

    @property
    def a(self) -> tuple[Names, ...]:
        """The tiles of A, along k."""
        return tuple(s.a for s in self.steps)

    @property
    def b(self) -> tuple[Names, ...]:
        """The tiles of B, along k."""
        return tuple(s.b for s in self.steps)


@dataclass(frozen=True)
class Product:
    """Chains as a grid: row i shares its tiles of A, column j its tiles of B."""

    grid: tuple[tuple[Chain, ...], ...]

    @property
    def a_tiles(self) -> list[list[Operand]]:
        """Operands of A by (i, k)."""
        return [[s.instruction.operands[1] for s in row[0].steps] for row in self.grid]

    @property
    def b_tiles(self) -> list[list[Operand]]:
        """Operands of B by (k, j)."""
        first = self.grid[0]
        depth = len(first[0].steps)
        return [[chain.steps[k].instruction.operands[2] for chain in first] for k in range(depth)]

    @property
    def addends(self) -> list[list[Operand]]:
        """Operands of C by (i, j): those of each chain's first step."""
        return [[chain.steps[0].instruction.operands[3] for chain in row] for row in self.grid]

    @property
    def results(self) -> list[list[Operand]]:
        """Operands of D by (i, j): those of each chain's last step."""
        return [[chain.steps[-1].instruction.operands[0] for chain in row] for row in self.grid]


def products_of(run: Sequence[Instruction], uses: Mapping[str, int]) -> list[Product] | None:
    """The multiplications that a run of the same unguarded `mma.sync` comes to; None where order matters."""
    steps = [_step(i) for i in run]
    if any(s is None for s in steps):
        return None
    chains = _chains([s for s in steps if s is not None], uses)
    if not _independent(chains):
        return None
    return _grid(chains) or [Product(((chain,),)) for chain in chains]


def _step(instruction: Instruction) -> Step | None:
    names = [_names(operand) for operand in instruction.operands]
    if len(names) != 4 or any(n is None for n in names):
        return None
    d, a, b, c = (n or () for n in names)
    return Step(d, a, b, c, instruction)


def _names(operand: Operand) -> Names | None:
    """Names of a vector's registers; literals stand for themselves."""
    items = operand.items if isinstance(operand, Vector) else (operand,)
    if not all(isinstance(item, Register | Immediate) for item in items):
        return None
    return tuple(item.name if isinstance(item, Register) else item.text for item in items)  # type: ignore[union-attr]


def _chains(steps: Sequence[Step], uses: Mapping[str, int]) -> list[Chain]:
    open_: dict[Names, list[Step]] = {}
    for step in steps:
        before = open_.get(step.c)
        # A value between two steps may be left out only if nothing else reads it.
        if before is not None and (step.d == step.c or all(uses[name] == 2 for name in step.c)):
            del open_[step.c]
            open_[step.d] = [*before, step]
        else:
            open_[step.d] = [step]
    return [Chain(tuple(found)) for found in open_.values()]


def _independent(chains: Sequence[Chain]) -> bool:
    """Whether no chain reads, as a factor or as its first addend, what another one writes."""
    written: Counter[str] = Counter()
    for chain in chains:
        written.update({name for step in chain.steps for name in step.d})
    if any(count > 1 for count in written.values()):
        return False
    factors = {name for chain in chains for s in chain.steps for name in (*s.a, *s.b)}
    if factors & written.keys():
        return False
    return all(not (set(c.steps[0].c) & written.keys()) or c.steps[0].c == c.steps[0].d for c in chains)


def _grid(chains: Sequence[Chain]) -> list[Product] | None:
    rows, columns = dict.fromkeys(c.a for c in chains), dict.fromkeys(c.b for c in chains)
    by_place = {(c.a, c.b): c for c in chains}
    depths = {len(c.steps) for c in chains}
    if len(by_place) != len(chains) or len(chains) != len(rows) * len(columns) or len(depths) > 1:
        return None
    if any((a, b) not in by_place for a in rows for b in columns):
        return None
    return [Product(tuple(tuple(by_place[a, b] for b in columns) for a in rows))]
