"""cvt between integers, f16, bf16, f32, f64 and tf32, one value at a time, and cvt.pack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.emulator.semantics.double import rounded
from backends.emulator.semantics.exact import odd_sum, two_sum
from backends.emulator.semantics.floating import canonical, flush, relu, saturate
from backends.emulator.semantics.formats import FORMATS, TO_INTEGER, encode, narrow_bf16, narrow_tf32, widen_bf16
from backends.emulator.semantics.forms import Forms, Opcode
from backends.emulator.semantics.types import LaneFunction, returning, storage

Array = Any
Compute = Callable[[Array], Array]
FLOATS = frozenset({"f16", "bf16", "f32", "f64", "tf32"})


def _cast(dtype: np.dtype[Any]) -> Callable[..., Array]:
    """A C cast, straight into `out`."""

    def apply(x: Array, out: Array = None) -> Array:
        if out is None:
            return x.astype(dtype)
        np.copyto(out, x, casting="unsafe")
        return out

    return apply


def _chain(*steps: Compute | None) -> Compute:
    present = [step for step in steps if step]

    def compute(x: Array) -> Array:
        for step in present:
            x = step(x)
        return x

    return compute


def _clamped(source: np.dtype[Any], target: np.dtype[Any]) -> Compute:
    """Integers clamped to what both types can hold, then cast."""
    low = max(np.iinfo(source).min, np.iinfo(target).min)
    high = min(np.iinfo(source).max, np.iinfo(target).max)
    return lambda x: np.clip(x, source.type(low), source.type(high)).astype(target)


def _integer_to_integer(op: Opcode) -> LaneFunction:
    to, of = op.parts[-2:]
    source, target = storage(of), storage(to)
    if op.has("sat"):
        return LaneFunction((of,), (to,), returning(_clamped(source, target)))
    return LaneFunction((of,), (to,), _cast(target), is_ufunc_like=True)


def _value(of: str, ftz: bool) -> Compute:
    """What reads a float source: as float16, float32 or float64 values."""
    return _chain(widen_bf16 if of == "bf16" else None, flush if ftz and of == "f32" else None)


def _not_a_number(source: str, target: np.dtype[Any]) -> int:
    """What NaN becomes: 0, but for 64-bit types 2^63 or its negative ("cvt", notes on float to integer)."""
    if source != "f64" and target.itemsize < 8:
        return 0
    return int(np.iinfo(target).min) if target.kind == "i" else 1 << (8 * target.itemsize - 1)


def _float_to_integer(op: Opcode) -> LaneFunction:
    """Rounded to an integer, then clamped to the target's range, whether or not .sat is given."""
    to, of = op.parts[-2:]
    target = storage(to)
    low, high = np.iinfo(target).min, np.iinfo(target).max
    safe = np.float32(2.0 ** (8 * target.itemsize - (target.kind == "i")))
    read, to_integer = _value(of, op.has("ftz")), TO_INTEGER[(op.rounding or "rzi").removesuffix("i")]
    nan = target.type(_not_a_number(of, target))

    def compute(x: Array) -> Array:
        whole = np.asarray(to_integer(read(x)))
        inside = (whole >= low) & (whole < safe)
        if inside.all():
            return whole.astype(target)
        limited = np.where(whole < 0, target.type(low), target.type(high))
        cast = np.where(inside, whole, 0).astype(target)
        return np.where(inside, cast, np.where(np.isnan(whole), nan, limited))

    return LaneFunction((of,), (to,), returning(compute))


def _integer_pair(x: Array) -> tuple[Array, Array]:
    """A 64-bit integer as the exact sum of two float64."""
    half = x.dtype.type(32)
    return (x >> half).astype(np.float64) * 2.0**32, (x & x.dtype.type(0xFFFFFFFF)).astype(np.float64)


def _integer_to_float64(mode: str) -> Compute:
    return lambda x: rounded(*two_sum(*_integer_pair(x)), mode)


def _integer_value(x: Array) -> Array:
    """Integers as float64; those of 64 bits rounded to odd, so that rounding again is rounding once."""
    return odd_sum(*_integer_pair(x)) if x.dtype.itemsize == 8 else x.astype(np.float64)


