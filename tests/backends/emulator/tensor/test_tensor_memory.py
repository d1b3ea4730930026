"""Tensor memory layouts against the figures of the PTX ISA written as formulas, and instruction descriptors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from backends.emulator.tensor import elements
from backends.emulator.tensor.instruction_descriptors import decode
from backends.emulator.tensor.multiply import multiply_scaled
from backends.emulator.tensor.tensor_memory import (
    accumulator,
    copy,
    matrix_a_lanes,
    movement,
    pack_pairs,
    scale_factors,
    unpack_pairs,
)

RNG = np.random.default_rng(5)


def cell_of(shape: str, count: int, lane: int, register: int) -> tuple[int, int]:
    """(row, column) of a register of a lane."""
    g, t = divmod(lane, 4)
    return {
        "32x32b": (lane, register),
        "16x64b": (g + 8 * (t % 2), 2 * register + t // 2),
        "16x128b": (g + 8 * (register % 2), 4 * (register // 2) + t),
        "16x256b": (g + 8 * (register // 2 % 2), 8 * (register // 4) + 2 * t + register % 2),
        "16x32bx2": (lane % 16, count * (lane // 16) + register),
    }[shape]


PER_COUNT = {"32x32b": 1, "16x64b": 1, "16x128b": 2, "16x256b": 4, "16x32bx2": 1}


@pytest.mark.parametrize(("shape", "count"), [(s, c) for s in PER_COUNT for c in (1, 2, 8, 32)])
def test_movements(shape: str, count: int) -> None:
    fragment = movement(shape, count)
    assert fragment is not None and fragment.registers == count * PER_COUNT[shape]
    cells = RNG.integers(0, 1 << 32, (2, *fragment.shape)).astype(np.uint32)
    registers = fragment.scatter(cells)
    for register, lane in itertools.product(range(fragment.registers), range(32)):
        row, column = cell_of(shape, count, lane, register)
        assert registers[register, 1, lane] == cells[1, row, column]
    assert (fragment.gather(registers) == cells).all()


def test_movements_that_do_not_exist() -> None:
    assert movement("16x256b", 64) is None and movement("16x128b", 128) is None
    assert movement("32x32b", 3) is None and movement("8x8b", 1) is None
    assert movement("32x32b", 128) is not None


def test_packing_joins_low_halves() -> None:
    cells = RNG.integers(0, 1 << 32, (2, 4, 6)).astype(np.uint32)
    words = pack_pairs(cells)
    assert (words == (cells[..., ::2] & 0xFFFF | cells[..., 1::2] << 16)).all()
    assert (unpack_pairs(words) == cells & 0xFFFF).all()


def place_of_d(m: int, n: int, ctas: int, ws: bool, row: int, column: int) -> tuple[int, int, int]:
    """(CTA, lane, column) of an element of D, by the layouts A to G."""
    if ctas == 2:
        cta, r = divmod(row, m // 2)
        return (cta, r, column) if m == 256 else (cta, 64 * (column // (n // 2)) + r, column % (n // 2))
    if m == 128:
        return 0, row, column
    if m == 64 and not ws:
        return 0, 32 * (row // 16) + row % 16, column
    parts = 128 // m
    return 0, m * (column // (n // parts)) + row, column % (n // parts)


@pytest.mark.parametrize(
    ("m", "n", "ctas", "ws"),
    [(128, 24, 1, False), (64, 8, 1, False), (256, 32, 2, False), (128, 32, 2, False)]
    + [(m, 64, 1, True) for m in (32, 64, 128)],
)
def test_accumulators(m: int, n: int, ctas: int, ws: bool) -> None:
    layout = accumulator(m, n, ctas, ws)
    assert layout is not None
    d = RNG.integers(0, 1 << 32, (2, m, n)).astype(np.uint32)
    cells = layout.cells(d)
    assert cells.shape == (2, ctas, len(layout.lanes), layout.columns)
    for row, column in itertools.product(range(0, m, 7), range(n)):
        cta, lane, cell = place_of_d(m, n, ctas, ws, row, column)
        assert cells[1, cta, layout.lanes.index(lane), cell] == d[1, row, column]
    assert (layout.matrices(cells) == d).all()


def test_accumulators_that_do_not_exist() -> None:
    missing = [(32, 64, 1, False), (256, 64, 1, False), (64, 64, 2, False), (128, 12, 1, False), (256, 24, 2, False)]
    assert all(accumulator(*key) is None for key in [*missing, (64, 32, 1, True), (128, 264, 1, False)])


def test_lanes_of_a() -> None:
    assert matrix_a_lanes(128) == tuple(range(128)) == matrix_a_lanes(256, 2)
    lanes = matrix_a_lanes(64)
    assert lanes is not None and lanes[15:18] == (15, 32, 33)
    assert matrix_a_lanes(128, 2) is None and matrix_a_lanes(64, 1, True) is None


@pytest.mark.parametrize(
    ("shape", "multicast", "groups"),
    [
        ("128x256b", "", {0: [0], 1: [1], 2: [2], 3: [3]}),
        ("128x128b", "", {0: [0], 1: [1], 2: [2], 3: [3]}),
        ("64x128b", "warpx2::02_13", {0: [0, 2], 1: [1, 3]}),
        ("64x128b", "warpx2::01_23", {0: [0, 1], 1: [2, 3]}),
        ("32x128b", "warpx4", {0: [0, 1, 2, 3]}),
    ],
)
def test_copies(shape: str, multicast: str, groups: dict[int, list[int]]) -> None:
    found = copy(shape, multicast)
    assert found is not None
    assert found.row_bytes == int(shape.split("x")[1].rstrip("b")) // 8
    for row in range(found.rows):
        assert sorted(found.lanes[:, row].tolist()) == [32 * g + row % 32 for g in groups[row // 32]]


def test_copies_that_are_not_known() -> None:
    assert copy("4x256b") is None and copy("64x128b") is None


def test_scale_factors_lie_four_to_a_column() -> None:
    cells = RNG.integers(0, 1 << 32, (2, 32, 4)).astype(np.uint32)
    for per_row, factor_id in ((1, 3), (2, 2), (4, 0)):
        factors = scale_factors(cells, 104, per_row, factor_id)
        assert factors.shape == (2, 104, per_row)
        for row, j in itertools.product(range(104), range(per_row)):
            assert factors[1, row, j] == int(cells[1, row % 32, row // 32]) >> 8 * (factor_id + j) & 255
    with pytest.raises(ValueError, match="goes beyond the 4 bytes"):
        scale_factors(cells, 104, 2, 3)


@pytest.mark.parametrize(("blocks", "scale"), [(1, "ue8m0"), (2, "ue8m0"), (4, "ue4m3")])
def test_block_scaled_products(blocks: int, scale: str) -> None:
    a, b = (RNG.integers(0, 16, shape).astype(np.uint8) for shape in ((2, 8, 64), (2, 64, 16)))
    low, high = (120, 134) if scale == "ue8m0" else (40, 72)
    sa, sb = (RNG.integers(low, high, (2, rows, blocks)).astype(np.uint8) for rows in (8, 16))
    c = RNG.standard_normal((2, 8, 16)).astype(np.float32)
    found = multiply_scaled(a, "e2m1", sa, b, "e2m1", sb, scale, c.view(np.uint32)).view(np.float32)
    value = lambda x, t: elements.decode(x, t).astype(np.float64)  # noqa: E731
    expected = c.astype(np.float64)
    for s in range(blocks):
        part = slice(s * 64 // blocks, (s + 1) * 64 // blocks)
        product = value(a, "e2m1")[:, :, part] @ value(b, "e2m1")[:, part]
        expected += product * value(sa, scale)[:, :, s, None] * value(sb, scale)[:, None, :, s]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_instruction_descriptor_of_half_precision() -> None:
    word = 1 << 4 | 1 << 7 | 1 << 10 | 1 << 14 | 1 << 16 | 128 >> 3 << 17 | 128 >> 4 << 24
    found = decode(word, "f16")
    assert found is not None
    assert (found.m, found.n, found.k, found.a_type, found.b_type, found.d_type) == (
        128,
        128,
        16,
        "bf16",
        "bf16",
        "f32",
    )
    assert (found.negate_a, found.negate_b, found.transpose_a, found.transpose_b) == (False, True, False, True)


def test_instruction_descriptors_of_other_kinds() -> None:
    shape = 64 >> 3 << 17 | 256 >> 4 << 24
    integers = decode(shape | 1 << 3 | 2 << 4 | 1 << 10, "i8")
    assert integers is not None and integers.saturate and (integers.a_type, integers.b_type) == ("u8", "s8")
    eight = decode(shape | 1 << 4 | 5 << 7 | 4 << 10, "f8f6f4")
    assert eight is not None and (eight.a_type, eight.b_type, eight.k) == ("e2m1", "e3m2", 32)
    scaled = decode(shape | 1 << 23 | 2 << 4 | 3 << 29, "mxf8f6f4")
    assert scaled is not None and (scaled.scale_type, scaled.a_scale_id, scaled.b_scale_id) == ("ue8m0", 3, 2)
    four = decode(shape | 1 << 7 | 1 << 10, "mxf4nvf4")
    assert four is not None and (four.scale_type, four.k, four.m) == ("ue4m3", 64, 256)
    assert decode(shape, "f64") is None


@pytest.mark.parametrize(
    ("kind", "word", "types"),
    [
        ("f16", 68222992, ("f16", "f16", "f32")),
        ("f16", 68224144, ("bf16", "bf16", "f32")),
        ("f16", 68222976, ("f16", "f16", "f16")),
        ("f8f6f4", 68222992, ("e4m3", "e4m3", "f32")),
        ("f8f6f4", 68224144, ("e5m2", "e5m2", "f32")),
        ("tf32", 68159760, ("tf32", "tf32", "f32")),
        ("i8", 68224160, ("s8", "s8", "s32")),
    ],
)
def test_words_that_triton_emits_for_a_64_by_64_tile(kind: str, word: int, types: tuple[str, str, str]) -> None:
    found = decode(word, kind)
    assert found is not None and (found.m, found.n) == (64, 64)
    assert (found.a_type, found.b_type, found.d_type) == types
    assert found.transpose_b == (kind != "tf32") and not found.transpose_a


@pytest.mark.parametrize(
    ("kind", "word", "message"),
    [
        ("f16", 1 << 2, "sparsity"),
        ("f16", 1 << 6, "bit 6"),
        ("f16", 1 << 23, "bit 23"),
        ("f16", 1 << 29, "bit 29"),
        ("f16", 2 << 4, "type of D"),
        ("f16", 3 << 4, "type of D"),
        ("f16", 3 << 7, "type of A"),
        ("tf32", 2 << 7 | 1 << 4, "type of B"),
        ("i8", 2 << 4 | 1 << 13, "negated"),
        ("f16", 1 << 3, "saturation"),
        ("mxf4", 1 << 7 | 1 << 10, "scale type"),
        ("mxf8f6f4", 1 << 31 | 1 << 23, "k of 96"),
        ("mxf8f6f4", 1 << 3 | 1 << 23, "bit 3"),
    ],
)
def test_instruction_descriptors_that_are_refused(kind: str, word: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(word | 64 >> 3 << 17 | 128 >> 4 << 24, kind)


def test_shapes_that_are_refused() -> None:
    with pytest.raises(ValueError, match=r"M \(bits 24-28\) is 48"):
        decode(1 << 4 | 8 << 17 | 3 << 24, "f16")
    with pytest.raises(ValueError, match=r"N \(bits 17-22\) is 0"):
        decode(1 << 4 | 8 << 24, "f16")
