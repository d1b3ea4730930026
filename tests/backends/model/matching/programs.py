"""Structured programs as control-flow graphs, and one warp's walk through them, counted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backends.sass.flow import Block
from backends.sass.function import Function
from backends.sass.instruction import Instruction, decode_control
from backends.sass.loops import loops_of


@dataclass(frozen=True)
class Straight:
    """One block."""


@dataclass(frozen=True)
class Either:
    """One of two bodies, the first with a probability of `share`."""

    one: tuple[Item, ...]
    other: tuple[Item, ...]
    share: float


@dataclass(frozen=True)
class Around:
    """A body that runs between `least` and `most` times."""

    body: tuple[Item, ...]
    least: int
    most: int


Item = Straight | Either | Around


class Built:
    """The graph of a program, and its walk."""

    def __init__(self, items: Sequence[Item], seed: int = 0) -> None:
        self.successors: list[list[int]] = []
        self.random = random.Random(seed)
        self.visits: Counter[int] = Counter()
        self.order: list[int] = []
        entry = self._block()
        walk, last = self._sequence(items, entry)
        end = self._block()
        self.successors[last].append(end)
        self._visit(entry)
        walk()
        self._visit(end)

    @property
    def function(self) -> Function:
        """One instruction for each block, at a PTX line of the block's number and one."""
        count = len(self.successors)
        code = tuple(_instruction(n, "EXIT" if n == count - 1 else "LDG") for n in range(count))
        blocks = tuple(Block(n, n, n + 1, tuple(s)) for n, s in enumerate(self.successors))
        return Function("kernel", "sm_90a", code, blocks, loops_of(blocks, [0]))

    def _block(self) -> int:
        self.successors.append([])
        return len(self.successors) - 1

    def _visit(self, block: int) -> None:
        self.visits[block] += 1
        self.order.append(block)

    def _sequence(self, items: Sequence[Item], last: int):  # type: ignore[no-untyped-def]
        walks = []
        for item in items:
            walk, last = self._item(item, last)
            walks.append(walk)
        return (lambda: [walk() for walk in walks]), last

    def _item(self, item: Item, last: int):  # type: ignore[no-untyped-def]
        first = self._block()
        self.successors[last].append(first)
        if isinstance(item, Straight):
            return (lambda: self._visit(first)), first
        if isinstance(item, Around):
            return self._around(item, first)
        return self._either(item, first)

    def _around(self, item: Around, header: int):  # type: ignore[no-untyped-def]
        body, last = self._sequence(item.body, header)
        latch = self._block()
        self.successors[last].append(latch)
        self.successors[latch].append(header)

        def walk() -> None:
            for _ in range(self.random.randint(item.least, item.most)):
                self._visit(header)
                body()
                self._visit(latch)

        return walk, latch

    def _either(self, item: Either, fork: int):  # type: ignore[no-untyped-def]
        one, end_of_one = self._sequence(item.one, fork)
        other, end_of_other = self._sequence(item.other, fork)
        join = self._block()
        for end in dict.fromkeys((end_of_one, end_of_other)):
            self.successors[end].append(join)

        def walk() -> None:
            self._visit(fork)
            (one if self.random.random() < item.share else other)()
            self._visit(join)

        return walk, join


def _instruction(number: int, opcode: str) -> Instruction:
    return Instruction(
        number, 16 * number, opcode, (), (), None, decode_control(0), None, opcode, frozenset(), frozenset(), "lsu",
        None, number + 1,
    )  # fmt: skip
