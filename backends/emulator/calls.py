"""Device functions: every call is replaced by the body of the function, before a kernel is laid out.

An indirect call becomes a comparison with the address of each function that it may mean. Calls of functions that have
no body (`vprintf` and its like) stay; `calls_external` does them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from backends.emulator.program import leaves, unsupported
from backends.ptx.syntax import (
    Address,
    Function,
    Guard,
    Immediate,
    Instruction,
    Label,
    Module,
    Negated,
    Operand,
    Pair,
    Parameter,
    Register,
    Symbol,
    Variable,
    Vector,
)

Statement = Instruction | Label
# Addresses of functions lie below every window of the generic address space, so that no access through one is valid.
FUNCTION_BASE = 0x7C00_0000_0000
_FUNCTION_BYTES = 16
_MOST_INSTRUCTIONS = 200_000


def function_addresses(module: Module) -> dict[str, int]:
    """An address for each device function that has a body."""
    names = dict.fromkeys(f.name for f in module.functions if not f.is_entry and not f.is_declaration)
    return {name: FUNCTION_BASE + number * _FUNCTION_BYTES for number, name in enumerate(names)}


def inlined(module: Module, entry: Function) -> Function:
    """`entry` without calls of functions that have a body.

    Raises UserError for recursion, and where so many calls are nested that the kernel becomes too long.
    """
    if not any(isinstance(s, Instruction) and s.base == "call" for s in entry.statements):
        return entry
    inliner = _Inliner(module)
    statements = tuple(inliner.body(entry, ()))
    return replace(
        entry, statements=statements, variables=(*entry.variables, *inliner.variables.values()),
        targets={**entry.targets, **inliner.targets},
    )  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A call taken apart; the operand that is called is a function's name, or a register."""

    instruction: Instruction
    results: tuple[Operand, ...]
    callee: Operand
    arguments: tuple[Operand, ...]
    targets: str

    @staticmethod
    def of(instruction: Instruction) -> Call:
        """The parts of `call{.uni} (results), callee, (arguments), targets`."""
        operands = list(instruction.operands)
        results = _items(operands.pop(0)) if isinstance(operands[0], Vector) else ()
        callee = operands.pop(0)
        arguments = _items(operands.pop(0)) if operands and isinstance(operands[0], Vector) else ()
        targets = operands[0].name if operands and isinstance(operands[0], Symbol) else ""
        return Call(instruction, results, callee, arguments, targets)


def _items(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Vector) else (operand,)


@dataclass
class _Inliner:
    """Inlines calls in one kernel. `variables` and `targets`: those of the bodies, under their new names."""

    module: Module
    variables: dict[str, Variable] = field(default_factory=dict)
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    bodies: int = 0
    length: int = 0

    def __post_init__(self) -> None:
        self.functions = {f.name: f for f in self.module.functions if not f.is_entry and not f.is_declaration}
        self.addresses = function_addresses(self.module)

    def body(self, function: Function, callers: tuple[str, ...]) -> Iterator[Statement]:
        """The statements of a function, with those of what it calls in place of each call."""
        for statement in function.statements:
            if isinstance(statement, Instruction) and statement.base == "call":
                yield from self._call(function, Call.of(statement), callers)
            else:
                self._grow(statement)
                yield statement

    def _grow(self, statement: Statement) -> None:
        self.length += 1
        if self.length > _MOST_INSTRUCTIONS and isinstance(statement, Instruction):
            raise unsupported(statement, f"calls that come to more than {_MOST_INSTRUCTIONS} instructions")

    def _call(self, function: Function, call: Call, callers: tuple[str, ...]) -> Iterator[Statement]:
        name = call.callee.name if isinstance(call.callee, Symbol) else ""
        name = self.module.aliases.get(name, name)
        if not name:
            yield from self._indirect(function, call, callers)
        elif name in self.functions:
            yield from self._inline(call, self.functions[name], callers)
        else:
            yield call.instruction

    def _indirect(self, function: Function, call: Call, callers: tuple[str, ...]) -> Iterator[Statement]:
        """`if p == address of f: f(...)` for each function that may be meant, then a trap."""
        self.bodies += 1
        end, found = f"$call{self.bodies}_end", f"%call{self.bodies}"
        yield from _skip(call.instruction, end)
        for number, name in enumerate(self._candidates(function, call)):
            match, other = Register(f"{found}_{number}", "pred"), f"$call{self.bodies}_{number}_{name}"
            address = Immediate(name, self.addresses[name])
            yield _step(call.instruction, "setp.ne.u64", (match, call.callee, address))
            yield _step(call.instruction, "bra", (Symbol(other),), Guard(match))
            yield from self._inline(
                replace(call, instruction=replace(call.instruction, guard=None)), self.functions[name], callers
            )
            yield _step(call.instruction, "bra", (Symbol(end),))
            yield Label(other)
        yield _step(call.instruction, "trap", ())
        yield Label(end)

    def _candidates(self, function: Function, call: Call) -> list[str]:
        """The listed targets; else every function of this shape whose address is taken."""
        listed = function.targets.get(call.targets, ())
        if listed and all(name in self.functions for name in listed):
            return list(listed)
        shape = (len(call.results), len(call.arguments))
        taken = self._taken()
        return [n for n, f in self.functions.items() if n in taken and (len(f.returns), len(f.parameters)) == shape]

    def _taken(self) -> set[str]:
        """Functions whose address is in a variable or in an operand of something other than a call."""
        names = {r.symbol for v in self.module.variables for r in v.relocations}
        for function in self.module.functions:
            for statement in function.statements:
                if isinstance(statement, Instruction) and statement.base != "call":
                    names |= {o.name for o in leaves(statement) if isinstance(o, Symbol)}
        return names

    def _inline(self, call: Call, callee: Function, callers: tuple[str, ...]) -> Iterator[Statement]:
        if callee.name in callers:
            raise unsupported(call.instruction, f"recursion of `{callee.name}`")
        self.bodies += 1
        renaming = _Renaming(f"${self.bodies}", self._names(call, callee, f"${self.bodies}"))
        end = f"$return{self.bodies}"
        yield from _skip(call.instruction, end)
        for parameter, argument in _registers(callee.parameters, call.arguments):
            yield _step(call.instruction, f"mov.{parameter.type}", (renaming.register(parameter), argument))
        self.targets |= {renaming.name(k): tuple(map(renaming.name, v)) for k, v in callee.targets.items()}
        for statement in self.body(callee, (*callers, callee.name)):
            yield renaming.statement(statement, end)
        yield Label(end)
        for parameter, result in _registers(callee.returns, call.results):
            yield _step(call.instruction, f"mov.{parameter.type}", (result, renaming.register(parameter)))

    def _names(self, call: Call, callee: Function, suffix: str) -> dict[str, str]:
        """New names of labels, variables and parameters; a parameter gets the name of the caller's variable."""
        names = {s.name: s.name + suffix for s in callee.statements if isinstance(s, Label)}
        names |= {label: label + suffix for label in callee.targets}
        for parameter, argument in _pairs(call, callee):
            if isinstance(argument, Symbol):
                names[parameter.name] = argument.name
            elif not parameter.is_register:
                raise unsupported(call.instruction, "an argument that is no variable for a parameter in `.param` space")
        for variable in callee.variables:
            is_own = variable.space in ("local", "param")
            names[variable.name] = variable.name + (suffix if is_own else f"${callee.name}")
            self.variables[names[variable.name]] = replace(variable, name=names[variable.name])
        return names


