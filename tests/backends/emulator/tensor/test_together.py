"""The layouts together: TMA writes a tile, a descriptor reads it, and the product lands in registers."""

from __future__ import annotations

import numpy as np
import pytest

from backends.emulator.tensor.boxes import load, shared_units, tile_box
from backends.emulator.tensor.descriptors import decode_tcgen05, decode_wgmma
from backends.emulator.tensor.multiply import multiply
from backends.emulator.tensor.swizzle import load_matrix
from backends.emulator.tensor.tensor_map import DataType, MapSwizzle, TensorMap
from backends.emulator.tensor.warp_fragments import matrix_rows, mma
from backends.emulator.tensor.warpgroup_fragments import wgmma_accumulator

RNG = np.random.default_rng(11)
SPANS = {MapSwizzle.B32: 32, MapSwizzle.B64: 64, MapSwizzle.B128: 128}
WGMMA_CODES = {MapSwizzle.B128: 1, MapSwizzle.B64: 2, MapSwizzle.B32: 3}
TCGEN05_CODES = {MapSwizzle.B128: 2, MapSwizzle.B64: 4, MapSwizzle.B32: 6}


def put(shared: np.ndarray, matrix: np.ndarray, at: int, swizzle: MapSwizzle) -> None:
    """TMA-load a matrix (rows, columns) f16 into shared memory as panels one swizzle span wide."""
    rows, columns = matrix.shape
    width = SPANS[swizzle] // 2
    tensor = TensorMap(DataType.FLOAT16, 0, (columns, rows), (columns * 2,), (width, rows), (1, 1), swizzle=swizzle)
    for panel in range(columns // width):
        box = tile_box(tensor, np.array([[panel * width, 0]]))
        tile = load(matrix.view(np.uint8).reshape(-1), 0, tensor, box)
        units = shared_units(tensor, at + panel * tensor.box_bytes, tensor.box_bytes)
        shared.view(np.complex128)[:, units] = tile.view(np.complex128)


@pytest.mark.parametrize("swizzle", SPANS)
def test_wgmma_reads_what_tma_wrote(swizzle: MapSwizzle) -> None:
    a, b = (RNG.integers(-4, 5, shape).astype(np.float16) for shape in ((64, 16), (16, 128)))
    span = SPANS[swizzle]
    shared = np.zeros((1, 32768), np.uint8)
    wide = np.zeros((64, span // 2), np.float16)
    wide[:, :16] = a
    put(shared, wide, 1024, swizzle)
    put(shared, b, 16384, swizzle)
    code = WGMMA_CODES[swizzle] << 62
    a_word = code | 1024 >> 4 | (8 * span) >> 4 << 32
    b_word = code | 16384 >> 4 | (16 * span) >> 4 << 16 | (8 * span) >> 4 << 32
    left = load_matrix(shared, decode_wgmma(a_word), 64, 32, 2, k_major=True)
    right = load_matrix(shared, decode_wgmma(b_word), 128, 32, 2, k_major=False)
    assert (left[0].view(np.float16) == a).all() and (right[0].transpose(1, 0).view(np.float16) == b).all()
    d = multiply(left, "f16", right.transpose(0, 2, 1), "f16", None, "f32")
    fragment = wgmma_accumulator(128, "f32")
    assert fragment is not None
    registers = fragment.scatter(d)
    assert registers.shape == (64, 1, 4, 32)
    exact = a.astype(np.float32) @ b.astype(np.float32)
    assert (fragment.gather(registers).view(np.float32)[0] == exact).all()
    same = TCGEN05_CODES[swizzle] << 61 | 1 << 46 | a_word & ((1 << 46) - 1)
    assert decode_tcgen05(same) == decode_wgmma(a_word)


def test_a_product_of_fragments_that_ldmatrix_made() -> None:
    a, b = (RNG.integers(-4, 5, shape).astype(np.float16) for shape in ((16, 16), (16, 8)))
    quads = [a[:8, :8], a[8:, :8], a[:8, 8:], a[8:, 8:]]
    loads = {"a": (4, False, np.concatenate(quads)), "b": (2, True, b)}
    operands = {}
    for operand, (count, turned, rows) in loads.items():
        layout, fragment = matrix_rows(count, turned), mma(16, 8, 16, operand, "f16")
        assert layout is not None and fragment is not None
        operands[operand] = fragment.gather(layout.scatter(rows.view(np.uint16)[None]))
    d = multiply(operands["a"], "f16", operands["b"], "f16", None, "f32").view(np.float32)
    assert (d[0] == a.astype(np.float32) @ b.astype(np.float32)).all()
