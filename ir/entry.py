"""Entry points: the language of a kernel source, and the name by which its compiler knows the kernel."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

Constant = bool | int | float | str

LANGUAGES = ("triton", "gluon", "cuda")
SUFFIXES = {".py": "triton", ".cu": "cuda"}

# Swizzles of TMA, widest first; the pattern of each repeats after eight rows. Source: PTX ISA, tensor copies.
_SWIZZLE_BYTES = (128, 64, 32)
_SWIZZLE_ROWS = 8

_NAME = re.compile(r"[A-Za-z_]\w*")
_CUDA_ENTRY = re.compile(r"[A-Za-z_]\w*(::[A-Za-z_]\w*)*(<[\w:<>,*+/% ()\-]+>)?")


def language_of(source: Path, entry: str) -> str | None:
    """One of LANGUAGES by the suffix, and for Python by the decorator of the entry; None for an unknown suffix.

    A missing or unreadable Python file counts as Triton: whoever compiles it reports what is wrong with it.
    """
    language = SUFFIXES.get(source.suffix)
    return "gluon" if language == "triton" and _is_gluon(source, entry) else language


def is_entry(text: str, language: str) -> bool:
    """Whether it is a name, or for CUDA a (qualified) name that may carry template arguments.

    >>> is_entry("reduce::sum<float, BLOCK>", "cuda"), is_entry("sum<BLOCK", "cuda"), is_entry("sum<4>", "triton")
    (True, False, False)
    """
    if language != "cuda":
        return _NAME.fullmatch(text) is not None
    return _CUDA_ENTRY.fullmatch(text) is not None and text.count("<") == text.count(">")


def name_expression(entry: str, constants: Mapping[str, Constant]) -> str:
    """The C++ name of a kernel: its template arguments with each constant replaced by its value.

    >>> name_expression("sum<T, BLOCK / 2, FAST>", {"T": "float", "BLOCK": 256, "FAST": True})
    'sum<float, 256 / 2, true>'
    """
    name, bracket, arguments = entry.partition("<")
    return name + bracket + _NAME.sub(lambda m: literal(constants[m[0]]) if m[0] in constants else m[0], arguments)


def literal(value: Constant) -> str:
    """A constant in C++; a string stands for itself, so that it can name a type.

    >>> literal(True), literal(0.5), literal("half")
    ('true', '0.5', 'half')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def shared_layout(block: Sequence[int], element_bits: int) -> str:
    """Gluon's name of the layout of a descriptor's tile in shared memory: the widest swizzle that the tile allows.

    The rule is that of `NVMMASharedLayout.get_default_for`: the innermost extent is a whole number of swizzles, and
    there are at least 8 rows.

    >>> shared_layout([128, 64], 16)
    'NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=16, rank=2)'
    """
    row_bytes = block[-1] * element_bits // 8
    fits = [width for width in _SWIZZLE_BYTES if row_bytes % width == 0 and prod(block[:-1]) >= _SWIZZLE_ROWS]
    width = fits[0] if fits and len(block) > 1 else 0
    return f"NVMMASharedLayout(swizzle_byte_width={width}, element_bitwidth={element_bits}, rank={len(block)})"


def _is_gluon(source: Path, entry: str) -> bool:
    try:
        module = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    functions = (node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == entry)
    return any("gluon" in ast.unparse(decorator) for node in functions for decorator in node.decorator_list)
