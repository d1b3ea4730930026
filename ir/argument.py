"""One argument of a kernel: its type, shape and contents, as values and as a task file tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ir.document import TableReader
from ir.entry import shared_layout
from ir.expression import Expression
from ir.types import ELEMENT_BITS

# Triton's name of each element type, and the name that ir.types has for it.
DTYPES = {
    "fp64": "f64", "fp32": "f32", "fp16": "f16", "bf16": "bf16", "fp8e4nv": "f8E4M3FN", "fp8e5": "f8E5M2",
    "i64": "i64", "i32": "i32", "i16": "i16", "i8": "i8", "u8": "i8", "i1": "i1",
}  # fmt: skip
KINDS = ("tensor", "descriptor", "scalar")
ROLES = ("in", "out", "inout", "scratch")
DISTRIBUTIONS = ("normal", "uniform", "integers", "offsets", "zeros")
# Triton's launcher tells the compiler of each argument that a multiple of 16 (bytes, if an address) was passed.
ALIGNMENT = 16


@dataclass(frozen=True)
class Distribution:
    """How an input is filled.

    normal: mean 0, variance 1. uniform: [low, high). integers: [low, high). offsets: a random ascending
    sequence whose first element is 0 and whose last is high (the ends of ragged groups). zeros: all 0.
    """

    kind: str
    low: Expression | float = 0.0
    high: Expression | float = 1.0

    def bounds(self, values: Mapping[str, int]) -> tuple[float, float]:
        """`low` and `high` for these sizes."""
        return _number(self.low, values), _number(self.high, values)


@dataclass(frozen=True)
class Argument:
    """One argument of the kernel, in launch order.

    `name` is what the reference calls it, `parameter` what the kernel does; CUDA kernels take arguments by
    position. A tensor is contiguous and row major; a descriptor is a tensor that is handed over as a tensor
    descriptor with tiles of `block`. Scratch is filled by its distribution before each launch, belongs to the
    kernel from then on, and is no output.
    """

    name: str
    parameter: str
    kind: str
    role: str
    dtype: str
    shape: tuple[Expression, ...] = ()
    block: tuple[Expression, ...] = ()
    value: Expression | float | None = None
    distribution: Distribution = Distribution("normal")
    is_gluon: bool = False

    @property
    def is_input(self) -> bool:
        """Whether the kernel reads it."""
        return self.role != "out"

    @property
    def is_output(self) -> bool:
        """Whether the kernel writes a result to it."""
        return self.role in ("out", "inout")

    @property
    def element_bits(self) -> int:
        """Bits of one element."""
        return ELEMENT_BITS[DTYPES[self.dtype]]

    def shape_at(self, values: Mapping[str, int]) -> tuple[int, ...]:
        """Extents for these sizes, outermost first."""
        return tuple(e.evaluate(values) for e in self.shape)

    def value_at(self, values: Mapping[str, int]) -> int | float:
        """The value of a scalar for these sizes."""
        assert self.value is not None, f"{self.name} is no scalar"
        number = _number(self.value, values)
        return number if self.dtype.startswith("fp") else int(number)

    def triton_type(self, values: Mapping[str, int]) -> str:
        """Its type in a Triton signature: `*fp16`, `i32`, `tensordesc<fp16[128, 64]>`; Gluon adds the tile's layout."""
        if self.kind == "scalar":
            return self.dtype
        if self.kind == "tensor":
            return f"*{self.dtype}"
        block = [e.evaluate(values) for e in self.block]
        layout = f",{shared_layout(block, self.element_bits)}" if self.is_gluon else ""
        return f"tensordesc<{self.dtype}{block}{layout}>"

    def is_aligned(self, values: Mapping[str, int]) -> bool:
        """Whether Triton's launcher would find that `ALIGNMENT` divides it; of a descriptor it does not ask."""
        if self.kind != "scalar":
            return self.kind == "tensor"
        return self.dtype.startswith("i") and self.value_at(values) % ALIGNMENT == 0


def read_argument(table: TableReader, symbols: frozenset[str], language: str) -> Argument:
    """One `[[argument]]`; `symbols` are the names that its expressions may use."""
    name, kind = table.text("name"), table.text("kind", "tensor", KINDS)
    scalar = kind == "scalar"
    return Argument(
        name=name,
        parameter=table.text("parameter", name),
        kind=kind,
        role="in" if scalar else table.text("role", None, ROLES),
        dtype=table.text("dtype", None, tuple(DTYPES)),
        shape=() if scalar else table.expressions("shape", symbols),
        block=table.expressions("block", symbols) if kind == "descriptor" else (),
        value=table.quantity("value", symbols) if scalar else None,
        distribution=_distribution(table, symbols),
        is_gluon=language == "gluon",
    )


def _distribution(table: TableReader, symbols: frozenset[str]) -> Distribution:
    if not isinstance(table.data.get("distribution"), dict):
        return Distribution(table.text("distribution", "normal", DISTRIBUTIONS))
    inner = table.table("distribution")
    kind = inner.text("kind", None, DISTRIBUTIONS)
    return Distribution(kind, inner.quantity("low", symbols, 0.0), inner.quantity("high", symbols, 1.0))


def _number(value: Expression | float, values: Mapping[str, int]) -> float:
    return value.evaluate(values) if isinstance(value, Expression) else value
