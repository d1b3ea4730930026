"""A PTX loop body as lowering looks at it: operations by position, producers, constants, affine addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ir.diagnostics import fail
from ir.loop import Loop, Operation


@dataclass(frozen=True)
class Source:
    """A value comes from the operation at `position`, of an iteration `distance` earlier."""

    position: int
    distance: int


@dataclass(frozen=True)
class Affine:
    """`root` + `offset`; in each iteration the root grows by `step`, None where it may change in any way."""

    root: str
    offset: int = 0
    step: int | None = None


@dataclass(frozen=True)
class Access:
    """A memory access of the operation at `position`; `address` None where nothing is known of it."""

    position: int
    space: str
    write: bool
    address: Affine | None
    extent: int


def known_constants(body: Iterable[Operation | Loop]) -> dict[str, int]:
    """Values of the `ptx.constant` operations of a kernel."""
    found: dict[str, int] = {}
    for item in body:
        if isinstance(item, Loop):
            found |= known_constants(item.body)
        elif item.opcode == "ptx.constant" and isinstance(value := item.attributes["value"], int):
            found[item.results[0].name] = value
    return found


@dataclass(frozen=True)
class LoopBody:
    """The operations of an innermost loop in program order; `constants`: integers known before the loop, by value."""

    loop: Loop
    constants: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """In program order; raises UserError where the loop holds another loop."""
        found = tuple(item for item in self.loop.body if isinstance(item, Operation))
        if len(found) != len(self.loop.body):
            raise fail("not-innermost", f"loop {self.loop.name} holds another loop", self.loop.location)
        return found

    @cached_property
    def producers(self) -> dict[str, int]:
        """Value -> position of the operation that defines it."""
        return {value.name: i for i, op in enumerate(self.operations) for value in op.results}

    @cached_property
    def yielded(self) -> dict[str, str]:
        """Loop-carried value -> what it becomes in the next iteration."""
        return {c.argument.name: c.yielded for c in self.loop.carried}

    def source(self, value: str) -> Source | None:
        """Where a value is computed; None for what comes from outside the loop."""
        seen: set[str] = set()
        while value in self.yielded and value not in seen:
            seen.add(value)
            value = self.yielded[value]
        position = self.producers.get(value)
        return None if position is None else Source(position, len(seen))

    def reads(self, position: int) -> Iterator[Source]:
        """Sources of all operands and predicates of an operation."""
        operation = self.operations[position]
        names = (*operation.operands, *(p.condition for p in operation.predicates))
        sources = (self.source(name) for name in dict.fromkeys(names))
        yield from (source for source in sources if source)

    def constant(self, value: str) -> int | None:
        """The integer that a value always is: known before the loop, or by a `mov` of this body."""
        position = self.producers.get(value)
        if position is None:
            return self.constants.get(value)
        operation = self.operations[position]
        numbers = operation.attributes.get("immediates", ())
        is_move = operation.opcode.startswith("mov.") and not operation.operands
        return numbers[0] if is_move and isinstance(numbers, tuple) and len(numbers) == 1 else None

    def affine(self, value: str) -> Affine:
        """Follow additions of constants and copies to what the value is computed from."""
        root, offset = self._back(value)
        if root.startswith("@"):
            return Affine(root, offset, 0)
        if root in self.yielded:
            after, change = self._back(self.yielded[root])
            return Affine(root, offset, change if after == root else None)
        return Affine(root, offset, None if root in self.producers else 0)

    def _back(self, value: str) -> tuple[str, int]:
        offset = 0
        while (position := self.producers.get(value)) is not None:
            change = _change(self.operations[position])
            if change is None:
                break
            value, offset = self.operations[position].operands[0], offset + change
        return value, offset

    @cached_property
    def accesses(self) -> tuple[Access, ...]:
        """All memory accesses in program order."""
        return tuple(access for i in range(len(self.operations)) for access in self._accesses(i))

    def _accesses(self, position: int) -> Iterator[Access]:
        attributes = self.operations[position].attributes
        index = 0
        while (space := attributes.get(f"access{index}_space")) is not None:
            prefix = f"access{index}"
            base, offset = str(attributes[f"{prefix}_base"]), attributes[f"{prefix}_offset"]
            assert isinstance(offset, int)
            extent = attributes[f"{prefix}_extent"]
            assert isinstance(extent, int)
            known = self.affine(base) if base else None
            address = Affine(known.root, known.offset + offset, known.step) if known else None
            read_only = ".nc" in self.operations[position].opcode or self.operations[position].opcode.startswith("ldu")
            yield Access(
                position,
                "const" if read_only else str(space),
                bool(attributes[f"{prefix}_write"]),
                address,
                extent,
            )
            index += 1


def _change(operation: Operation) -> int | None:
    """What a copy or addition of a constant adds to its operand; None for others, and where an old value is kept."""
    if len(operation.operands) != 1:
        return None
    base, *parts = operation.opcode.split(".")
    numbers = operation.attributes.get("immediates", ())
    if not isinstance(numbers, tuple) or "cc" in parts:
        return None
    scalar = parts[-1] in ("b32", "b64", "u32", "u64", "s32", "s64")
    if base == "mov" and scalar and not numbers and "{" not in str(operation.attributes.get("text", "")):
        return 0
    if base not in ("add", "sub") or not scalar or len(numbers) != 1:
        return None
    if base == "add":
        return numbers[0]
    text = str(operation.attributes.get("text", ""))
    return -numbers[0] if text.rstrip().rpartition(",")[2].strip().lstrip("-")[:1].isdigit() else None
