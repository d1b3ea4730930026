"""Swizzles and the tiles that matrix descriptors name, against loops written from the canonical layouts."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.emulator.tensor.descriptors import MatrixDescriptor, Swizzle, decode_tcgen05, decode_wgmma
from backends.emulator.tensor.swizzle import load_matrix, matrix_units, pattern_bytes, permute

SPANS = {Swizzle.NONE: 16, Swizzle.B32: 32, Swizzle.B64: 64, Swizzle.B128: 128}


def test_a_tile_of_32_byte_atoms_has_four_k_to_an_atom() -> None:
    descriptor = MatrixDescriptor(2048, 4096, 512, Swizzle.B128_ATOM_32B)
    units = matrix_units(descriptor, 64, 32, 4, False)
    assert units.shape == (8, 16)
    for k, mn in itertools.product(range(8), range(0, 64, 4)):
        row, atom = k % 4, mn % 32 // 8
        linear = 2048 + mn // 32 * 4096 + k // 4 * 512 + row * 128 + mn % 8 * 4
        assert units[k, mn // 4] * 16 == linear + 32 * (atom ^ row)


@given(st.integers(0, (1 << 18) - 1), st.sampled_from(list(Swizzle)))
def test_a_swizzle_is_an_involution_inside_its_pattern(address: int, swizzle: Swizzle) -> None:
    moved = permute(address, swizzle)
    assert permute(moved, swizzle) == address
    assert moved // 128 == address // 128 and moved % 16 == address % 16
    assert permute(address + pattern_bytes(swizzle), swizzle) == moved + pattern_bytes(swizzle)


@pytest.mark.parametrize("swizzle", list(Swizzle))
def test_a_swizzle_is_a_permutation(swizzle: Swizzle) -> None:
    addresses = np.arange(4096)
    assert (np.sort(permute(addresses, swizzle)) == addresses).all()


def test_128_byte_swizzle_is_unit_xor_row() -> None:
    for row, unit in itertools.product(range(8), range(8)):
        assert permute(128 * row + 16 * unit, Swizzle.B128) == 128 * row + 16 * (unit ^ row)
    for row, unit in itertools.product(range(8), range(4)):
        assert permute(64 * row + 16 * unit, Swizzle.B64) == 64 * row + 16 * (unit ^ row // 2)
    for row, unit in itertools.product(range(8), range(2)):
        assert permute(32 * row + 16 * unit, Swizzle.B32) == 32 * row + 16 * (unit ^ row // 4)


def byte_of_canonical_layout(d: MatrixDescriptor, mn: int, k: int, size: int, k_major: bool) -> int:
    """Address of element (mn, k), by the canonical layouts of the PTX ISA, T = 16 / size elements to a unit."""
    t, span = 16 // size, SPANS[d.swizzle]
    lead, stride = d.leading_offset_bytes, d.stride_offset_bytes
    if k_major:
        along_k = k // t * (lead if d.swizzle is Swizzle.NONE else 16) + k % t * size
        return permute(d.start_bytes + mn // 8 * stride + mn % 8 * span + along_k, d.swizzle)
    per_span = span // size
    if d.swizzle is Swizzle.NONE:
        lead, stride = stride, lead
    linear = mn // per_span * lead + mn % per_span * size + k // 8 * stride + k % 8 * span
    return permute(d.start_bytes + linear, d.swizzle)


@pytest.mark.parametrize("swizzle", list(SPANS))
@pytest.mark.parametrize(("size", "k_major"), [(1, True), (2, True), (4, True), (2, False), (1, False)])
def test_tiles_lie_where_the_canonical_layouts_say(swizzle: Swizzle, size: int, k_major: bool) -> None:
    rows, depth_bytes = 128, 32
    descriptor = MatrixDescriptor(4096 + (32 if k_major and swizzle is Swizzle.B128 else 0), 2048, 1024, swizzle)
    memory = np.random.default_rng(size).integers(0, 256, (2, 1 << 17)).astype(np.uint8)
    tile = load_matrix(memory, descriptor, rows, depth_bytes, size, k_major)
    depth = depth_bytes // size
    assert tile.shape == (2, rows, depth) and tile.itemsize == size
    for mn, k in itertools.product(range(0, rows, 7), range(depth)):
        address = byte_of_canonical_layout(descriptor, mn, k, size, k_major)
        assert tile[1, mn, k].tobytes() == memory[1, address : address + size].tobytes()


@pytest.mark.parametrize(("swizzle", "k_major"), list(itertools.product(SPANS, (True, False))))
def test_a_packed_tile_uses_every_unit_once(swizzle: Swizzle, k_major: bool) -> None:
    span = SPANS[swizzle]
    if k_major:
        offsets = (128, 256) if swizzle is Swizzle.NONE else (16, 8 * span)
        depth_bytes, rows = max(32, span), 64
    else:
        spans = 128 // (span // 2)
        offsets = (8 * span, spans * 8 * span) if swizzle is not Swizzle.NONE else (spans * 128, 128)
        depth_bytes, rows = 32, 128
    units = matrix_units(MatrixDescriptor(0, *offsets, swizzle), rows, depth_bytes, 2, k_major)
    assert sorted(units.ravel().tolist()) == list(range(rows * depth_bytes // 16))


def test_k_steps_inside_a_swizzled_row_advance_the_start() -> None:
    whole = matrix_units(MatrixDescriptor(8192, 16, 1024, Swizzle.B128), 64, 128, 2, True)
    for step in range(4):
        part = matrix_units(MatrixDescriptor(8192 + 32 * step, 16, 1024, Swizzle.B128), 64, 32, 2, True)
        assert (part == whole[:, 2 * step : 2 * step + 2]).all()


def test_what_has_no_layout_is_refused_by_name() -> None:
    plain = MatrixDescriptor(0, 16, 1024, Swizzle.B128)
    with pytest.raises(ValueError, match="base offset 3"):
        matrix_units(replace(plain, base_offset=3), 64, 32, 2, True)
    with pytest.raises(ValueError, match="bit 52"):
        matrix_units(replace(plain, leading_is_absolute=True), 64, 32, 2, True)
    with pytest.raises(ValueError, match="128B_ATOM_32B"):
        matrix_units(replace(plain, swizzle=Swizzle.B128_ATOM_32B), 64, 32, 4, True)
    with pytest.raises(IndexError, match="of 1024 of shared memory"):
        load_matrix(np.zeros((1, 1024), np.uint8), plain, 64, 32, 2, True)


def test_wgmma_descriptor_fields() -> None:
    word = 0x1234 | 0x0040 << 16 | 0x0080 << 32 | 5 << 49 | 1 << 62
    assert decode_wgmma(word) == MatrixDescriptor(0x12340, 0x400, 0x800, Swizzle.B128, base_offset=5)
    assert decode_wgmma(2 << 62).swizzle is Swizzle.B64 and decode_wgmma(3 << 62).swizzle is Swizzle.B32


def test_tcgen05_descriptor_fields() -> None:
    word = 0x0100 | 1 << 16 | 0x0040 << 32 | 1 << 46 | 2 << 61
    assert decode_tcgen05(word) == MatrixDescriptor(0x1000, 16, 0x400, Swizzle.B128)
    assert decode_tcgen05(word | 1 << 52).leading_is_absolute
    modes = {0: Swizzle.NONE, 1: Swizzle.B128_ATOM_32B, 4: Swizzle.B64, 6: Swizzle.B32}
    for mode, swizzle in modes.items():
        assert decode_tcgen05(1 << 46 | mode << 61).swizzle is swizzle


@pytest.mark.parametrize(
    ("decode", "word", "field"),
    [
        (decode_wgmma, 1 << 14, "bits 14-15"),
        (decode_wgmma, 2 << 30, "bits 30-31"),
        (decode_wgmma, 1 << 46, "bits 46-48"),
        (decode_wgmma, 1 << 61, "bits 52-61"),
        (decode_tcgen05, 0, "bits 46-48"),
        (decode_tcgen05, 1 << 46 | 1 << 15, "bits 14-15"),
        (decode_tcgen05, 1 << 46 | 1 << 31, "bits 30-31"),
        (decode_tcgen05, 1 << 46 | 1 << 60, "bits 53-60"),
        (decode_tcgen05, 1 << 46 | 3 << 61, "bits 61-63"),
    ],
)
def test_invalid_descriptors_name_the_field(decode, word: int, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        decode(word)