@dataclass(frozen=True)
class _Renaming:
    """Gives the registers and names of one inlined body names of their own."""

    suffix: str
    names: Mapping[str, str]

    def name(self, name: str) -> str:
        """The new name of a label, variable or parameter."""
        return self.names.get(name, name)

    def register(self, parameter: Parameter) -> Register:
        """The register that a parameter in `.reg` space is."""
        return Register(parameter.name + self.suffix, parameter.type)

    def statement(self, statement: Statement, end: str) -> Statement:
        """A statement under new names; `ret` jumps to the end."""
        if isinstance(statement, Label):
            return Label(self.name(statement.name), statement.place)
        guard = statement.guard
        if guard is not None:
            guard = Guard(Register(guard.register.name + self.suffix, guard.register.type), guard.expected)
        if statement.base == "ret":
            return replace(statement, opcode="bra", operands=(Symbol(end),), guard=guard)
        return replace(statement, operands=tuple(map(self.operand, statement.operands)), guard=guard)

    def operand(self, operand: Operand) -> Operand:
        """An operand under new names."""
        match operand:
            case Register(name, kind):
                return Register(name + self.suffix, kind)
            case Symbol(name, offset):
                return Symbol(self.name(name), offset)
            case Negated(inner):
                return Negated(self.operand(inner))
            case Vector(items):
                return Vector(tuple(map(self.operand, items)))
            case Pair(first, second):
                return Pair(self.operand(first), self.operand(second))
            case Address(base, offset, extra):
                return Address(self.operand(base), offset, tuple(map(self.operand, extra)))  # type: ignore[arg-type]
        return operand


def _pairs(call: Call, callee: Function) -> Iterator[tuple[Parameter, Operand]]:
    for parameters, given in ((callee.parameters, call.arguments), (callee.returns, call.results)):
        for parameter, argument in zip_longest(parameters, given):
            if parameter is None or argument is None:
                message = f"{len(given)} operands for {len(parameters)} parameters or results of `{callee.name}`"
                raise unsupported(call.instruction, message)
            yield parameter, argument


def _registers(parameters: tuple[Parameter, ...], given: tuple[Operand, ...]) -> list[tuple[Parameter, Operand]]:
    return [(p, g) for p, g in zip(parameters, given, strict=True) if p.is_register]


def _skip(call: Instruction, end: str) -> Iterator[Statement]:
    """A guarded call is jumped over where its guard does not hold."""
    if call.guard is not None:
        yield _step(call, "bra", (Symbol(end),), Guard(call.guard.register, not call.guard.expected))


def _step(call: Instruction, opcode: str, operands: tuple[Operand, ...], guard: Guard | None = None) -> Instruction:
    return replace(call, opcode=opcode, operands=operands, guard=guard)
