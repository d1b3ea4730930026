"""A kernel's machine code: instructions, basic blocks and loops, read from a cubin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backends.compilers.architecture import capability_of
from backends.compilers.cache import Cache
from backends.sass.access import access_of
from backends.sass.flow import Block, blocks_of
from backends.sass.instruction import Instruction, decode_control
from backends.sass.listing import Line, Listing, disassemble
from backends.sass.loops import Loop, loops_of
from backends.sass.opcodes import OPCODES, pipe_cycles, pipe_of, unknown_opcode
from backends.sass.registers import registers_of
from ir.diagnostics import Location, UserError, fail

__all__ = ["Block", "Function", "Loop", "function_of", "read_sass"]

_TEXT = re.compile(r"(?:@(!?U?P[\dT]+)\s+)?(\S+)\s*(.*)")
_OPERANDS = re.compile(r",\s*(?![^(\[]*[)\]])")
_BRANCH_TARGETS = re.compile(r'\s*\(\*"BRANCH_TARGETS (.*?)"\*\)')
_LABEL = re.compile(r"`\(([^()]*)\)")
_RETURNS = "RET"
_ALWAYS = ("PT", "UPT")


@dataclass(frozen=True)
class Function:
    """The code of one entry and of the functions that it calls. architecture: `sm_90a`.

    blocks are in the order of the code; the entry is block 0. loops: outer ones first.
    """

    name: str
    architecture: str
    instructions: tuple[Instruction, ...]
    blocks: tuple[Block, ...]
    loops: tuple[Loop, ...]


def read_sass(cubin: bytes, entry: str, architecture: str, cache: Cache | None = None) -> Function:
    """Read an entry of a cubin for an architecture; `cache` None is the user's own.

    Raises UserError: unknown-opcode with every opcode that has no pipe, unknown-entry, bad-listing, bad-cubin,
    missing-part (no disassembler), unknown-architecture.
    """
    return function_of(disassemble(cubin, entry, cache), entry, architecture)


def function_of(listing: Listing, entry: str, architecture: str) -> Function:
    """The function that a listing shows. Raises UserError: unknown-opcode, bad-listing."""
    capability = capability_of(architecture)
    _check_opcodes(listing, capability)
    code = tuple(_instruction(i, line, listing.labels, capability) for i, line in enumerate(listing.lines))
    callees = frozenset(i.target for i in code if i.opcode == "CALL" and i.target is not None and _is_function(i))
    blocks = blocks_of(code, callees, _indirect(listing, code))
    roots = [0, *(block.callee for block in blocks if block.callee is not None)] if blocks else []
    return Function(entry, architecture, code, blocks, loops_of(blocks, roots))


def _check_opcodes(listing: Listing, capability: int) -> None:
    """Every opcode that is not known, once, so that one run tells all."""
    unknown = {_split(line.text)[1].partition(".")[0]: line for line in reversed(listing.lines)}
    found = [(name, line) for name, line in unknown.items() if name not in OPCODES]
    if found:
        ordered = sorted(found, key=lambda item: item[1].address)
        raise UserError(*(unknown_opcode(name, capability, _place(line)) for name, line in ordered))


def _place(line: Line) -> Location | None:
    return line.places[0] if line.places else None


def _split(text: str) -> tuple[str | None, str, str]:
    """Guard, opcode with modifiers, operands."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise fail("bad-listing", f"`{text}` is no instruction")
    return found[1], found[2], found[3]


def split_operands(text: str) -> tuple[str, ...]:
    """Operands, without the targets that the disassembler adds to an indirect branch.

    >>> split_operands("R4, c[0x0][0x28], `(.L_x_1)")
    ('R4', 'c[0x0][0x28]', '`(.L_x_1)')
    """
    plain = _BRANCH_TARGETS.sub("", text).strip()
    return tuple(part.strip() for part in _OPERANDS.split(plain)) if plain else ()


def _instruction(index: int, line: Line, labels: Mapping[str, int], capability: int) -> Instruction:
    guard, name, rest = _split(line.text)
    opcode, *parts = name.split(".")
    operands, modifiers = split_operands(rest), tuple(parts)
    reads, writes = registers_of(opcode, modifiers, operands, guard)
    return Instruction(
        index=index,
        address=line.address,
        opcode=opcode,
        modifiers=modifiers,
        operands=operands,
        guard=guard,
        control=decode_control(line.encoding),
        location=line.places[0] if line.places else None,
        text=line.text,
        reads=reads,
        writes=writes,
        pipe=pipe_of(opcode, modifiers, capability),
        pipe_cycles=pipe_cycles(opcode, modifiers, capability),
        access=access_of(opcode, modifiers, operands),
        ptx_line=line.ptx_line,
        inlined_at=line.places[1:],
        target=None if opcode == _RETURNS else _target(operands, labels),
    )


def _target(operands: tuple[str, ...], labels: Mapping[str, int]) -> int | None:
    found = _LABEL.fullmatch(operands[-1]) if operands else None
    return labels.get(found[1]) if found else None


def _is_function(call: Instruction) -> bool:
    return not call.operands[-1].startswith("`(.L")


def _indirect(listing: Listing, code: tuple[Instruction, ...]) -> dict[int, tuple[int, ...]]:
    """Instruction -> addresses that the disassembler found for an indirect branch."""
    return {
        i.index: tuple(listing.labels[name] for name in found[1].split(","))
        for i in code
        if (found := _BRANCH_TARGETS.search(i.text))
    }
