"""What the head of a PTX entry says: parameters, block and cluster size; and which source files the text names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ir.diagnostics import fail

_ENTRY = re.compile(r"\.entry\s+(?P<name>[\w$]+)\s*(?:\((?P<parameters>[^)]*)\))?(?P<directives>[^{;]*)\{")
_PARAMETER = re.compile(
    r"\.param\s+(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<type>[a-z]+)(?P<bits>\d+)"
    r"(?P<pointer>\s+\.ptr(?:\s+\.\w+)?(?:\s+\.align\s+\d+)?)?\s+[\w$%]+(?:\[(?P<count>\d+)\])?"
)
_DIRECTIVE = re.compile(r"\.(\w+)\s+([\d,\s]+)")
_FILE = re.compile(r'^\s*\.file\s+\d+\s+"([^"\n]*)"', re.MULTILINE)
_VERSION = re.compile(r"^\s*\.version\s+(\d+)\.(\d+)", re.MULTILINE)
_TARGET = re.compile(r"^\s*\.target\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class HeadParameter:
    """Type letter(s) and bits as in PTX (`u`, 64), how many of them if an array, and whether `.ptr` marks it."""

    type: str
    bits: int
    count: int | None
    align: int
    is_pointer: bool

    @property
    def bytes(self) -> int:
        """Size in parameter space."""
        return self.bits // 8 * (1 if self.count is None else self.count)


@dataclass(frozen=True)
class Head:
    """`block` is what the entry requires, `max_threads` what it allows; None where it does not say."""

    name: str
    parameters: tuple[HeadParameter, ...]
    block: tuple[int, int, int] | None = None
    max_threads: int | None = None
    cluster: tuple[int, int, int] = (1, 1, 1)


def read_heads(ptx: str) -> tuple[Head, ...]:
    """Every entry with a body, in order.

    >>> read_heads(".entry k(.param .u64 .ptr .align 1 p, .param .f32 s) .maxntid 64, 2, 1 { ret; }")[0].max_threads
    128
    """
    bare = re.sub(r"//[^\n]*", "", ptx)
    return tuple(_head(found) for found in _ENTRY.finditer(bare))


def read_head(ptx: str, name: str) -> Head:
    """The entry of that name. Raises UserError (`unknown-entry`)."""
    heads = {head.name: head for head in read_heads(ptx)}
    if name not in heads:
        remedy = f"entries here: {', '.join(heads) or 'none'}"
        raise fail("unknown-entry", f"the PTX has no entry `{name}`", remedy=remedy)
    return heads[name]


def ptx_version(ptx: str) -> tuple[int, int]:
    """The `.version` of a text, (0, 0) where it states none.

    >>> ptx_version(".version 8.7")
    (8, 7)
    """
    found = _VERSION.search(ptx)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def ptx_target(ptx: str) -> str:
    """The `.target` of a text, empty where it states none."""
    found = _TARGET.search(ptx)
    return found[1] if found else ""


def source_texts(ptx: str) -> dict[str, str]:
    """Path -> text of every file that a `.file` line names and that is there."""
    paths = [Path(name) for name in dict.fromkeys(_FILE.findall(ptx))]
    return {str(path): path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()}


def _head(found: re.Match[str]) -> Head:
    sizes = {name: _numbers(text) for name, text in _DIRECTIVE.findall(found["directives"])}
    bound = sizes.get("maxntid", sizes.get("reqntid"))
    return Head(
        name=found["name"],
        parameters=tuple(map(_parameter, _PARAMETER.finditer(found["parameters"] or ""))),
        block=sizes.get("reqntid"),
        max_threads=None if bound is None else bound[0] * bound[1] * bound[2],
        cluster=sizes.get("reqnctapercluster", (1, 1, 1)),
    )


def _parameter(found: re.Match[str]) -> HeadParameter:
    bits, count = int(found["bits"]), found["count"]
    align = int(found["align"] or bits // 8)
    return HeadParameter(found["type"], bits, None if count is None else int(count), align, bool(found["pointer"]))


def _numbers(text: str) -> tuple[int, int, int]:
    x, y, z, *_ = *(int(n) for n in text.replace(",", " ").split()), 1, 1, 1
    return x, y, z
