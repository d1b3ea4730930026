"""What the instructions of a program are, as arrays: made once for a kernel, used for each of its launches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.classify import Traits, traits
from backends.emulator.program import Program, leaves
from backends.findings import Site
from backends.ptx.syntax import Address, Instruction, Register, Symbol

Array = NDArray[Any]
# Instructions whose first operand is read, not written.
_READ_FIRST = frozenset(["st", "red", "bra", "ret", "exit", "bar", "barrier", "cp", "stmatrix", "mbarrier", "fence"])


class Kinds:
    """`opcodes` as parts, `traits`, `sites`, and `guarded` (instructions,): whether an instruction has a guard."""

    def __init__(self, program: Program) -> None:
        instructions = program.instructions
        self.opcodes = tuple(instruction.parts for instruction in instructions)
        self.traits = tuple(_with_lost_results(instructions))
        self.sites: tuple[Site, ...] = tuple(program.site(index) for index in range(len(instructions)))
        self.guarded = np.array([i.guard is not None for i in instructions], np.bool_)
        self.weights = np.array([t.weight for t in self.traits])
        self.tensor_ops = np.array([t.tensor_ops for t in self.traits], float)
        self.columns: Mapping[str, Array] = {
            "base": _words(parts[0] for parts in self.opcodes),
            "bulk": _words(bulk_kind(parts) for parts in self.opcodes),
            **{
                name: _words(getattr(t, name) for t in self.traits)
                for name in ("pipe", "space", "operation", "tensor_op")
            },
            "tensor_path": _words(t.tensor_path for t in self.traits),
        }
        self._masks: dict[tuple[tuple[str, object], ...], Array] = {}

    def mask(self, wanted: tuple[tuple[str, object], ...]) -> Array:
        """The instructions of which each named column has the value, or one of the values; `cls`: a class they have."""
        if wanted not in self._masks:
            masks = [self._one(name, value) for name, value in wanted]
            self._masks[wanted] = np.logical_and.reduce(masks) if masks else np.ones(len(self.opcodes), np.bool_)
        return self._masks[wanted]

    def _one(self, name: str, value: object) -> Array:
        if name == "cls":
            return np.array([value in t.classes for t in self.traits], np.bool_)
        values = value if isinstance(value, tuple) else (value,)
        found: Array = np.logical_or.reduce([self.columns[name] == v for v in values])
        return found


def _words(values: Any) -> Array:
    return np.array(list(values), dtype=object)


def _with_lost_results(instructions: tuple[Instruction, ...]) -> list[Traits]:
    """The traits of each; an `atom` whose result nobody reads is a `red`, as the assembler makes it."""
    found = [traits(instruction.opcode) for instruction in instructions]
    atomics = [index for index, instruction in enumerate(instructions) if instruction.base == "atom"]
    read = set().union(*map(_reads, instructions)) if atomics else set()
    for index in atomics:
        target = instructions[index].operands[0]
        is_lost = (
            target.is_sink if isinstance(target, Symbol) else isinstance(target, Register) and target.name not in read
        )
        if is_lost:
            found[index] = replace(found[index], operation="red")
    return found


def _reads(instruction: Instruction) -> set[str]:
    """Registers that an instruction reads."""
    first, *rest = instruction.operands or (Symbol("_"),)
    is_read = instruction.base in _READ_FIRST or isinstance(first, Address)
    sources = replace(instruction, operands=(first, *rest) if is_read else tuple(rest))
    return {leaf.name for leaf in leaves(sources) if isinstance(leaf, Register)}


def bulk_kind(opcode: tuple[str, ...]) -> str:
    """`ld` or `st` for a bulk copy from or to global memory, "" for any other instruction.

    >>> bulk_kind(("cp", "async", "bulk", "tensor", "2d", "shared::cta", "global"))
    'ld'
    """
    if "bulk" not in opcode or opcode[0] != "cp" or "prefetch" in opcode:
        return ""
    spaces = [p.partition("::")[0] for p in opcode if p.partition("::")[0] in ("shared", "global")]
    return {"shared": "ld", "global": "st"}.get(spaces[0], "") if "global" in spaces else ""
