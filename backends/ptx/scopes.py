"""Names in a function body: registers, variables and labels of nested `{ }` scopes, renamed so that each is unique."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from backends.ptx.syntax import Register, Vector, registers

Path = tuple[int, ...]

_NUMBERED = re.compile(r"(.*?)(0|[1-9]\d*)")
# Names of the parts of a vector register.
_LETTERS = ("xyzw", "rgba")
_MAX_DIGITS = 9

# Read-only registers that the machine sets; parts such as `.x` follow.
_SPECIAL = """%tid %ntid %laneid %warpid %nwarpid %ctaid %nctaid %smid %nsmid %gridid %is_explicit_cluster %clusterid
    %nclusterid %cluster_ctaid %cluster_nctaid %cluster_ctarank %cluster_nctarank %lanemask_eq %lanemask_le %lanemask_lt
    %lanemask_ge %lanemask_gt %clock %clock_hi %clock64 %globaltimer %globaltimer_lo %globaltimer_hi
    %reserved_smem_offset_begin %reserved_smem_offset_end %reserved_smem_offset_cap %reserved_smem_offset
    %total_smem_size %aggr_smem_size %dynamic_smem_size %current_graph_exec"""
SPECIAL_REGISTERS = frozenset(_SPECIAL.split())
_NUMBERED_SPECIAL = re.compile(r"%(pm\d(_64)?|envreg\d+|reserved_smem_offset_\d)")


def is_special(name: str) -> bool:
    """True for `%tid.x`, `%pm3`, `%envreg0` and the like."""
    stem = name.partition(".")[0]
    return stem in SPECIAL_REGISTERS or _NUMBERED_SPECIAL.fullmatch(stem) is not None


@dataclass
class _Scope:
    path: Path
    registers: dict[str, Register] = field(default_factory=dict)
    ranges: dict[str, tuple[int, str]] = field(default_factory=dict)
    vectors: dict[str, Vector] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        return name if len(self.path) == 1 else f"{name}.{self.path[-1]}"

    def find(self, name: str) -> Register | None:
        if name in self.registers:
            return self.registers[name]
        numbered = _NUMBERED.fullmatch(name) if self.ranges else None
        count, kind = self.ranges.get(numbered[1], (0, "")) if numbered else (0, "")
        if numbered is None or len(numbered[2]) > _MAX_DIGITS or int(numbered[2]) >= count:
            return None
        return self.registers.setdefault(name, Register(self.unique(name), kind))


@dataclass
class Scopes:
    """The scopes that are open at a point of the body, the function's own first; `used`: registers that were named."""

    open: list[_Scope] = field(default_factory=lambda: [_Scope((0,))])
    labels: dict[tuple[Path, str], str] = field(default_factory=dict)
    used: dict[Register, None] = field(default_factory=dict)
    count: int = 0

    def enter(self) -> None:
        """A `{`."""
        self.count += 1
        self.open.append(_Scope((*self.path, self.count)))

    def leave(self) -> None:
        """A `}`."""
        self.open.pop()

    @property
    def path(self) -> Path:
        """The numbers of the open scopes: where a name is looked up from."""
        return self.open[-1].path

    def declare(self, name: str, kind: str, count: int | None = None) -> None:
        """`.reg .kind name;` or `.reg .kind name<count>;`."""
        scope = self.open[-1]
        if count is None:
            scope.registers[name] = Register(scope.unique(name), kind)
        else:
            scope.ranges[name] = (count, kind)

    def declare_vector(self, name: str, kind: str, length: int) -> None:
        """`.reg .v4 .kind name;`: registers `name.x` to `name.w`, also called `.r` to `.a`."""
        scope = self.open[-1]
        parts = [Register(f"{scope.unique(name)}.{letter}", kind) for letter in _LETTERS[0][:length]]
        scope.vectors[name] = Vector(tuple(parts))
        scope.registers |= {
            f"{name}.{letter}": part for letters in _LETTERS for letter, part in zip(letters, parts, strict=False)
        }

    def declare_variable(self, name: str) -> str:
        """A variable of this scope; its unique name."""
        scope = self.open[-1]
        return scope.variables.setdefault(name, scope.unique(name))

    def register(self, name: str) -> Register | None:
        """The register that a name means here, innermost scope first; None if there is none.

        >>> scopes = Scopes(); scopes.declare("%r", "b32", 4); scopes.register("%r3").name, scopes.register("%r4")
        ('%r3', None)
        >>> scopes.enter(); scopes.declare("%r3", "pred"); scopes.register("%r3")
        Register(name='%r3.1', type='pred')
        """
        for scope in reversed(self.open):
            if found := scope.find(name):
                self.used[found] = None
                return found
        return None

    def vector(self, name: str) -> Vector | None:
        """The vector register that a name means here, as the vector of its parts; None if there is none."""
        found = next((scope.vectors[name] for scope in reversed(self.open) if name in scope.vectors), None)
        self.used.update(dict.fromkeys(registers(found)) if found else {})
        return found

    def variable(self, name: str) -> str:
        """The unique name of the variable that a name means here; the name itself if it is not the function's own."""
        return next((scope.variables[name] for scope in reversed(self.open) if name in scope.variables), name)

    def label(self, name: str) -> str | None:
        """Define a label here; its unique name, None if this scope has it already."""
        if (self.path, name) in self.labels:
            return None
        unique = self.open[-1].unique(name)
        self.labels[self.path, name] = unique
        return unique

    def resolve(self, path: Path, name: str) -> str | None:
        """The unique name of the label that `name` means at `path`, after the body was read."""
        candidates = (self.labels.get((p, name)) for p in _outward(path))
        return next((label for label in candidates if label), None)


def _outward(path: Path) -> Iterator[Path]:
    for length in range(len(path), 0, -1):
        yield path[:length]
