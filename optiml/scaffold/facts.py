"""What a kernel's source says, whatever its language: parameters, definitions, bounds, accesses."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Names that readers put in place of a program's number along an axis, and of a thread's or a lane's own number.
PROGRAMS = ("program_0", "program_1", "program_2")
LANE = "lane_number"


@dataclass(frozen=True)
class Parameter:
    """One parameter: a role for a tensor, empty for a scalar; `is_constant`: a value of the compiler's.

    `is_guessed`: the source does not tell the type.
    """

    name: str
    dtype: str
    role: str = ""
    is_constant: bool = False
    is_guessed: bool = False


@dataclass(frozen=True)
class Facts:
    """One kernel.

    definitions: variable -> what it is first set to. bounds: variable -> the parameter or number that it is compared
    with; slack: by how much at least it stays below that where it is compared with less. changing: variables that are
    set more than once. accesses: tensor -> indices in elements, None for one that cannot be read. constants:
    compile-time ones with their values where the source has them. threads: extents of a CUDA block, where the source
    tells them; templates: arguments that a CUDA entry needs.
    """

    entry: str
    parameters: tuple[Parameter, ...]
    definitions: Mapping[str, ast.expr]
    bounds: Mapping[str, str]
    accesses: Mapping[str, tuple[ast.expr | None, ...]]
    constants: Mapping[str, Any] = field(default_factory=dict)
    threads: tuple[int | str, ...] = ()
    templates: tuple[str, ...] = ()
    launch: Mapping[str, int] = field(default_factory=dict)
    slack: Mapping[str, int] = field(default_factory=dict)
    changing: frozenset[str] = frozenset()

    @property
    def instance(self) -> str:
        """The entry with its template arguments."""
        return f"{self.entry}<{', '.join(self.templates)}>" if self.templates else self.entry

    def launched(self, is_cuda: bool) -> dict[str, Any]:
        """The launch table but for its grid."""
        return {"block": list(self.threads) or [1]} if is_cuda else {"num_warps": 4, **self.launch}

    @property
    def whole(self) -> tuple[str, ...]:
        """Scalar parameters that are whole numbers."""
        return tuple(p.name for p in self.parameters if not p.role and not p.is_constant and p.dtype.startswith("i"))


def parsed(text: str) -> ast.expr | None:
    """An expression; None for a text that is none in Python's grammar."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
