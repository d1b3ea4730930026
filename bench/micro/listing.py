"""A kernel's machine code as a list of instructions, and the innermost loops in it, read from nvdisasm's text alone.

Kept apart from the reader that the performance model uses, so that a microbenchmark is checked by other code than the
model that it tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backends.compilers.artifact import Compiled
from backends.compilers.machine_code import sass
from ir.diagnostics import fail

_INSTRUCTION = re.compile(r"^\s+/\*(?P<address>[0-9a-f]{4,})\*/\s+(?P<text>[^;]+?)\s*;")
_LABEL = re.compile(r"^\s*(?P<name>\.L\w+):")
_PARTS = re.compile(r"(?:@(?P<guard>!?U?P\w+)\s+)?(?P<opcode>[A-Z][\w.]*)\s*(?P<operands>.*)")
_TARGET = re.compile(r"`\((?P<label>\.L\w+)\)")


@dataclass(frozen=True)
class Line:
    """One instruction: opcode with its modifiers (`LDG.E.64`), operands as text, and where a branch goes to."""

    opcode: str
    operands: tuple[str, ...]
    target: str = ""


@dataclass(frozen=True)
class Listing:
    """A function's instructions in order; `labels`: name -> index of the instruction after it."""

    lines: tuple[Line, ...]
    labels: dict[str, int]

    def loops(self) -> Iterator[tuple[Line, ...]]:
        """The body of each innermost loop: from the target of a backward branch to the branch."""
        spans = [(self.labels[line.target], i) for i, line in enumerate(self.lines) if self._is_back_edge(i, line)]
        for first, last in spans:
            if not any(first <= other[0] and other[1] <= last and other != (first, last) for other in spans):
                yield self.lines[first : last + 1]

    def _is_back_edge(self, index: int, line: Line) -> bool:
        """A branch of one instruction to itself is padding after the end."""
        return line.opcode.startswith("BRA") and self.labels.get(line.target, index) < index


def read_listing(compiled: Compiled) -> Listing:
    """The listing of an artifact's own entry. Raises UserError (missing-part, bad-cubin, no-machine-code)."""
    if compiled.cubin is None:
        raise fail("no-machine-code", f"`{compiled.entry}` was compiled to PTX alone")
    lines: list[Line] = []
    labels: dict[str, int] = {}
    for text in _section(sass(compiled.cubin), compiled.entry):
        if found := _LABEL.match(text):
            labels[found["name"]] = len(lines)
        elif found := _INSTRUCTION.match(text):
            lines.append(_line(found["text"]))
    return Listing(tuple(lines), labels)


def _section(text: str, entry: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines():
        if line.split()[:1] == [".section"]:
            inside = f".text.{entry}," in line
        elif inside:
            yield line


def _line(text: str) -> Line:
    parts = _PARTS.match(text)
    assert parts is not None, f"nvdisasm writes `{text}`"
    target = _TARGET.search(parts["operands"])
    operands = tuple(part.strip() for part in parts["operands"].split(",") if part.strip())
    return Line(parts["opcode"], operands, target["label"] if target else "")
