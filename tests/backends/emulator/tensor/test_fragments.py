"""Fragment layouts against loops written from the formulas of the PTX ISA, and round trips."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.emulator.tensor.fragments import Fragment
from backends.emulator.tensor.warp_fragments import byte_rows, decompress, matrix_rows, mma, transpose
from backends.emulator.tensor.warpgroup_fragments import depth, wgmma_a, wgmma_accumulator, widths

BITS = {
    "e2m3": 8,
    "e3m2": 8,
    "e2m1": 4,
    "f16": 16,
    "bf16": 16,
    "tf32": 32,
    "e4m3": 8,
    "e5m2": 8,
    "s8": 8,
    "u8": 8,
    "s4": 4,
    "u4": 4,
    "b1": 1,
    "f64": 64,
}
SHAPES = [
    *((16, k, t) for t in ("f16", "bf16") for k in (8, 16)),
    *((16, k, "tf32") for k in (4, 8)),
    *((16, k, t) for t in ("s8", "u8", "e4m3", "e5m2") for k in (16, 32)),
    *((16, k, t) for t in ("s4", "u4") for k in (32, 64)),
    (16, 32, "e2m3"),
    (16, 64, "e2m1"),
    *((16, k, "b1") for k in (128, 256)),
    *((16, k, "f64") for k in (4, 8, 16)),
    (8, 16, "s8"),
    (8, 32, "u4"),
    (8, 128, "b1"),
    (8, 4, "f64"),
]


def a_of_isa(m: int, k: int, element: str, lane: int, i: int) -> tuple[int, int]:
    """(row, column) of a_i, by the formulas of the sections "Matrix fragments for mma.m..n..k.."."""
    group, thread = lane >> 2, lane % 4
    run = max(1, 32 // BITS[element])
    register, e = divmod(i, run)
    row = group + (8 if m == 16 and register % 2 else 0)
    chunk = register // 2 if m == 16 else register
    return row, thread * run + e + chunk * 4 * run


def b_of_isa(k: int, element: str, lane: int, i: int) -> tuple[int, int]:
    group, thread = lane >> 2, lane % 4
    run = max(1, 32 // BITS[element])
    return thread * run + i % run + i // run * 4 * run, group


def c_of_isa(lane: int, i: int) -> tuple[int, int]:
    return (lane >> 2) + (8 if i >= 2 else 0), (lane % 4) * 2 + (i & 1)


def expected_registers(matrix: np.ndarray, fragment: Fragment, formula) -> np.ndarray:
    run = fragment.register_bits // fragment.element_bits
    out = np.zeros((fragment.registers, 32), np.uint64)
    for register, lane, e in itertools.product(range(fragment.registers), range(32), range(run)):
        row, column = formula(lane, register * run + e)
        out[register, lane] |= np.uint64(int(matrix[row, column]) << (e * fragment.element_bits))
    return out


def random_bits(rng: np.random.Generator, fragment: Fragment, n: int) -> np.ndarray:
    high = 1 << min(fragment.element_bits, 62)
    return rng.integers(0, high, (n, *fragment.shape)).astype(fragment.storage)


@pytest.mark.parametrize(("m", "k", "element"), SHAPES)
def test_multiplicands_lie_where_the_isa_says(m: int, k: int, element: str) -> None:
    rng = np.random.default_rng(k)
    formulas = {
        "a": lambda lane, i: a_of_isa(m, k, element, lane, i),
        "b": lambda lane, i: b_of_isa(k, element, lane, i),
    }
    for operand, formula in formulas.items():
        fragment = mma(m, 8, k, operand, element)
        assert fragment is not None
        assert fragment.shape == ((m, k) if operand == "a" else (k, 8))
        matrices = random_bits(rng, fragment, 3)
        registers = fragment.scatter(matrices)
        assert registers.shape == (fragment.registers, 3, 32)
        assert (registers[:, 1] == expected_registers(matrices[1], fragment, formula)).all()
        assert (fragment.gather(registers) == matrices).all()


@pytest.mark.parametrize(("m", "element"), [(16, "f16"), (16, "f32"), (16, "s32"), (16, "f64"), (8, "s32"), (8, "f64")])
def test_accumulators_lie_where_the_isa_says(m: int, element: str) -> None:
    fragment = mma(m, 8, 16, "c", element)
    assert fragment is not None and fragment.shape == (m, 8)
    matrices = random_bits(np.random.default_rng(1), fragment, 2)
    registers = fragment.scatter(matrices)
    assert (registers[:, 1] == expected_registers(matrices[1], fragment, c_of_isa)).all()
    assert (fragment.gather(registers) == matrices).all()


@pytest.mark.parametrize(
    "key", [(16, 8, 32, "a", "f16"), (16, 16, 16, "a", "f16"), (8, 8, 4, "a", "f16"), (16, 8, 8, "c", "bf16")]
)
def test_shapes_that_mma_does_not_have_are_none(key: tuple[int, int, int, str, str]) -> None:
    assert mma(*key) is None


def test_wgmma_accumulator_rows_and_columns() -> None:
    for n, element in itertools.product((8, 24, 256), ("f32", "s32", "f16")):
        fragment = wgmma_accumulator(n, element)
        assert fragment is not None and fragment.shape == (64, n)
        for row, column in ((0, 0), (9, 3), (63, n - 1), (37, 6)):
            register, lane, e = fragment.place(row, column)
            i = register * 2 + e if element == "f16" else register
            warp, in_warp = divmod(lane, 32)
            # The formulas of the PTX ISA, "Register fragments and shared memory matrix layouts".
            assert row == 16 * warp + in_warp // 4 + 8 * (i // 2 % 2)
            assert column == 8 * (i // 4) + 2 * (in_warp % 4) + i % 2


@pytest.mark.parametrize("element", ["f16", "bf16", "tf32", "e4m3", "e5m2", "s8", "u8"])
def test_wgmma_a_is_four_warps_of_mma_a(element: str) -> None:
    k = depth(element)
    assert k is not None
    whole, warp = wgmma_a(element), mma(16, 8, k, "a", element)
    assert whole is not None and warp is not None and whole.shape == (64, k)
    registers = np.random.default_rng(3).integers(0, 1 << 32, (4, 5, 4, 32)).astype(np.uint32)
    matrices = whole.gather(registers)
    for w in range(4):
        assert (matrices[:, 16 * w : 16 * w + 16] == warp.gather(np.ascontiguousarray(registers[:, :, w]))).all()
    assert (whole.scatter(matrices) == registers).all()


def test_wgmma_widths() -> None:
    assert len(widths("f16")) == 32 and 40 in widths("f16")
    assert 40 not in widths("s8") and 24 in widths("u8") and 256 in widths("s8")
    assert widths("f64") == () and wgmma_a("f64") is None and wgmma_accumulator(12, "f32") is None


@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix_rows(count: int) -> None:
    rows = np.random.default_rng(count).integers(0, 1 << 16, (3, 8 * count, 8)).astype(np.uint16)
    plain, transposed = matrix_rows(count, False), matrix_rows(count, True)
    assert plain is not None and transposed is not None
    a, b = plain.scatter(rows), transposed.scatter(rows)
    assert a.shape == b.shape == (count, 3, 32)
    for q, n, lane in itertools.product(range(count), range(3), range(32)):
        group, thread = divmod(lane, 4)
        tile = rows[n, 8 * q : 8 * q + 8].astype(np.uint32)
        assert a[q, n, lane] == tile[group, 2 * thread] | tile[group, 2 * thread + 1] << 16
        assert b[q, n, lane] == tile[2 * thread, group] | tile[2 * thread + 1, group] << 16
    assert (plain.gather(a) == rows).all() and (transposed.gather(b) == rows).all()
    assert matrix_rows(3, False) is None


@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix_rows_of_bytes(count: int) -> None:
    rows = np.random.default_rng(count).integers(0, 256, (2, 8 * count, 16)).astype(np.uint8)
    fragment = byte_rows(count)
    assert fragment is not None and byte_rows(3) is None
    registers = fragment.scatter(rows)
    for q, lane in itertools.product(range(count), range(32)):
        group, thread = divmod(lane, 4)
        assert registers[q, 1, lane].tobytes() == rows[1, 8 * q + group, 4 * thread : 4 * thread + 4].tobytes()


@pytest.mark.parametrize(("source", "bits"), [("b4x16_p64", 4), ("b6x16_p32", 6)])
def test_decompression_of_padded_rows(source: str, bits: int) -> None:
    rows = np.random.default_rng(bits).integers(0, 256, (3, 8, 16)).astype(np.uint8)
    found = decompress(rows, source)
    number = int.from_bytes(rows[2, 5].tobytes(), "little")
    assert found[2, 5].tolist() == [number >> bits * i & ((1 << bits) - 1) for i in range(16)]


def test_movmatrix_transposes() -> None:
    layout = matrix_rows(1, False)
    assert layout is not None
    matrix = np.random.default_rng(9).integers(0, 1 << 16, (4, 8, 8)).astype(np.uint16)
    turned = transpose(layout.scatter(matrix))
    assert turned.shape == (1, 4, 32)
    assert (layout.gather(turned) == matrix.transpose(0, 2, 1)).all()


def test_e2m1_takes_a_byte_in_the_shallow_shape() -> None:
    fragment = mma(16, 8, 32, "a", "e2m1")
    assert fragment is not None and fragment == mma(16, 8, 32, "a", "e4m3")


def test_tiles_are_placed_side_by_side() -> None:
    fragment = mma(16, 8, 16, "a", "f16")
    assert fragment is not None
    registers = np.random.default_rng(0).integers(0, 1 << 32, (2, 3, 4, 5, 32)).astype(np.uint32)
    whole = fragment.gather_tiles(registers)
    assert whole.shape == (5, 32, 48)
    for i, j in itertools.product(range(2), range(3)):
        assert (whole[:, 16 * i : 16 * i + 16, 16 * j : 16 * j + 16] == fragment.gather(registers[i, j])).all()
    assert (fragment.scatter_tiles(whole, (2, 3)) == registers).all()


ALL = [
    fragment
    for m, k, t in SHAPES
    for fragment in (mma(m, 8, k, "a", t), mma(m, 8, k, "b", t), wgmma_accumulator(64, "f32"), wgmma_a("s8"))
    if fragment is not None
]


@given(fragment=st.sampled_from(ALL), data=st.data())
def test_place_agrees_with_scatter(fragment: Fragment, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, fragment.shape[0] - 1))
    column = data.draw(st.integers(0, fragment.shape[1] - 1))
    matrices = np.zeros((1, *fragment.shape), fragment.storage)
    matrices[0, row, column] = 1
    registers = fragment.scatter(matrices).reshape(fragment.registers, -1)
    register, lane, e = fragment.place(row, column)
    assert int(registers[register, lane]) == 1 << (e * fragment.element_bits)
    assert np.count_nonzero(registers) == 1
