"""PTX instructions by the line of the PTX file that they stand on, by which machine code names them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.findings import Site
from backends.model.matching.anchors import kept_opcodes, weak_opcodes
from backends.sass.instruction import Instruction

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """PTX by line: the opcode of a line's only instruction that machine code may keep, and the instructions of each."""

    opcodes: Mapping[int, str]
    instructions: Mapping[int, tuple[int, ...]]

    @staticmethod
    def of(sites: Sequence[Site]) -> Lines:
        """From the instructions of a program, in which a function that was inlined twice has its lines twice."""
        found: dict[int, list[int]] = defaultdict(list)
        for index, site in enumerate(sites):
            if site.place is not None and (kept_opcodes(_opcode(site)) or weak_opcodes(_opcode(site))):
                found[site.place.line].append(index)
        same = {n: i for n, i in found.items() if len({sites[k].text for k in i}) == 1}
        return Lines({n: _opcode(sites[i[0]]) for n, i in same.items()}, {n: tuple(i) for n, i in same.items()})

    def counts(self, row: Rows) -> dict[int, int]:
        """Executions by line, of one warp's executions by instruction."""
        return {line: int(row[list(indices)].sum()) for line, indices in self.instructions.items()}

    def keeps(self, instruction: Instruction) -> bool:
        """Whether a machine instruction is what became of its line's only instruction."""
        return instruction.opcode in kept_opcodes(self.opcodes.get(instruction.ptx_line or 0, ""))


def _opcode(site: Site) -> str:
    """The opcode of an instruction's text, after its guard.

    >>> from backends.findings import Site
    >>> _opcode(Site("@%p1 ld.global.f32 %f1, [%rd1];", None, None)), _opcode(Site("ret;", None, None))
    ('@%p1 ld.global.f32', 'ret')
    """
    words = site.text.split()
    return " ".join(words[: 2 if words[0].startswith("@") else 1]).rstrip(";")
