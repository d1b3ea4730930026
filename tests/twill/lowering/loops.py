"""Hand-made kernels for the lowering tests: a loop body from short lines, with constants and arguments around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ir.diagnostics import Location
from ir.loop import Attribute, Carried, Kernel, Loop, Operation, Value
from ir.types import Type

FILE = "kernel.py"


def tile(element: str, *shape: int) -> Type:
    return Type(element, shape)


def pointers(element: str, *shape: int) -> Type:
    return Type(element, shape, pointer=True)


@dataclass
class Builder:
    """Collects operations before (`outer`) and inside the loop; each operation gets a line number of its own."""

    arguments: list[Value] = field(default_factory=list)
    outer: list[Operation] = field(default_factory=list)
    body: list[Operation] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    attributes: dict[str, dict[str, Attribute]] = field(default_factory=dict)
    inside: bool = False

    def argument(self, name: str, type_: Type, **told: Attribute) -> str:
        self.arguments.append(Value(name, type_))
        self.attributes[name] = told
        return name

    def op(
        self, name: str, type_: Type | None, opcode: str, *operands: str, combiner: Any = (), **attributes: Any
    ) -> str:
        items = self.body if self.inside else self.outer
        results = (Value(name, type_),) if type_ is not None else ()
        place = Location(FILE, len(self.outer) + len(self.body) + 1, 1)
        items.append(Operation(opcode, operands, results, attributes, combiner=tuple(combiner), location=place))
        return name

    def constant(self, name: str, type_: Type, value: float) -> str:
        return self.op(name, type_, "arith.constant", value=value)

    def carry(self, name: str, type_: Type, initial: str, yielded: str) -> str:
        self.carried.append(Carried(Value(name, type_), initial, yielded, Value(f"{name}.out", type_)))
        return name

    def matrix(self, name: str, base: str, element: str, rows: int, columns: int, stride: str | int = 4096) -> str:
        """Pointers to a row-major tile of `base`, made before the loop; `stride` is the distance between rows."""
        self.op(f"{name}.r", tile("i32", rows), "tt.make_range", start=0, end=rows)
        self.op(f"{name}.c", tile("i32", columns), "tt.make_range", start=0, end=columns)
        self.op(f"{name}.rx", tile("i32", rows, 1), "tt.expand_dims", f"{name}.r", axis=1)
        self.op(f"{name}.cx", tile("i32", 1, columns), "tt.expand_dims", f"{name}.c", axis=0)
        if isinstance(stride, int):
            self.constant(f"{name}.s", tile("i32", rows, 1), stride)
        else:
            self.op(f"{name}.s", tile("i32", rows, 1), "tt.splat", stride)
        self.op(f"{name}.rs", tile("i32", rows, 1), "arith.muli", f"{name}.rx", f"{name}.s")
        self.op(f"{name}.p", pointers(element, rows, 1), "tt.splat", base)
        self.op(f"{name}.pr", pointers(element, rows, 1), "tt.addptr", f"{name}.p", f"{name}.rs")
        self.op(f"{name}.pb", pointers(element, rows, columns), "tt.broadcast", f"{name}.pr")
        self.op(f"{name}.cb", tile("i32", rows, columns), "tt.broadcast", f"{name}.cx")
        return self.op(name, pointers(element, rows, columns), "tt.addptr", f"{name}.pb", f"{name}.cb")

    def stream(
        self, name: str, base: str, element: str, rows: int, columns: int, step: int, stride: str | int = 4096
    ) -> str:
        """A tile that is loaded in each iteration and moves by `step` elements."""
        start = self.matrix(f"{name}.start", base, element, rows, columns, stride)
        shape = pointers(element, rows, columns)
        self.constant(f"{name}.step", tile("i32", rows, columns), step)
        self.carry(f"{name}.ptrs", shape, start, f"{name}.next")
        self.inside = True
        self.op(f"{name}.next", shape, "tt.addptr", f"{name}.ptrs", f"{name}.step")
        self.op(name, tile(element, rows, columns), "tt.load", f"{name}.ptrs", has_mask=False, has_other=False)
        self.inside = False
        return name

    def kernel(self, warps: int = 4) -> tuple[Kernel, Loop]:
        bounds = [Operation("arith.constant", (), (Value(n, Type("i32")),), {"value": v}) for n, v in BOUNDS.items()]
        loop = Loop(
            "0",
            Value("i", Type("i32")),
            *BOUNDS,
            carried=tuple(self.carried),
            body=tuple(self.body),
            location=Location(FILE, 1, 1),
        )
        # What a kernel would store after the loop.
        after = tuple(c.result.name for c in self.carried if not c.result.type.pointer)
        body = (*bounds, *self.outer, loop, Operation("use", after))
        kernel = Kernel("k", tuple(self.arguments), body, FILE, warps=warps, argument_attributes=self.attributes)
        return kernel, loop


BOUNDS = {"lower": 0, "upper": 1024, "step": 1}


def gemm(
    element: str = "f16", m: int = 128, n: int = 128, k: int = 64, warps: int = 4, **dot: Any
) -> tuple[Kernel, Loop]:
    """acc += a @ b."""
    b = Builder()
    b.argument("a_ptr", Type(element, pointer=True))
    b.argument("b_ptr", Type(element, pointer=True))
    acc = tile("i32" if element == "i8" else "f64" if element == "f64" else "f32", m, n)
    b.constant("zero", acc, 0)
    b.stream("a", "a_ptr", element, m, k, k)
    b.stream("b", "b_ptr", element, k, n, k * 4096)
    b.carry("acc.in", acc, "zero", "acc")
    b.inside = True
    b.op("acc", acc, "tt.dot", "a", "b", "acc.in", **dot)
    return b.kernel(warps)
