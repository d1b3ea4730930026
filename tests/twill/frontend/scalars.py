"""An interpreter of kernels of scalars: what they store, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ir.loop import Kernel, Loop, Operation, Predicate

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "slt": lambda a, b: a < b,
    "sle": lambda a, b: a <= b,
    "sgt": lambda a, b: a > b,
    "sge": lambda a, b: a >= b,
}
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "arith.addi": lambda a, b: a + b,
    "arith.subi": lambda a, b: a - b,
    "arith.muli": lambda a, b: a * b,
    "arith.remsi": lambda a, b: a % b,
    "arith.xori": lambda a, b: a ^ b,
    "arith.andi": lambda a, b: a and b,
    "arith.ori": lambda a, b: a or b,
    "arith.extui": lambda a: int(a),
    "tt.addptr": lambda a, b: a + b,
}


class Scalars:
    """Values by name; an operation whose predicates do not hold, or on undefined values, has no result (None)."""

    def __init__(self, kernel: Kernel, pid: int, n: int) -> None:
        self.values: dict[str, Any] = {"out": 0, "n": n}
        self.pid = pid
        self.stores: list[tuple[int, Any]] = []
        self.run(kernel.body)

    def holds(self, predicates: Iterable[Predicate]) -> bool:
        for predicate in predicates:
            value = self.values[predicate.condition]
            assert value is not None, "a predicate that is undefined after those before it held"
            if bool(value) is not predicate.expected:
                return False
        return True

    def run(self, items: Iterable[Operation | Loop]) -> None:
        for item in items:
            if not self.holds(item.predicates):
                self.undefine(item)
                continue
            if isinstance(item, Loop):
                self.loop(item)
            else:
                self.operation(item)

    def undefine(self, item: Operation | Loop) -> None:
        results = item.results if isinstance(item, Operation) else [c.result for c in item.carried]
        self.values.update(dict.fromkeys((v.name for v in results), None))

    def loop(self, loop: Loop) -> None:
        assert loop.induction is not None and loop.refusal is None
        state = [self.values[c.initial] for c in loop.carried]
        for i in range(*(self.values[name] for name in (loop.lower, loop.upper, loop.step))):
            self.values[loop.induction.name] = i
            self.values.update(zip((c.argument.name for c in loop.carried), state, strict=True))
            self.run(loop.body)
            state = [self.values[c.yielded] for c in loop.carried]
        self.values.update(zip((c.result.name for c in loop.carried), state, strict=True))

    def operation(self, op: Operation) -> None:
        operands = [self.values.get(name) for name in op.operands]
        if op.opcode == "tt.store":
            assert None not in operands
            self.stores.append((operands[0], operands[1]))
            return
        if op.opcode == "arith.constant":
            result: Any = op.attributes["value"]
        elif op.opcode == "tt.get_program_id":
            result = self.pid
        elif op.opcode == "arith.cmpi":
            compare = COMPARISONS[str(op.attributes["predicate"])]
            result = None if None in operands else compare(*operands)
        elif op.opcode == "arith.select":
            condition, first, second = operands
            result = first if condition else second
        else:
            result = None if None in operands else ARITHMETIC[op.opcode](*operands)
        self.values[op.results[0].name] = result


def stores(kernel: Kernel, pid: int, n: int) -> list[tuple[int, Any]]:
    """(address, value) of each store of one program."""
    return Scalars(kernel, pid, n).stores
