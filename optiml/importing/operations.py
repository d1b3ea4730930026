"""ATen's operations as Triton expressions: elementwise ones as texts, reductions and views by what indices become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir.diagnostics import Diagnostic, UserError
from ir.expression import Expression
from optiml.importing.indices import Index, broadcast, extent_text, extents, reshape
from optiml.importing.trace import Dtype, Node, Ref

# Operation without its overload -> expression of its operands.
POINTWISE: Mapping[str, str] = {
    "add": "({0} + {1})", "sub": "({0} - {1})", "mul": "({0} * {1})", "div": "({0} / {1})", "neg": "(-{0})",
    "exp": "tl.exp({0})", "exp2": "tl.exp2({0})", "log": "tl.log({0})", "log2": "tl.log2({0})",
    "sqrt": "tl.sqrt({0})", "rsqrt": "tl.rsqrt({0})", "reciprocal": "(1.0 / {0})", "abs": "tl.abs({0})",
    "sin": "tl.sin({0})", "cos": "tl.cos({0})", "erf": "tl.erf({0})", "sigmoid": "tl.sigmoid({0})",
    "tanh": "(2.0 * tl.sigmoid(2.0 * {0}) - 1.0)", "relu": "tl.maximum({0}, 0.0)", "log1p": "tl.log(1.0 + {0})",
    "expm1": "(tl.exp({0}) - 1.0)", "maximum": "tl.maximum({0}, {1})", "minimum": "tl.minimum({0}, {1})",
    "floor": "tl.floor({0})", "ceil": "tl.ceil({0})", "gt": "({0} > {1})", "ge": "({0} >= {1})", "lt": "({0} < {1})",
    "le": "({0} <= {1})", "eq": "({0} == {1})", "ne": "({0} != {1})", "where": "tl.where({0}, {1}, {2})",
    "logical_and": "({0} & {1})", "logical_or": "({0} | {1})", "square": "({0} * {0})",
    "sign": "tl.where({0} > 0, 1.0, tl.where({0} < 0, -1.0, 0.0))", "expand": "{0}", "clone": "{0}", "alias": "{0}",
    "detach": "{0}", "contiguous": "{0}", "lift_fresh_copy": "{0}",
}  # fmt: skip
_POWERS = {
    2: "({0} * {0})",
    3: "({0} * {0} * {0})",
    1: "{0}",
    0.5: "tl.sqrt({0})",
    -0.5: "tl.rsqrt({0})",
    -1: "(1.0 / {0})",
}
_FLOATS = ("float32", "float16", "bfloat16")
_RESHAPES = ("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten")
# Reduction -> how it is accumulated: start, combination of what was and what comes, and over the lanes at the end.
ACCUMULATE: Mapping[str, tuple[str, str, str]] = {
    "sum": ("0.0", "{0} + {1}", "tl.sum({0}, 0)"),
    "amax": ('float("-inf")', "tl.maximum({0}, {1})", "tl.max({0}, 0)"),
    "amin": ('float("inf")', "tl.minimum({0}, {1})", "tl.min({0}, 0)"),
}
_REDUCTIONS = {"sum": "sum", "amax": "amax", "amin": "amin", "mean": "mean", "var": "var", "max": "amax", "min": "amin"}


@dataclass(frozen=True)
class Reduction:
    """`kind`: sum, amax, amin, mean or var; `axes` of the source that it goes over."""

    node: Node
    kind: str
    source: str
    axes: tuple[int, ...]
    correction: float = 0.0


def unsupported(node: Node, why: str = "") -> UserError:
    """The refusal that names the operation and what to do."""
    reason = f": {why}" if why else ""
    message = f"no first kernel is known for a model with `{node.op}`{reason}"
    return UserError(Diagnostic("unsupported-operation", message, remedy="hand in a kernel of your own: --kernel FILE"))


def base_name(node: Node) -> str:
    """`add` of `aten.add.Tensor`."""
    return node.op.split(".")[1]


def reduction_of(node: Node, ranks: Mapping[str, int]) -> Reduction | None:
    """What a node reduces; None for another operation. Raises UserError for one that has no such form."""
    name = base_name(node)
    is_pair = name in ("max", "min")
    if name not in _REDUCTIONS or (is_pair and not node.op.endswith(".dim")):
        return None
    source = node.args[0].name
    rank, given = ranks[source], node.args[1] if len(node.args) > 1 else None
    axes = (given,) if isinstance(given, int) else given or tuple(range(rank))
    correction = node.kwargs.get("correction", 1 if node.op.startswith("aten.var") else 0)
    if node.op.startswith("prims.var"):
        correction = node.args[2] if len(node.args) > 2 else 1
    return Reduction(node, _REDUCTIONS[name], source, tuple(sorted(a % rank for a in axes)), float(correction or 0))


def moved(node: Node, index: Sequence[Index], source_dims: tuple[str, ...]) -> tuple[Index, ...] | None:
    """The index into a view's source for an index into the view; None for what is no view."""
    name, dims = base_name(node), extents(node.shape)
    if name in _RESHAPES:
        return reshape(index, dims, source_dims)
    axes = _order(node, name, len(source_dims))
    if axes is not None:
        return tuple(index[axes.index(i)] for i in range(len(source_dims)))
    if name == "broadcast_in_dim":
        return broadcast(tuple(index[i] for i in node.args[2]), source_dims)
    return None


def _order(node: Node, name: str, rank: int) -> tuple[int, ...] | None:
    """Axes of the source in the order of a permutation's result."""
    if name == "permute":
        return tuple(a % rank for a in node.args[1])
    if name == "t":
        return tuple(reversed(range(rank)))
    if name != "transpose":
        return None
    one, other = (a % rank for a in node.args[1:3])
    swapped = {one: other, other: one}
    return tuple(swapped.get(i, i) for i in range(rank))


def expression(node: Node, operands: Sequence[str]) -> str:
    """An elementwise operation of the texts of its operands. Raises UserError for another operation."""
    name, kwargs = base_name(node), dict(node.kwargs)
    if name in ("_to_copy", "convert_element_type", "to"):
        return _cast(node, operands[0])
    scaled = kwargs.pop("alpha", None)
    if kwargs:
        raise unsupported(node, f"with {', '.join(kwargs)}")
    operands = [operands[0], f"({scaled} * {operands[1]})"] if scaled not in (None, 1) else list(operands)
    if name == "pow":
        return _power(node, operands[0])
    if name == "clamp":
        low, high = (*operands[1:], "None", "None")[:2]
        below = operands[0] if low == "None" else f"tl.maximum({operands[0]}, {low})"
        return below if high == "None" else f"tl.minimum({below}, {high})"
    if name not in POINTWISE:
        raise unsupported(node)
    return POINTWISE[name].format(*operands)


def _power(node: Node, operand: str) -> str:
    exponent = node.args[1]
    if exponent not in _POWERS:
        raise unsupported(node, f"the exponent {exponent if not isinstance(exponent, Ref) else 'is a tensor'}")
    return _POWERS[exponent].format(operand)


def _cast(node: Node, operand: str) -> str:
    if node.dtype not in _FLOATS:
        raise unsupported(node, f"to {node.dtype}")
    return f"({operand}).to(tl.float32)" if "<" in operand or ">" in operand else operand


def literal(value: Any) -> str:
    """A number among the operands."""
    if isinstance(value, Expression):
        return extent_text(value)
    if isinstance(value, Dtype):
        return value.name
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    return repr(value)
