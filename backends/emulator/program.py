"""A kernel made ready to run: registers numbered, memory laid out, instructions cut into basic blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from backends.findings import Site
from backends.ptx.syntax import (
    Address,
    Function,
    Instruction,
    Label,
    Module,
    Negated,
    Operand,
    Pair,
    Register,
    Symbol,
    Variable,
    Vector,
)
from ir.diagnostics import fail

_WIDTH_CLASS = {1: "p", 8: "h", 16: "h", 32: "w", 64: "d", 128: "q"}
_TYPE_BITS = {"pred": 1, "b128": 128, "f16x2": 32, "bf16x2": 32, "f32x2": 64}
# Special registers that are as wide as an address; all others have 32 bits.
_WIDE_SPECIALS = frozenset({"%clock64", "%globaltimer", "%gridid", "%current_graph_exec"})
# The condition code that `add.cc` and its like write and `addc` reads: one bit of each thread.
CARRY = Register("%cc", "pred")
_CARRYING = frozenset({"addc", "subc", "madc"})
_ALWAYS_ENDS = frozenset({"bra", "brx", "ret", "exit", "trap", "brkpt", "call", "nanosleep"})


@dataclass(frozen=True)
class Row:
    """One register's place: its width class (p: predicate, h: 16, w: 32, d: 64, q: 128 bits) and row there."""

    width: str
    index: int


@dataclass(frozen=True, eq=False)
class Program:
    """An entry function laid out; equal to itself alone.

    blocks: ranges of `instructions`; labels: label -> block. rows: register or special register -> Row.
    specials: the special registers that the kernel reads. shared: variable -> byte offset in the CTA's shared
    memory; dynamic: those that start where the static ones end. local: variable -> offset in a thread's own memory.
    parameters: parameter -> (offset, bytes) in the parameter block of `parameter_bytes`.
    """

    module: Module
    entry: Function
    instructions: tuple[Instruction, ...]
    blocks: tuple[range, ...]
    labels: dict[str, int]
    rows: dict[str, Row]
    row_counts: dict[str, int]
    specials: tuple[str, ...]
    shared: dict[str, int]
    static_shared_bytes: int
    local: dict[str, int]
    local_bytes: int
    parameters: dict[str, tuple[int, int]]
    parameter_bytes: int

    @cached_property
    def uses_clusters(self) -> bool:
        """Whether the program names other CTAs of its cluster, so that shared addresses must have a rank."""
        symbols = any(name.startswith("%cluster") for name in self.specials)
        words = ("cluster", "mapa", "cta_group::2")
        return symbols or any(word in i.opcode for i in self.instructions for word in words)

    @cached_property
    def reads_tensor_memory(self) -> bool:
        """Whether it has a `tcgen05.ld`."""
        return any(i.opcode.startswith("tcgen05.ld") for i in self.instructions)

    @cached_property
    def register_uses(self) -> Mapping[str, int]:
        """How often each register is named, as a source, a result or a guard."""
        return Counter(o.name for i in self.instructions for o in leaves(i) if isinstance(o, Register))

    def site(self, index: int) -> Site:
        """Instruction `index` as reports show it."""
        instruction = self.instructions[index]
        return Site(instruction.text, instruction.place, instruction.location)


def bits_of(ptx_type: str) -> int:
    """Width of a PTX type in bits.

    >>> bits_of("b32"), bits_of("pred"), bits_of("bf16x2"), bits_of("s8")
    (32, 1, 32, 8)
    """
    known = _TYPE_BITS.get(ptx_type)
    return known if known is not None else int("".join(c for c in ptx_type if c.isdigit()))


def build_program(module: Module, entry: Function, ends_block: Callable[[Instruction], bool]) -> Program:
    """Lay `entry` out; `ends_block` tells of instructions that may park their threads, which end a block.

    Raises UserError for what the device cannot run, by name and line.
    """
    instructions, labels = _flattened(entry)
    starts = _block_starts(instructions, labels, ends_block)
    ends = [*starts[1:], len(instructions)]
    block_at = {start: number for number, start in enumerate(starts)} | {len(instructions): len(starts)}
    rows, counts, specials = _numbered(instructions)
    shared, static_bytes = _laid_out(_of_space("shared", module, entry))
    local, local_bytes = _laid_out(v for v in entry.variables if v.space in ("local", "param"))
    parameters, parameter_bytes = parameter_places(entry)
    return Program(
        module, entry, instructions, tuple(map(range, starts, ends)), {k: block_at[v] for k, v in labels.items()},
        rows, counts, specials, shared, static_bytes, local, local_bytes, parameters, parameter_bytes,
    )  # fmt: skip


