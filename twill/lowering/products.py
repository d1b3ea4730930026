"""Matrix products: shapes, and rates by element type."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ir.diagnostics import fail
from ir.loop import Operation
from ir.types import Type
from twill.lowering.context import Context
from twill.lowering.draft import DraftEdge, Refs

# Element type of the operands -> name of the rate.
_RATE_KEYS = {"f16": "fp16", "bf16": "bf16", "f32": "tf32", "i8": "int8", "f64": "fp64"}
# Products of narrower numbers that one of this precision is made of, and their type (names as in Triton's TTIR).
_PASSES = {"tf32x3": (3, "tf32"), "bf16x3": (3, "bf16"), "bf16x6": (6, "bf16")}


@dataclass(frozen=True)
class Product:
    """`batch` products of m x k by k x n with elements of `element`; `passes` of them at rate `rate_key`."""

    batch: int
    m: int
    n: int
    k: int
    element: Type
    rate_key: str
    passes: int = 1

    def flop(self, row_multiple: int = 1) -> int:
        """Operations, with the rows padded to a multiple."""
        rows = math.ceil(self.m / row_multiple) * row_multiple
        return 2 * self.passes * self.batch * rows * self.n * self.k

    @property
    def a_bytes(self) -> int:
        """Bytes of the first operand."""
        return self.batch * self.m * self.k * self.element.element_bits // 8

    @property
    def b_bytes(self) -> int:
        """Bytes of the second operand."""
        return self.batch * self.n * self.k * self.element.element_bits // 8

    def __str__(self) -> str:
        batch = f"{self.batch} x " if self.batch > 1 else ""
        return f"{batch}{self.m}x{self.n}x{self.k} {self.rate_key}"


def product_of(context: Context, operation: Operation, copy: int | None) -> Product:
    """Shapes and rate of a product. Raises UserError `unsupported-type` where the machine has no rate for it."""
    a = context.type_of(operation.operands[0], copy)
    result = context.type_of(operation.results[0].name, copy)
    *outer, m, n = result.shape
    passes, key = _rate_key(context, operation, a, result)
    # Two fp4 numbers share a byte.
    packed = operation.attributes.get("a_elem_type") == "e2m1"
    k = a.shape[-1] * (2 if packed else 1)
    return Product(math.prod(outer), m, n, k, Type("f4E2M1FN") if packed else a, key, passes)


def _rate_key(context: Context, operation: Operation, a: Type, result: Type) -> tuple[int, str]:
    precision = str(operation.attributes.get("inputPrecision", "tf32"))
    if operation.opcode == "tt.dot_scaled":
        return 1, _scaled_key(context, operation)
    key = "fp8" if a.element.startswith("f8") else _RATE_KEYS.get(a.element, a.element)
    passes = 1
    if a.element == "f32":
        passes, key = _PASSES.get(precision, (1, "fp32" if precision == "ieee" else "tf32"))
    if result.element == "f16" and f"tensor_{key}_fp16acc_flop_per_cycle" in context.machine.rates:
        key += "_fp16acc"
    if key != "fp32" and f"tensor_{key}_flop_per_cycle" not in context.machine.rates:
        message = f"the tensor cores of {context.machine.name} ({context.machine.architecture}) take no {a.element}"
        raise fail("unsupported-type", f"{message} operands ({key})", operation.location, "convert the operands")
    return passes, key


def _scaled_key(context: Context, operation: Operation) -> str:
    """Products with a scale for each block exist where there is a rate for fp4."""
    if "tensor_fp4_flop_per_cycle" not in context.machine.rates:
        message = f"{context.machine.name} ({context.machine.architecture}) has no block-scaled products"
        raise fail("unsupported-type", message, operation.location, "scale the operands, and use a plain product")
    kinds = {str(operation.attributes.get(name, "")) for name in ("a_elem_type", "b_elem_type")}
    return "fp4" if kinds == {"e2m1"} else "fp8"


def accumulator_edges(refs: Refs) -> tuple[DraftEdge, ...]:
    """Edges from what an accumulator is before the product."""
    return tuple(DraftEdge(ref, "", "accumulator") for ref in refs)


def has_accumulator(context: Context, operation: Operation) -> bool:
    """False where the product starts from zero."""
    return context.scope.splat(operation.operands[2]) != 0
