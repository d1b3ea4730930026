"""Gluon kernels: a masked copy, and one whose loads and stores are in warp groups of their own."""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import mbarrier, tma

# Their names before Triton 3.9.
async_load = getattr(tma, "async_load", tma.async_copy_global_to_shared)
async_store = getattr(tma, "async_store", tma.async_copy_shared_to_global)


@gluon.jit
def copy_kernel(x_ptr, y_ptr, n, BLOCK: gl.constexpr):
    layout: gl.constexpr = gl.BlockedLayout([4], [32], [gl.num_warps()], [0])
    offsets = gl.program_id(0) * BLOCK + gl.arange(0, BLOCK, layout)
    mask = offsets < n
    gl.store(y_ptr + offsets, gl.load(x_ptr + offsets, mask=mask), mask=mask)


@gluon.jit
def _load(x_desc, tile, full):
    mbarrier.expect(full, x_desc.block_type.nbytes)
    async_load(x_desc, [0, 0], full, tile)


@gluon.jit
def _store(y_desc, tile, full):
    mbarrier.wait(full, 0)
    async_store(y_desc, [0, 0], tile)
    tma.store_wait(0)


@gluon.jit
def specialised_copy_kernel(x_desc, y_desc):
    tile = gl.allocate_shared_memory(x_desc.dtype, x_desc.block_type.shape, x_desc.layout)
    full = gl.allocate_shared_memory(gl.int64, [1], mbarrier.MBarrierLayout())
    mbarrier.init(full, count=1)
    gl.warp_specialize([(_store, (y_desc, tile, full)), (_load, (x_desc, tile, full))], [1], [24])
