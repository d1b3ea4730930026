"""Narrow formats against ml_dtypes, and the fused multiply-add on any floats at all against Fractions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.emulator.semantics.formats import FORMATS, decoded, encode, narrow_bf16, widen_bf16
from backends.emulator.semantics.forms import Opcode
from backends.emulator.semantics.table import lookup
from tests.backends.emulator.semantics import oracle_float
from tests.backends.emulator.semantics.model import read, write

NARROW = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


def _every_bfloat() -> np.ndarray:
    return widen_bf16(np.arange(1 << 16, dtype=np.uint16))


@pytest.mark.parametrize("name", NARROW)
def test_decoding_agrees_with_ml_dtypes(name: str) -> None:
    codes = np.arange(2 << FORMATS[name].sign_bit, dtype=np.uint8)
    np.testing.assert_array_equal(decoded(name)[codes], codes.view(NARROW[name]).astype(np.float32))


@pytest.mark.parametrize("name", NARROW)
def test_encoding_agrees_with_ml_dtypes_where_nothing_overflows(name: str) -> None:
    largest = float(decoded(name)[FORMATS[name].largest])
    with np.errstate(invalid="ignore"):
        values = _every_bfloat()
        values = values[np.abs(values) <= largest]
    want = values.astype(NARROW[name]).view(np.uint8)
    np.testing.assert_array_equal(encode(values, FORMATS[name]).astype(np.uint8), want)


def test_bfloat16_agrees_with_ml_dtypes() -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 1 << 32, 200_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([values[~np.isnan(values)], np.float32([0, -0.0, np.inf, -np.inf, 3.4e38, 1e-45])])
    np.testing.assert_array_equal(narrow_bf16(values), values.astype(ml_dtypes.bfloat16).view(np.uint16))


def test_scale_factors_agree_with_ml_dtypes() -> None:
    exponents = np.arange(255, dtype=np.uint8)
    function = lookup("cvt.rn.bf16x2.ue8m0x2")
    got = widen_bf16((function.apply(exponents.astype(np.uint16)) & 0xFFFF).astype(np.uint16))
    np.testing.assert_array_equal(got, exponents.view(ml_dtypes.float8_e8m0fnu).astype(np.float32))


def _floats(bits: int) -> st.SearchStrategy[int]:
    """Bit patterns: any at all, and those of floats that hypothesis thinks are nasty."""
    width = f"f{bits}"
    nasty = st.floats(width=bits, allow_nan=False).map(lambda x: write(x, width))
    return st.one_of(nasty, st.integers(0, (1 << bits) - 1))


@pytest.mark.parametrize("opcode", [f"fma.{mode}.f{bits}" for bits in (32, 64) for mode in ("rn", "rz", "rm", "rp")])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_fma_is_rounded_once(opcode: str, data: st.DataObject) -> None:
    op = Opcode(opcode)
    bits = int(op.type[1:])
    sources = data.draw(st.tuples(*[_floats(bits)] * 3))
    if data.draw(st.booleans()):  # an addend close to the product, where rounding twice shows
        with np.errstate(all="ignore"):
            a, b = (np.float64(read(x, op.type)) for x in sources[:2])
            near = np.array(-(a * b), f"f{bits // 8}").view(f"u{bits // 8}")
        nudge = data.draw(st.integers(-2, 2))
        sources = (*sources[:2], (int(near) + nudge) % (1 << bits))
    (want,) = oracle_float.ORACLES["fma"](op, *sources)
    arrays = [np.array([x], f"u{bits // 8}").view(f"f{bits // 8}") for x in sources]
    with np.errstate(all="ignore"):
        got = lookup(opcode).apply(*arrays)
    assert np.isnan(got[0]) if np.isnan(read(want, op.type)) else int(got.view(f"u{bits // 8}")[0]) == want