def _from_bits(to: str) -> Compute:
    """The result of `encode` in the storage of `to`."""
    dtype = storage(to)
    return lambda bits: np.asarray(bits).astype(f"u{dtype.itemsize}").view(dtype)


def _encoder(to: str, mode: str, satfinite: bool = False) -> Compute:
    return lambda x: _from_bits(to)(encode(x, FORMATS[to], mode, satfinite))


def _integer_to_float(op: Opcode) -> LaneFunction:
    to, of = op.parts[-2:]
    mode, target = op.rounding or "rn", storage(to)
    if mode == "rn" and to in ("f32", "f64") and not op.has("sat"):
        return LaneFunction((of,), (to,), _cast(target), is_ufunc_like=True)
    if to == "f64":
        exact = storage(of).itemsize < 8
        convert: Compute = (lambda x: x.astype(np.float64)) if exact else _integer_to_float64(mode)
    else:
        convert = _chain(_integer_value, _encoder(to, mode))
    return LaneFunction((of,), (to,), returning(_chain(convert, _after(op, to))))


_WIDENING = {("f32", "f16"), ("f64", "f16"), ("f64", "f32")}
_NEAREST: dict[tuple[str, str], Compute] = {
    ("f32", "bf16"): lambda x: x,
    ("f64", "bf16"): lambda x: x.astype(np.float64),
    ("bf16", "f32"): narrow_bf16,
    ("bf16", "f16"): lambda x: narrow_bf16(x.astype(np.float32)),
}


def _resize(to: str, of: str, mode: str, satfinite: bool) -> Compute:
    """Change the format of a value, rounding in `mode`."""
    dtype = storage(to)
    if of == "bf16" and to in ("f32", "f64"):
        return _NEAREST[to, of]
    if to == "tf32" and not satfinite:
        return lambda x: narrow_tf32(x, mode)
    if (to, of) in _WIDENING or (mode == "rn" and not satfinite and to in ("f16", "f32") and of in ("f32", "f64")):
        return lambda x: x.astype(dtype)
    if mode == "rn" and not satfinite and (to, of) in _NEAREST:
        return _NEAREST[to, of]
    return _encoder(to, mode, satfinite)


def _canonical(to: str) -> Compute | None:
    return canonical if to in ("f16", "f32", "tf32") else None


def _before(op: Opcode, of: str) -> Compute:
    """Read the source, flush it, and clamp it below: .relu and .ftz commute with rounding."""
    return _chain(_value(of, op.has("ftz")), relu if op.has("relu") else None)


def _after(op: Opcode, to: str) -> Compute | None:
    steps = [flush if op.has("ftz") and to == "f32" else None, saturate if op.has("sat") else None]
    if not any(steps):
        return None
    return _chain(*steps) if to != "bf16" else _chain(widen_bf16, *steps, narrow_bf16)


def _float_to_float(op: Opcode) -> LaneFunction:
    to, of = op.parts[-2:]
    convert = _resize(to, of, op.rounding or "rn", op.has("satfinite"))
    modified = any(op.has(m) for m in ("ftz", "sat", "relu", "satfinite"))
    if (
        (to, of) in {*_WIDENING, ("f16", "f32"), ("f32", "f64"), ("f16", "f64")}
        and not modified
        and (op.rounding or "rn") == "rn"
    ):
        plain = _cast(storage(to))
        strict = None if to == "f64" else returning(_chain(convert, canonical))
        return LaneFunction((of,), (to,), plain, is_ufunc_like=True, strict=strict)
    if (to, of) == ("f32", "bf16") and not modified:  # exact in any rounding mode
        return LaneFunction((of,), (to,), widen_bf16, True, strict=returning(_chain(widen_bf16, canonical)))
    return LaneFunction((of,), (to,), returning(_chain(_before(op, of), convert, _canonical(to), _after(op, to))))


def _same_format(op: Opcode) -> LaneFunction:
    """Round to an integral value, or copy; with .ftz and .sat."""
    to, of = op.parts[-2:]
    mode = op.rounding
    whole = TO_INTEGER[mode.removesuffix("i")] if mode else None
    back = narrow_bf16 if to == "bf16" and not op.has("sat") else None
    after = _after(op, to)
    if to == "bf16" and after:
        back = None
        after = _chain(saturate, narrow_bf16)
    compute = _chain(_value(of, op.has("ftz")), whole, after, back, _canonical(to))
    return LaneFunction((of,), (to,), returning(lambda x: compute(np.array(x))))


