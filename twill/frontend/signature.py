"""Argument types as the user writes them: Triton's spelling, with a divisibility hint after a colon.

*fp16        pointer to fp16, divisible by 16 (Triton's launcher finds so for every tensor of a framework)
*fp16:1      pointer with no known alignment
i32          integer; divisible by 16 if its name says that it is a stride, else nothing known
i32:16       integer that is divisible by 16
i32:1        integer that equals 1: a constant, as for Triton's launcher
1024, None   a constant
tensordesc<fp16[128, 64]>    a host tensor descriptor
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

from ir.diagnostics import UserError, fail

# Triton's names of element types, and other names in use for them.
ELEMENTS = (
    "fp16", "bf16", "fp32", "fp64", "fp8e4nv", "fp8e5", "fp8e4b15", "fp8e4b8", "fp8e5b16",
    "i1", "i8", "i16", "i32", "i64", "u1", "u8", "u16", "u32", "u64",
)  # fmt: skip
_SYNONYMS = {
    "float16": "fp16", "half": "fp16", "f16": "fp16", "bfloat16": "bf16", "float32": "fp32", "float": "fp32",
    "f32": "fp32", "float64": "fp64", "double": "fp64", "f64": "fp64", "float8_e4m3fn": "fp8e4nv", "fp8": "fp8e4nv",
    "float8_e5m2": "fp8e5", "int": "i32", "int32": "i32", "int64": "i64", "int16": "i16", "int8": "i8", "bool": "i1",
    "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
}  # fmt: skip
# What Triton's launcher looks for, in bytes for an address; `tt.divisibility`.
ALIGNMENT = 16
_TYPE = re.compile(r"(\*?k?)(?:tl\.)?([A-Za-z]\w*)(?::(\d+))?")
_DESCRIPTOR = re.compile(r"tensordesc\s*<\s*(\w+)\s*\[([\d,\s]+)\]\s*>")
_CONSTANT = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?|None|True|False")


@dataclass(frozen=True)
class ArgumentType:
    """A type in Triton's spelling, or a constant; `divisibility` is 1 where nothing is known."""

    text: str
    divisibility: int = 1
    constant: Any = None
    is_constant: bool = False


def read_argument_type(name: str, text: str) -> ArgumentType:
    """The type of parameter `name`. Raises UserError (`bad-argument-type`).

    >>> read_argument_type("q", "*fp16")
    ArgumentType(text='*fp16', divisibility=16, constant=None, is_constant=False)
    >>> read_argument_type("n", "i32").divisibility, read_argument_type("stride_m", "i32").divisibility
    (1, 16)
    >>> read_argument_type("stride_k", "1").constant
    1
    """
    text = text.strip()
    if _CONSTANT.fullmatch(text):
        return ArgumentType("constexpr", constant=_literal(text), is_constant=True)
    if found := _DESCRIPTOR.fullmatch(text):
        block = [int(n) for n in found.group(2).split(",") if n.strip()]
        return ArgumentType(f"tensordesc<{_element(name, text, found.group(1))}{block}>")
    found = _TYPE.fullmatch(text)
    if found is None:
        raise _bad_type(name, text)
    star, element, hint = found.groups()
    element = _element(name, text, element)
    if hint == "1" and not star and element[0] in "iu":
        return ArgumentType("constexpr", constant=1, is_constant=True)
    return ArgumentType(star + element, int(hint) if hint else _default_divisibility(name, star, element))


def _default_divisibility(name: str, star: str, element: str) -> int:
    aligned = bool(star) or ("stride" in name.lower() and element[0] == "i")
    return ALIGNMENT if aligned else 1


def _literal(text: str) -> Any:
    words: dict[str, Any] = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def element_name(name: str) -> str:
    """Triton's name of an element type, from any name in use.

    >>> element_name("bfloat16"), element_name("float8_e4m3fn")
    ('bf16', 'fp8e4nv')
    """
    return _SYNONYMS.get(name, name)


def _element(name: str, text: str, element: str) -> str:
    element = element_name(element)
    if element not in ELEMENTS:
        raise _bad_type(name, text, difflib.get_close_matches(element, ELEMENTS, 1))
    return element


def _bad_type(name: str, text: str, near: list[str] | None = None) -> UserError:
    hint = f"did you mean `{near[0]}`? " if near else ""
    remedy = f"{hint}write *fp16, i32, i32:16, 128 or tensordesc<fp16[128, 64]>; elements: {', '.join(ELEMENTS)}"
    return fail("bad-argument-type", f"argument `{name}` has no valid type: `{text}`", remedy=remedy)
