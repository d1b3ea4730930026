"""What a model computes, as data: tensors that go in, ATen operations, tensors that come out.

It comes from the child that ran the problem, so that everything in it is checked: names are plain words, operations are
ATen's own, numbers are numbers. Nothing else of the problem reaches the task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ir.diagnostics import Diagnostic, UserError

DTYPES = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int64": "i64", "int32": "i32",
    "int16": "i16", "int8": "i8", "uint8": "u8", "bool": "i1",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z_]\w{0,99}")
_OPERATION = re.compile(r"(aten|prims)\.\w{1,99}\.\w{1,99}")
# Equations of einsum, modes of rounding and of approximation.
_PLAIN = re.compile(r"[A-Za-z0-9_,.> -]{0,60}")
# Operations that read files or draw numbers: a task must not have them.
_FORBIDDEN = ("from_file", "rand", "bernoulli", "dropout", "normal", "uniform", "multinomial", "exponential", "poisson")


@dataclass(frozen=True)
class Ref:
    """The result of a node, or a tensor that goes in, by name."""

    name: str


@dataclass(frozen=True)
class Tensor:
    """A tensor that goes in. `fill`: how the problem made it (`rand`, `randn`, `randint`, ...), empty if unknown."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: str = ""
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Node:
    """One operation: `aten.add.Tensor`; arguments are Refs, numbers, texts of dtypes, None, and tuples of these."""

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """Inputs of the model, its parameters, its operations in order, and the names of what it returns."""

    inputs: tuple[Tensor, ...]
    parameters: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Everything that goes in and is used."""
        used = {ref.name for node in self.nodes for ref in refs((*node.args, *node.kwargs.values()))} | {*self.outputs}
        return tuple(t for t in (*self.inputs, *self.parameters) if t.name in used)

    def live(self) -> Trace:
        """Without the operations on which no output depends; those that write to what they are given stay."""
        wanted, kept = {*self.outputs}, []
        for node in reversed(self.nodes):
            if node.name in wanted or node.op.split(".")[1].endswith("_"):
                wanted |= {r.name for r in refs((*node.args, *node.kwargs.values()))}
                kept.append(node)
        return replace(self, nodes=tuple(reversed(kept)))


@dataclass(frozen=True)
class Dtype:
    """An element type among the arguments of an operation, by PyTorch's name."""

    name: str


def refs(value: Any) -> Iterator[Ref]:
    """All references in an argument."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from refs(each)


def trace_of(document: Any) -> Trace:
    """The trace that a child's answer holds. Raises UserError: bad-trace for another form, forbidden-operation."""
    try:
        return Trace(
            inputs=tuple(_tensor(t) for t in document["inputs"]),
            parameters=tuple(_tensor(t) for t in document["parameters"]),
            nodes=tuple(_node(n) for n in document["nodes"]),
            outputs=tuple(_word(name) for name in document["outputs"]),
        ).live()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(Diagnostic("bad-trace", f"the traced model has not the form of one: {error!r}")) from error


def _tensor(d: Any) -> Tensor:
    low, high = int(d.get("low", 0)), int(d.get("high", 0))
    return Tensor(_word(d["name"]), _dtype(d["dtype"]), _shape(d["shape"]), _fill(d.get("fill", "")), low, high)


def _node(d: Any) -> Node:
    op = str(d["op"])
    if not _OPERATION.fullmatch(op):
        raise ValueError(f"`{op[:60]}` is no operation of ATen")
    if any(word in op for word in _FORBIDDEN):
        message = f"the model uses `{op}`, which draws numbers or reads files: no kernel can be compared with that"
        raise UserError(Diagnostic("forbidden-operation", message, remedy="use the model without it"))
    kwargs = {_word(k): _argument(v) for k, v in d["kwargs"].items()}
    args = tuple(_argument(a) for a in d["args"])
    return Node(_word(d["name"]), op, args, kwargs, _dtype(d["dtype"]), _shape(d["shape"]))


def _argument(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return tuple(map(_argument, value))
    ((kind, inner),) = value.items()
    return _KINDS[kind](inner)


def _text(value: Any) -> str:
    if not _PLAIN.fullmatch(value):
        raise ValueError(f"`{value[:60]}` is no plain text")
    return str(value)


def _word(name: Any) -> str:
    if not isinstance(name, str) or not _WORD.fullmatch(name):
        raise ValueError(f"`{str(name)[:60]}` is no name")
    return name


def _fill(name: Any) -> str:
    return _word(name) if name else ""


def _dtype(name: Any) -> str:
    if name not in DTYPES:
        raise ValueError(f"no tensor of {str(name)[:60]}")
    return str(name)


def _shape(extents: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in extents)


_KINDS: Mapping[str, Callable[[Any], Any]] = {
    "ref": lambda name: Ref(_word(name)),
    "dtype": lambda name: Dtype(_dtype(name)),
    "float": float,
    "text": _text,
}
