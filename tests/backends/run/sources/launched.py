"""Kernels that tests launch directly."""

import triton
import triton.language as tl


@triton.jit
def add_into(x_ptr, y_ptr, n, stride, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    total = tl.load(x_ptr + offsets * stride, mask=mask) + tl.load(y_ptr + offsets, mask=mask)
    tl.debug_barrier()
    tl.store(y_ptr + offsets, total, mask=mask)


@triton.jit
def add_strided(x_ptr, y_ptr, n, stride_x, stride_y, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    mask = offsets < n
    total = tl.load(x_ptr + offsets * stride_x, mask=mask) + tl.load(y_ptr + offsets * stride_y, mask=mask)
    tl.store(y_ptr + offsets * stride_y, total, mask=mask)


@triton.jit
def copy_tiles(source, targets, stride, TILE: tl.constexpr):
    row, column = tl.program_id(0) * TILE, tl.program_id(1) * TILE
    rows, columns = row + tl.arange(0, TILE), column + tl.arange(0, TILE)
    tl.store(targets[0] + rows[:, None] * stride + columns[None, :], source.load([row, column]))
