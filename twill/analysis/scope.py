"""Where each value of a kernel comes from, who reads it, and which values a loop leaves unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from ir.loop import Carried, Kernel, Loop, Operation
from ir.types import Type

# Operations with an effect on memory or on other threads, or whose result is not a function of the operands.
_IMPURE = ("tt.load", "tt.store", "tt.atomic", "tt.descriptor", "tt.print", "tt.assert", "tt.call", "gpu.", "ttg.",
           "ttng.", "tt.experimental", "tt.extern", "tt.elementwise_inline_asm")  # fmt: skip


@dataclass(frozen=True)
class Induction:
    """The induction variable of a loop."""

    loop: Loop


@dataclass(frozen=True)
class LoopArgument:
    """A loop-carried value inside its loop."""

    loop: Loop
    carried: Carried


@dataclass(frozen=True)
class LoopResult:
    """A loop-carried value after its loop."""

    loop: Loop
    carried: Carried


Definition: TypeAlias = Operation | Induction | LoopArgument | LoopResult


def is_pure(operation: Operation) -> bool:
    """True where the results depend on the operands alone."""
    if operation.opcode in ("tt.extern_elementwise", "tt.elementwise_inline_asm"):
        return operation.attributes.get("pure") in (True, 1)
    return not operation.opcode.startswith(_IMPURE)


@dataclass(frozen=True)
class Scope:
    """A kernel as seen from one of its loops."""

    kernel: Kernel
    loop: Loop

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The operations of the loop body, without those of loops inside it."""
        return tuple(item for item in self.loop.body if isinstance(item, Operation))

    @cached_property
    def definitions(self) -> Mapping[str, Definition]:
        """What defines each value; a kernel argument has no entry."""
        return dict(_definitions(self.kernel.body))

    @cached_property
    def types(self) -> Mapping[str, Type]:
        """Type of each value."""
        return dict(_types(self.kernel))

    @cached_property
    def carried(self) -> Mapping[str, Carried]:
        """The loop's carried values by the name of their argument."""
        return {c.argument.name: c for c in self.loop.carried}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Operation, ...]]:
        """Operations of the body that read each value, as operand or predicate."""
        found: dict[str, list[Operation]] = {}
        for operation in self.operations:
            for name in dict.fromkeys(inputs(operation)):
                found.setdefault(name, []).append(operation)
        return {name: tuple(readers) for name, readers in found.items()}

    @cached_property
    def used_outside(self) -> frozenset[str]:
        """Values that the rest of the kernel reads: operations, other loops' bounds and carried values."""
        return frozenset(_read_outside(self.kernel.body, self.loop))

    @cached_property
    def variant(self) -> frozenset[str]:
        """Values that may differ between iterations of the loop; all others are invariant."""
        variant = {self.loop.induction.name} if self.loop.induction else set()
        variant |= {c.argument.name for c in self.loop.carried if c.yielded not in (c.argument.name, c.initial)}
        for operation in self.operations:
            if not is_pure(operation) or variant.intersection(inputs(operation)):
                variant |= {value.name for value in operation.results}
        return frozenset(variant)

    def is_invariant(self, name: str) -> bool:
        """True where the value is the same in every iteration."""
        return name not in self.variant

    def defined_inside(self, loop: Loop) -> frozenset[str]:
        """Names of all values that are defined in a loop, its carried values and induction variable included."""
        own = {c.argument.name for c in loop.carried} | ({loop.induction.name} if loop.induction else set())
        return frozenset(own | {name for name, _ in _definitions(loop.body)})

    @cached_property
    def unit_strides(self) -> frozenset[str]:
        """Arguments that are the last stride of a tensor descriptor, which is 1 (`x.stride.0`, `x.stride.1`, ...)."""
        strides: dict[str, tuple[int, str]] = {}
        for argument in self.kernel.arguments:
            base, found, number = argument.name.rpartition(".stride.")
            if found and number.isdecimal():
                strides[base] = max(strides.get(base, (-1, "")), (int(number), argument.name))
        return frozenset(name for _, name in strides.values())

    def splat(self, name: str) -> int | float | bool | None:
        """The number that a constant, or every element of a constant tile, is; None for anything else."""
        definition = self.definitions.get(name)
        if isinstance(definition, LoopArgument) and definition.carried.yielded == name:
            return self.splat(definition.carried.initial)
        if not isinstance(definition, Operation):
            return None
        if definition.opcode in ("tt.splat", "tt.broadcast", "tt.expand_dims"):
            return self.splat(definition.operands[0])
        value = definition.attributes.get("value") if definition.opcode == "arith.constant" else None
        return value if isinstance(value, int | float) else None


def inputs(operation: Operation) -> tuple[str, ...]:
    """Operands and predicates of an operation."""
    return (*operation.operands, *(p.condition for p in operation.predicates))


def _definitions(body: tuple[Operation | Loop, ...]) -> Iterator[tuple[str, Definition]]:
    for item in body:
        if isinstance(item, Operation):
            yield from ((value.name, item) for value in item.results)
            continue
        if item.induction is not None:
            yield item.induction.name, Induction(item)
        for carried in item.carried:
            yield carried.argument.name, LoopArgument(item, carried)
            yield carried.result.name, LoopResult(item, carried)
        yield from _definitions(item.body)


def _read_outside(body: tuple[Operation | Loop, ...], loop: Loop) -> Iterator[str]:
    for item in body:
        if isinstance(item, Operation):
            yield from inputs(item)
            continue
        yield from (item.lower, item.upper, item.step)
        yield from (c.initial for c in item.carried)
        if item is not loop:
            yield from (c.yielded for c in item.carried)
            yield from _read_outside(item.body, loop)


def _types(kernel: Kernel) -> Iterator[tuple[str, Type]]:
    yield from ((value.name, value.type) for value in kernel.arguments)
    for loop in kernel.loops():
        values = [v for c in loop.carried for v in (c.argument, c.result)]
        yield from ((v.name, v.type) for v in (*values, *([loop.induction] if loop.induction else [])))
    yield from _result_types(kernel.body)


def _result_types(body: tuple[Operation | Loop, ...]) -> Iterator[tuple[str, Type]]:
    for item in body:
        if isinstance(item, Loop):
            yield from _result_types(item.body)
        else:
            yield from ((value.name, value.type) for value in item.results)