def build(op: Opcode) -> LaneFunction:
    """The conversion that `op` names, of one value."""
    to, of = op.parts[-2:]
    if to == of and to in FLOATS:
        return _same_format(op)
    kinds = {
        (False, False): _integer_to_integer,
        (False, True): _float_to_integer,
        (True, False): _integer_to_float,
        (True, True): _float_to_float,
    }
    return kinds[to in FLOATS, of in FLOATS](op)


def _pack(op: Opcode) -> LaneFunction:
    """Both sources clamped to the narrow type, a above b in the low bits of the result, above them what c holds."""
    narrow, wide = op.parts[-3], op.parts[-2]
    bits, source = int(narrow[1:]), storage(wide)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if narrow[0] == "s" else (0, (1 << bits) - 1)
    mask, shift = np.uint32((1 << bits) - 1), np.uint32(bits)

    def field(x: Array) -> Array:
        return np.clip(x, source.type(low), source.type(high)).view(np.uint32) & mask

    def compute(a: Array, b: Array, *c: Array) -> Array:
        both = field(a) << shift | field(b)
        return c[0] << np.uint32(2 * bits) | both if c else both

    return LaneFunction((wide, wide) + ("b32",) * (bits < 16), ("b32",), returning(compute))


_INTEGERS = "(.u8|.s8|.u16|.s16|.u32|.s32|.u64|.s64)"
_WHOLE = "(.rni|.rzi|.rmi|.rpi)"
_ROUND = "(.rn|.rz|.rm|.rp)"

FORMS: Forms = {
    f"cvt[.sat]{_INTEGERS}{_INTEGERS}": build,
    f"cvt{_WHOLE}[.ftz][.sat]{_INTEGERS}.f32": build,
    f"cvt{_WHOLE}[.sat]{_INTEGERS}(.f16|.f64)": build,
    f"cvt{_WHOLE}[.sat](.u16|.s16|.u32|.s32|.u64|.s64).bf16": build,
    f"cvt{_WHOLE}[.ftz][.sat].f32.f32": build,
    f"cvt{_WHOLE}[.sat](.f16.f16|.f64.f64|.bf16.bf16)": build,
    f"cvt{_ROUND}[.sat](.f16|.bf16|.f64){_INTEGERS}": build,
    f"cvt{_ROUND}[.ftz][.sat].f32{_INTEGERS}": build,
    "cvt[.ftz][.sat](.f32.f32|.f32.f16|.f64.f32)": build,
    "cvt[.sat](.f16.f16|.bf16.bf16|.f64.f64|.f64.f16)": build,
    "cvt[.rn|.rz|.rm|.rp][.ftz][.sat].f32.bf16": build,
    "cvt[.rn|.rz|.rm|.rp][.sat].f64.bf16": build,
    f"cvt{_ROUND}[.ftz][.sat](.f16.f32|.f32.f64)": build,
    f"cvt{_ROUND}[.ftz][.sat].bf16.f32": build,
    f"cvt{_ROUND}[.sat](.f16.f64|.bf16.f64|.bf16.f16|.f16.bf16)": build,
    # Not in the ISA's list, but taken by the assembler; Triton writes it for values that both formats have.
    "cvt.bf16.f16": build,
    "cvt(.rn|.rz)[.relu].satfinite(.f16.f32|.bf16.f32)": build,
    "cvt(.rn|.rz).relu[.satfinite](.f16.f32|.bf16.f32)": build,
    "cvt.rna[.satfinite].tf32.f32": build,
    "cvt(.rn|.rz)[.satfinite][.relu].tf32.f32": build,
    "cvt(.rn|.rz).relu.satfinite.tf32.f32": build,
    "cvt.pack.sat(.u16|.s16).s32": lambda op: _pack(Opcode(op.text + ".b32")),
    "cvt.pack.sat(.u2|.s2|.u4|.s4|.u8|.s8).s32.b32": _pack,
}