def recut(program: Program, cuts: Iterable[int]) -> Program:
    """The same program with blocks that also start at the instructions `cuts`."""
    starts = sorted({r.start for r in program.blocks} | set(cuts))
    ends = [*starts[1:], len(program.instructions)]
    block_at = {start: number for number, start in enumerate(starts)} | {len(program.instructions): len(starts)}
    old = [r.start for r in program.blocks] + [len(program.instructions)]
    labels = {name: block_at[old[block]] for name, block in program.labels.items()}
    return replace(program, blocks=tuple(map(range, starts, ends)), labels=labels)


def _flattened(entry: Function) -> tuple[tuple[Instruction, ...], dict[str, int]]:
    instructions: list[Instruction] = []
    labels = {}
    for statement in entry.statements:
        if isinstance(statement, Label):
            labels[statement.name] = len(instructions)
        else:
            instructions.append(statement)
    return tuple(instructions), labels


def _block_starts(
    instructions: tuple[Instruction, ...], labels: dict[str, int], ends_block: Callable[[Instruction], bool]
) -> list[int]:
    starts = {0, *labels.values()}
    for index, instruction in enumerate(instructions):
        if instruction.base in _ALWAYS_ENDS or ends_block(instruction):
            starts.add(index + 1)
        # What wgmma reads and writes by itself has to be in the registers: a block may work on copies of them.
        if _is_wgmma(instruction) and not (index and _is_wgmma(instructions[index - 1])):
            starts.add(index)
    return sorted(s for s in starts if s < len(instructions))


def _is_wgmma(instruction: Instruction) -> bool:
    return instruction.parts[:2] == ("wgmma", "mma_async")


def _numbered(instructions: Iterable[Instruction]) -> tuple[dict[str, Row], dict[str, int], tuple[str, ...]]:
    rows: dict[str, Row] = {}
    counts: dict[str, int] = {}
    specials: dict[str, None] = {}

    def number(name: str, width: str) -> None:
        if name not in rows:
            rows[name] = Row(width, counts.get(width, 0))
            counts[width] = counts.get(width, 0) + 1

    for instruction in instructions:
        if "cc" in instruction.parts or instruction.base in _CARRYING:
            number(CARRY.name, "p")
        for operand in leaves(instruction):
            if isinstance(operand, Register):
                number(operand.name, _WIDTH_CLASS[bits_of(operand.type)])
            elif isinstance(operand, Symbol) and operand.name.startswith("%"):
                specials[operand.name] = None
                number(operand.name, "d" if operand.name in _WIDE_SPECIALS else "w")
    return rows, counts, tuple(specials)


def leaves(instruction: Instruction) -> Iterator[Operand]:
    """The registers, symbols and literals in an instruction's operands, and its guard."""
    if instruction.guard:
        yield instruction.guard.register
    for operand in instruction.operands:
        yield from _leaves(operand)


def _leaves(operand: Operand) -> Iterator[Operand]:
    match operand:
        case Vector(items):
            inner: tuple[Operand, ...] = items
        case Pair(first, second):
            inner = (first, second)
        case Negated(item):
            inner = (item,)
        case Address(base, _, extra):
            inner = (base, *extra)
        case _:
            yield operand
            return
    for item in inner:
        yield from _leaves(item)


def _of_space(space: str, module: Module, entry: Function) -> list[Variable]:
    """The module's and the function's variables in a state space that the entry can name, those of open size last."""
    found = [v for v in (*module.variables, *entry.variables) if v.space == space]
    return sorted(found, key=lambda v: v.elements is None)


def _laid_out(variables: Iterable[Variable]) -> tuple[dict[str, int], int]:
    """Offsets of variables one after the other, and their size in all; those of open size start at the end."""
    offsets: dict[str, int] = {}
    end = 0
    for variable in variables:
        start = -(-end // variable.alignment) * variable.alignment
        offsets[variable.name] = start
        end = start + variable.bytes
    return offsets, end


def parameter_places(entry: Function) -> tuple[dict[str, tuple[int, int]], int]:
    """Offset and size of each parameter in the parameter block, and the block's size in bytes."""
    places: dict[str, tuple[int, int]] = {}
    end = 0
    for parameter in entry.parameters:
        start = -(-end // parameter.alignment) * parameter.alignment
        places[parameter.name] = (start, parameter.bytes)
        end = start + parameter.bytes
    return places, end


def unsupported(instruction: Instruction, what: str) -> Exception:
    """The error for an instruction or a modifier that the device does not have."""
    return fail(
        "unsupported-instruction", f"the emulated device does not implement {what}: `{instruction.text}`",
        instruction.place, "the kernel can be compiled and scheduled, but not run here",
    )  # fmt: skip
