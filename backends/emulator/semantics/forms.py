"""The grammar of the opcode tables: a form such as `add[.ftz](.f32|.f64)` stands for every opcode it spells."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from backends.emulator.semantics.types import LaneFunction

ROUNDINGS = frozenset({"rn", "rz", "rm", "rp", "rna", "rs", "rni", "rzi", "rmi", "rpi"})


@dataclass(frozen=True)
class Opcode:
    """One opcode with its modifiers, as a table's builder sees it.

    >>> op = Opcode("fma.rn.ftz.f32")
    >>> op.base, op.type, op.rounding, op.has("ftz"), op.has("sat")
    ('fma', 'f32', 'rn', True, False)
    """

    text: str

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The text between the dots."""
        return tuple(self.text.split("."))

    @property
    def base(self) -> str:
        """What comes before the first dot."""
        return self.parts[0]

    @property
    def type(self) -> str:
        """The last modifier: the type, for all instructions with one type."""
        return self.parts[-1]

    @property
    def rounding(self) -> str | None:
        """The rounding modifier, or None."""
        return self.among(ROUNDINGS)

    def has(self, modifier: str) -> bool:
        """Whether the opcode carries `modifier`."""
        return modifier in self.parts[1:]

    def among(self, choices: Collection[str]) -> str | None:
        """The first modifier that is one of `choices`, or None."""
        return next((part for part in self.parts[1:] if part in choices), None)


Builder = Callable[[Opcode], LaneFunction]
Forms = Mapping[str, Builder]

_SLOT = re.compile(r"\[([^]]*)\]|\(([^)]*)\)|([^[(]+)")


def expand(form: str) -> Iterator[str]:
    """Every opcode that `form` spells: `[x|y]` is at most one of them, `(x|y)` exactly one.

    >>> list(expand("neg[.ftz](.f32|.f16)"))
    ['neg.f32', 'neg.f16', 'neg.ftz.f32', 'neg.ftz.f16']
    """
    slots = [
        ["", *optional.split("|")] if optional else (required or literal).split("|")
        for optional, required, literal in _SLOT.findall(form)
    ]
    return map("".join, product(*slots))
