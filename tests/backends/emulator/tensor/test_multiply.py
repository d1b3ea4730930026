"""Batched products against numpy, and element types against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backends.emulator.tensor import elements
from backends.emulator.tensor.multiply import multiply, multiply_bits

RNG = np.random.default_rng(7)


@pytest.mark.parametrize(("a_type", "b_type"), [("f16", "f16"), ("bf16", "bf16"), ("e4m3", "e5m2"), ("tf32", "tf32")])
@pytest.mark.parametrize("d_type", ["f32", "f16"])
def test_floating_products(a_type: str, b_type: str, d_type: str) -> None:
    a = RNG.integers(0, 3, (2, 16, 32)) - 1.0
    b = RNG.integers(0, 3, (2, 32, 8)) - 1.0
    c = elements.encode(RNG.integers(-9, 9, (2, 16, 8)).astype(np.float32), d_type)
    bits = [_bits_of(x, t) for x, t in ((a, a_type), (b, b_type))]
    d = multiply(bits[0], a_type, bits[1], b_type, c, d_type)
    assert (elements.decode(d, d_type) == a @ b + elements.decode(c, d_type)).all()
    minus = multiply(bits[0], a_type, bits[1], b_type, c, d_type, negate_a=True)
    assert (elements.decode(minus, d_type) == elements.decode(c, d_type) - a @ b).all()
    both = multiply(bits[0], a_type, bits[1], b_type, None, d_type, negate_a=True, negate_b=True)
    assert (elements.decode(both, d_type) == a @ b).all()


def _bits_of(values: np.ndarray, name: str) -> np.ndarray:
    """Bits of values that the type holds exactly, found by decoding every code."""
    if name == "tf32":
        return values.astype(np.float32).view(np.uint32)
    kind = elements.find(name)
    assert kind is not None
    codes = np.arange(1 << kind.bits).astype(kind.storage)
    table = {float(v): int(c) for c, v in zip(codes, elements.decode(codes, name), strict=True)}
    return np.vectorize(table.__getitem__)(values).astype(kind.storage)


def test_double_precision() -> None:
    a, b, c = RNG.standard_normal((3, 8, 4)), RNG.standard_normal((3, 4, 8)), RNG.standard_normal((3, 8, 8))
    d = multiply(a.view(np.uint64), "f64", b.view(np.uint64), "f64", c.view(np.uint64), "f64")
    np.testing.assert_allclose(d.view(np.float64), a @ b + c, rtol=1e-14)


@pytest.mark.parametrize(("a_type", "b_type"), [("s8", "s8"), ("u8", "s8"), ("u8", "u8"), ("s4", "u4")])
@pytest.mark.parametrize("k", [16, 512])
def test_integer_products_are_exact(a_type: str, b_type: str, k: int) -> None:
    high = 16 if "4" in a_type else 256
    a = RNG.integers(0, high, (2, 16, k)).astype(np.uint8)
    b = RNG.integers(0, high, (2, k, 8)).astype(np.uint8)
    c = RNG.integers(-(1 << 31), 1 << 31, (2, 16, 8)).astype(np.int32)
    exact = elements.decode(a, a_type).astype(np.int64) @ elements.decode(b, b_type) + c
    wrapped = multiply(a, a_type, b, b_type, c.view(np.uint32), "s32").view(np.int32)
    assert (wrapped == exact.astype(np.int32)).all()
    clamped = multiply(a, a_type, b, b_type, c.view(np.uint32), "s32", saturate=True).view(np.int32)
    assert (clamped == np.clip(exact, -(1 << 31), (1 << 31) - 1)).all()


def test_saturation_clamps_at_both_ends() -> None:
    a, b = np.full((1, 8, 16), 127, np.uint8), np.full((1, 16, 8), 127, np.uint8)
    top = np.full((1, 8, 8), (1 << 31) - 1, np.int32)
    assert (multiply(a, "s8", b, "s8", top.view(np.uint32), "s32", saturate=True).view(np.int32) == top).all()
    assert (multiply(a, "s8", b, "s8", top.view(np.uint32), "s32").view(np.int32) < 0).all()


@pytest.mark.parametrize("operation", ["and", "xor"])
def test_one_bit_products_count_ones(operation: str) -> None:
    a = RNG.integers(0, 2, (2, 8, 128)).astype(np.uint8)
    b = RNG.integers(0, 2, (2, 128, 8)).astype(np.uint8)
    c = RNG.integers(0, 99, (2, 8, 8)).astype(np.uint32)
    function = {"and": np.bitwise_and, "xor": np.bitwise_xor}[operation]
    expected = function(a[:, :, :, None], b[:, None, :, :]).sum(axis=2, dtype=np.uint32) + c
    assert (multiply_bits(a, b, c, operation) == expected).all()


def test_bf16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, 3.4e38, -np.inf, 1e-41], np.float32)
    assert elements.encode(values, "bf16").tolist() == [0x3F80, 0x3F80, 0x3F82, 0x7F80, 0xFF80, 0x0000]
    assert elements.encode(np.array([np.nan], np.float32), "bf16").tolist() == [0x7FFF]


@pytest.mark.parametrize(
    ("name", "code", "value"),
    [
        ("e4m3", 0x7E, 448.0),
        ("e4m3", 0x01, 2.0**-9),
        ("e4m3", 0x7F, math.nan),
        ("e4m3", 0x80, -0.0),
        ("e5m2", 0x7B, 57344.0),
        ("e5m2", 0xFC, -math.inf),
        ("e5m2", 0x7E, math.nan),
        ("e5m2", 0x01, 2.0**-16),
        ("e2m3", 0x1F, 7.5),
        ("e2m3", 0x21, -0.125),
        ("e3m2", 0x1F, 28.0),
        ("e3m2", 0x01, 0.0625),
        ("e2m1", 0x7, 6.0),
        ("e2m1", 0xF, -6.0),
        ("e2m1", 0x1, 0.5),
        ("ue8m0", 127, 1.0),
        ("ue8m0", 255, math.nan),
        ("ue4m3", 0x38, 1.0),
        ("bf16", 0x4049, 3.140625),
        ("s4", 0xF, -1),
        ("s8", 0x80, -128),
    ],
)
def test_codes_have_the_values_of_their_format(name: str, code: int, value: float) -> None:
    kind = elements.find(name)
    assert kind is not None
    found = elements.decode(np.array([code], kind.storage), name)
    assert found.dtype == kind.value
    np.testing.assert_array_equal(found[0], value)


def test_tf32_ignores_the_low_bits() -> None:
    one = np.array([0x3F801FFF], np.uint32)
    assert elements.decode(one, "tf32").tolist() == [1.0]


def test_every_half_precision_number_is_decoded_exactly() -> None:
    bits = np.arange(1 << 16).astype(np.uint16)
    finite = bits[bits & 0x7C00 != 0x7C00]
    for codes in (bits, finite, finite[::3], finite[:60000].reshape(3, 100, 200).transpose(0, 2, 1), finite[:0]):
        found = elements.decode(codes, "f16")
        expected = codes.view(np.float16).astype(np.float32)
        assert found.shape == codes.shape
        assert (found.view(np.uint32) == expected.view(np.uint32)).all()


def test_e2m1_lies_in_the_middle_of_its_byte() -> None:
    octets = np.arange(16, dtype=np.uint8) << 2
    assert elements.from_container(octets, "e2m1").tolist() == list(range(16))
    assert elements.from_container(octets, "e4m3") is octets


def test_unknown_types_are_none_or_key_errors() -> None:
    assert elements.find("f8") is None
    with pytest.raises(KeyError):
        elements.encode(np.zeros(1, np.float32), "e4m3")
