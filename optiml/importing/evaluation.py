"""The value of any tensor of a model at one index, as statements of a Triton kernel: nothing is computed before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from optiml.importing.indices import Index, broadcast, extents, ravel
from optiml.importing.operations import base_name, expression, literal, moved, unsupported
from optiml.importing.trace import Node, Ref, Tensor, Trace

_FLOATS = ("float64", "float32", "float16", "bfloat16")
_CONSTANTS = {
    "full": 1,
    "full_like": 1,
    "scalar_tensor": 0,
    "zeros": None,
    "ones": None,
    "zeros_like": None,
    "ones_like": None,
}


@dataclass
class Body:
    """Statements so far, at an indentation; names that are taken."""

    taken: set[str]
    lines: list[str] = field(default_factory=list)
    depth: int = 1

    def add(self, line: str) -> None:
        """One line."""
        self.lines.append("    " * self.depth + line)

    def name(self, wanted: str) -> str:
        """A new name like the wanted one."""
        names = (wanted, *(f"{wanted}_{n}" for n in range(2, 10_000)))
        found = next(n for n in names if n not in self.taken)
        self.taken.add(found)
        return found

    def bound(self, wanted: str, text: str) -> str:
        """A new variable of that value."""
        name = self.name(wanted)
        self.add(f"{name} = {text}")
        return name


@dataclass
class Evaluator:
    """Writes what a value at an index needs. `out`: where the result goes.

    masks: variables of the block -> where they are within the tensors. pinned: values that were computed as a whole
    (reductions, products), with the index at which they are known.
    """

    trace: Trace
    body: Body
    out: str
    masks: dict[str, str] = field(default_factory=dict)
    pinned: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    known: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes: Mapping[str, Node] = {n.name: n for n in self.trace.nodes}
        self.tensors: Mapping[str, Tensor] = {t.name: t for t in self.trace.tensors}

    def dims(self, name: str) -> tuple[str, ...]:
        """The extents of a tensor or of a node's result."""
        return extents((self.tensors.get(name) or self.nodes[name]).shape)

    @contextmanager
    def loop(self, header: str) -> Iterator[None]:
        """Statements within go into a loop; what is computed there is not known after it."""
        before = dict(self.known)
        self.body.add(header)
        self.body.depth += 1
        yield
        self.body.depth -= 1
        self.known = before

    def value(self, name: str, index: Sequence[Index]) -> str:
        """A variable that holds the value. Raises UserError where an operation has no expression."""
        key = (name, tuple(i.text for i in index))
        if name in self.pinned:
            return self._pinned(name, key[1])
        if key not in self.known:
            self.known[key] = self._loaded(name, index) if name in self.tensors else self._computed(name, index)
        return self.known[key]

    def mask(self, text: str) -> str:
        """Where the variables of a text are within the tensors; empty where it has none."""
        found = [mask for variable, mask in self.masks.items() if re.search(rf"\b{variable}\b", text)]
        return " & ".join(f"({m})" if len(found) > 1 else m for m in found)

    def stored(self, name: str, index: Sequence[Index]) -> None:
        """Store a value at its own index."""
        value, address = self.value(name, index), ravel(index, self.dims(name))
        mask = self.mask(address)
        self.body.add(f"tl.store({self.out} + {address}, {value}{f', mask={mask}' if mask else ''})")

    def _pinned(self, name: str, at: tuple[str, ...]) -> str:
        index, value = self.pinned[name]
        if _real(index, self.dims(name)) != _real(at, self.dims(name)):
            raise unsupported(self.nodes[name], "its result is used at other places than where it is computed")
        return value

    def _loaded(self, name: str, index: Sequence[Index]) -> str:
        tensor = self.tensors[name]
        address = ravel(index, extents(tensor.shape))
        mask = self.mask(address)
        load = f"tl.load({name}_ptr + {address}{f', mask={mask}, other=0' if mask else ''})"
        return self.body.bound(name, f"{load}.to(tl.float32)" if tensor.dtype in _FLOATS else load)

    def _computed(self, name: str, index: Sequence[Index]) -> str:
        node = self.nodes[name]
        first = node.args[0] if node.args and isinstance(node.args[0], Ref) else None
        if base_name(node) in _CONSTANTS:
            return _constant(node)
        if base_name(node) == "getitem" and first is not None and node.args[1] == 0:
            return self.value(first.name, index)
        source = moved(node, index, self.dims(first.name)) if first is not None else None
        if first is not None and source is not None:
            return self.value(first.name, source)
        text = expression(node, [self._operand(a, index) for a in node.args])
        return text if re.fullmatch(r"\w+", text) else self.body.bound(name, text)

    def _operand(self, argument: object, index: Sequence[Index]) -> str:
        if isinstance(argument, Ref):
            return self.value(argument.name, broadcast(index, self.dims(argument.name)))
        return literal(argument)


def _constant(node: Node) -> str:
    place = _CONSTANTS[base_name(node)]
    return literal(node.args[place]) if place is not None else "0.0" if "zeros" in node.op else "1.0"


def _real(index: Sequence[str], dims: Sequence[str]) -> list[str]:
    return [i for i, d in zip(index, dims, strict=True) if d != "1"]
