"""Values of MLIR attributes, and which of them a kernel keeps: numbers, texts, splats and named enumerations."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ir.loop import Attribute


@dataclass(frozen=True)
class Symbol:
    """A reference to a function, `@name`."""

    name: str


@dataclass(frozen=True)
class Opaque:
    """A type or a dialect's attribute, as text."""

    text: str


@dataclass(frozen=True)
class Dense:
    """`dense<body> : type` or `array<element: body>`; `type` is a tensor's or, for an array, an element's."""

    kind: str
    body: str
    type: str


# Names of integer enumerations, as the dialects' own assembly prints them.
# Sources: Triton's TritonAttrDefs.td, MLIR's ArithBase.td; attribute -> first number, names.
_CMPI = (0, "eq ne slt sle sgt sge ult ule ugt uge")
_CMPF = (0, "false oeq ogt oge olt ole one ord ueq ugt uge ult ule une uno true")
_SCALED = (0, "e4m3 e5m2 e2m3 e3m2 e2m1 bf16 fp16")
_ENUMERATIONS: Mapping[str, tuple[int, str]] = {
    "arith.cmpi.predicate": _CMPI,
    "arith.cmpf.predicate": _CMPF,
    "inputPrecision": (0, "tf32 tf32x3 ieee bf16x3 bf16x6"),
    "cache": (1, "none ca cg wb cs wt cv"),
    "evict": (1, "evict_normal evict_first evict_last"),
    "padding": (1, "pad_zero pad_nan"),
    "atomic_rmw_op": (1, "and or xor add fadd max min umax umin exch"),
    "sem": (1, "relaxed acquire release acq_rel"),
    "scope": (1, "gpu cta sys"),
    "rounding": (0, "rtz rtne"),
    "a_elem_type": _SCALED,
    "b_elem_type": _SCALED,
}
# Values that say nothing of what the operation does.
_DEFAULTS = ("#arith.fastmath<none>", "#arith.overflow<none>")
_DEFAULT_VALUES = ("none", "evict_normal", ())
_DIALECT_VALUE = re.compile(r"#[\w.]+<(.*)>")
# Hexadecimal floats are bit patterns: bits -> struct codes of the integer and of the float.
_PATTERNS = {"f16": ("<H", "<e"), "f32": ("<I", "<f"), "f64": ("<Q", "<d")}


def number(digits: str, type_text: str) -> int | float:
    """A number literal of the given type; a hexadecimal float is its bit pattern.

    >>> number("0xFF800000", "f32"), number("0x7FC0", "bf16"), number("16", "i32"), number("1.5", "f16")
    (-inf, nan, 16, 1.5)
    """
    hexadecimal = "0x" in digits
    if not type_text.startswith(("f", "bf", "tf")):
        return int(digits, 16 if hexadecimal else 10)
    return _from_bits(int(digits, 16), type_text) if hexadecimal else float(digits)


def _from_bits(bits: int, type_text: str) -> float:
    if type_text == "bf16":
        type_text, bits = "f32", bits << 16
    if type_text not in _PATTERNS:
        return float("nan")  # MLIR prints 8-bit floats in hexadecimal only where they are not finite.
    integer, floating = _PATTERNS[type_text]
    value: float = struct.unpack(floating, struct.pack(integer, bits))[0]
    return value


def kernel_attributes(opcode: str, raw: Mapping[str, Any]) -> dict[str, Attribute]:
    """The attributes of an operation that a kernel keeps, in the order of their names."""
    spread = {**raw, **_cache_policy(raw.get("cachePolicy"))}
    named = {name: _attribute(opcode, name, value) for name, value in sorted(spread.items())}
    return {name: value for name, value in named.items() if value is not None and value not in _DEFAULT_VALUES}


def _cache_policy(policy: Any) -> dict[str, Any]:
    """Triton 3.9 prints one policy, `#tt.cache_policy<cache_modifier = cg, ...>`; before, `cache` and `evict`."""
    if not isinstance(policy, Opaque):
        return {}
    fields = dict(re.findall(r"(\w+) = (\w+)", policy.text))
    return {"cachePolicy": None, "cache": fields.get("cache_modifier"), "evict": fields.get("eviction_policy")}


def _attribute(opcode: str, name: str, value: Any) -> Attribute | None:
    enumeration = _ENUMERATIONS.get(f"{opcode}.{name}") or _ENUMERATIONS.get(name)
    if enumeration and type(value) is int:
        first, names = enumeration
        options = dict(enumerate(names.split(), first))
        return options.get(value, value)
    return _plain(value)


def _plain(value: Any) -> Attribute | None:
    match value:
        case bool() | int() | float() | str():
            return value
        case Symbol():
            return value.name
        case Dense():
            return _dense(value)
        case Opaque():
            return None if value.text in _DEFAULTS else _opaque(value.text)
        case tuple() if all(type(item) is int for item in value):
            return value
    return None


def integers(value: Any) -> tuple[int, ...]:
    """The numbers of an `array<i32: ...>` or of a list.

    >>> integers(Dense("array", "[1, 0, 2]", "i32"))
    (1, 0, 2)
    """
    plain = _plain(value)
    assert isinstance(plain, tuple), "an array of integers"
    return plain


def _opaque(text: str) -> str:
    found = _DIALECT_VALUE.fullmatch(text)
    return found.group(1) if found else text


def _dense(dense: Dense) -> Attribute:
    """A splat is its element; integers are a tuple; the rest keeps MLIR's spelling."""
    element = dense.type if dense.kind == "array" else element_of(dense.type)
    body = dense.body.strip()
    if not body.startswith("["):
        splat: Attribute = _scalar(body, element)
        return splat
    flat = re.sub(r"[\[\]\s]", "", body)
    if element.startswith("i"):
        return tuple(int(_scalar(item, element)) for item in flat.split(",") if item)
    return body


def element_of(type_text: str) -> str:
    """Element type of a tensor's text.

    >>> element_of("tensor<128x64xf16, #blocked>"), element_of("vector<2xi32>")
    ('f16', 'i32')
    """
    found = re.match(r"\w+<(?:\d+x)*([^,>]+)", type_text)
    return found.group(1) if found else type_text


def _scalar(text: str, element: str) -> Any:
    words = {"true": True, "false": False}
    if text in words:
        return words[text]
    return text if text.startswith('"') else number(text, element)
