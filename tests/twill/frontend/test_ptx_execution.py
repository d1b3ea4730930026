"""A loop in SSA form computes what its PTX computes: random loops with nested ifs and guards, run both ways."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backends.ptx.parser import parse_ptx
from backends.ptx.syntax import Address, Immediate, Instruction, Label, Register, Symbol
from ir.loop import Loop, Operation
from tests.twill.frontend.ptx_text import counted
from twill.frontend.ptx import load_ptx

ITERATIONS = 7
DATA_REGISTERS = tuple(range(10, 16))
PREDICATES = tuple(range(1, 6))
OPCODES = {
    "add.s32": lambda a, b: (a + b) % 997,
    "sub.s32": lambda a, b: (a - b) % 997,
    "mul.lo.s32": lambda a, b: a * b % 997,
    "setp.lt.s32": lambda a, b: a < b,
    "mov.u32": lambda a: a,
    "mov.b32": lambda a: a,
}


@dataclass
class Writer:
    """Writes the body of a random loop."""

    dice: random.Random
    lines: list[str] = field(default_factory=list)
    labels: int = 0

    def block(self, depth: int) -> None:
        for _ in range(self.dice.randint(1, 4)):
            self.dice.choice((self.step, self.step, self.step, lambda: self.branch(depth)))()

    def step(self) -> None:
        register, one, other = (f"%r{self.dice.choice(DATA_REGISTERS)}" for _ in range(3))
        predicate = f"%p{self.dice.choice(PREDICATES)}"
        guard = f"@{self.dice.choice(('', '!'))}%p{self.dice.choice(PREDICATES)} " if self.dice.random() < 0.3 else ""
        arithmetic = self.dice.choice(("add.s32", "sub.s32", "mul.lo.s32"))
        line = self.dice.choice(
            (
                f"{arithmetic} {register}, {one}, {other};",
                f"add.s32 {register}, {one}, {self.dice.randint(1, 9)};",
                f"mov.b32 {register}, {one};",
                f"setp.lt.s32 {predicate}, {one}, {other};",
                f"st.global.u32 [%rd1], {one};",
            )
        )
        self.lines.append(guard + line)

    def branch(self, depth: int) -> None:
        if depth == 0:
            return self.step()
        self.labels += 1
        name, predicate = f"L{self.labels}", f"@%p{self.dice.choice(PREDICATES)}"
        self.lines.append(f"{predicate} bra {name};")
        self.block(depth - 1)
        if self.dice.random() < 0.5:
            self.lines += [f"bra {name}_END;", f"{name}:"]
            self.block(depth - 1)
            self.lines.append(f"{name}_END:")
        else:
            self.lines.append(f"{name}:")
        return None


def random_loop(seed: int) -> str:
    writer = Writer(random.Random(seed))
    writer.block(3)
    stores = "\n".join(f"st.global.u32 [%rd1], %r{r};" for r in DATA_REGISTERS)
    return counted("\n".join([*writer.lines, stores]), bound=str(ITERATIONS))


def initial(name: str) -> int | bool:
    """The value of a register before the loop; %r0 is set by the loop itself."""
    number = int("".join(c for c in name.partition(".")[0] if c.isdigit()))
    return number % 2 == 0 if name.startswith("p") else 31 * number % 101


def run_ptx(text: str) -> list[int]:
    """What the PTX stores, executed instruction by instruction with its branches."""
    statements = parse_ptx(text).entries[0].statements
    labels = {s.name: i for i, s in enumerate(statements) if isinstance(s, Label)}
    values: dict[str, int | bool] = {}
    stored: list[int] = []

    def value(operand: object) -> int | bool:
        if isinstance(operand, Immediate):
            assert operand.value is not None
            return operand.value
        assert isinstance(operand, Register)
        return values.setdefault(operand.name, initial(operand.name.lstrip("%")))

    position = 0
    while position < len(statements):
        statement = statements[position]
        position += 1
        if isinstance(statement, Label):
            continue
        if statement.guard and value(statement.guard.register) != statement.guard.expected:
            continue
        position = _step(statement, value, values, stored, labels, position)
    return stored


def _step(instruction: Instruction, value, values, stored, labels, position: int) -> int:
    match instruction.base, instruction.operands:
        case "bra", (Symbol(name),):
            return labels[name]
        case "ret", _:
            return 1 << 30
        case "st", (Address(), source):
            stored.append(value(source))
        case _, (Register(name), *sources):
            values[name] = OPCODES[instruction.opcode](*map(value, sources))
    return position


def run_ssa(loop: Loop, constants: dict[str, int]) -> list[int]:
    """What the SSA form stores; a value that was not computed is None, and reading it in earnest an error."""
    carried = {c.argument.name: constants.get(c.initial, initial(c.initial)) for c in loop.carried}
    stored: list[int] = []
    for _ in range(ITERATIONS):
        values: dict[str, int | bool | None] = dict(carried)
        for operation in loop.body:
            assert isinstance(operation, Operation)
            _operate(operation, values, stored)
        carried = {c.argument.name: values[c.yielded] for c in loop.carried}
    return stored


def _operate(operation: Operation, values: dict[str, int | bool | None], stored: list[int]) -> None:
    def value(name: str) -> int | bool | None:
        return values[name] if name in values else initial(name)

    if operation.opcode == "bra":
        return
    operands = [value(name) for name in operation.operands]
    kept = operands.pop() if operation.attributes.get("partial") else None
    if any(value(p.condition) is not p.expected for p in operation.predicates):
        values.update({result.name: kept for result in operation.results})
        return
    operands += operation.attributes.get("immediates", ())
    if operation.opcode.startswith("st"):
        assert operands[-1] is not None
        stored.append(operands[-1])
        return
    assert None not in operands
    values[operation.results[0].name] = OPCODES[operation.opcode](*operands)


def check(tmp_path: Path, seeds: range) -> int:
    path, partial = tmp_path / "k.ptx", 0
    for seed in seeds:
        text = random_loop(seed)
        path.write_text(text)
        kernel = load_ptx(path)
        (loop,) = kernel.loops()
        assert loop.refusal is None and loop.trip_count == ITERATIONS
        constants = {
            item.results[0].name: item.attributes["value"]
            for item in kernel.body
            if isinstance(item, Operation) and item.opcode == "ptx.constant"
        }
        assert run_ssa(loop, constants) == run_ptx(text), seed
        partial += sum(bool(o.attributes.get("partial")) for o in loop.body if isinstance(o, Operation))
    return partial


def test_random_loops(tmp_path: Path) -> None:
    assert check(tmp_path, range(150)) > 100


@pytest.mark.slow
def test_many_random_loops(tmp_path: Path) -> None:
    assert check(tmp_path, range(1000, 4000)) > 1000
