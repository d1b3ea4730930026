"""What one warp executes: runs of basic blocks, and loops with trip counts around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Run:
    """Basic blocks executed one after the other, each by its number in the function."""

    blocks: tuple[int, ...]


@dataclass(frozen=True)
class Repeat:
    """A body executed `count` times."""

    body: tuple[Step, ...]
    count: int


Step: TypeAlias = Run | Repeat
WarpTrace: TypeAlias = tuple[Step, ...]


def executed_blocks(trace: WarpTrace) -> int:
    """Blocks that the warp executes in all.

    >>> executed_blocks((Run((0,)), Repeat((Run((1, 2)), Repeat((Run((3,)),), 4)), 10)))
    61
    """
    return sum(len(s.blocks) if isinstance(s, Run) else s.count * executed_blocks(s.body) for s in trace)
