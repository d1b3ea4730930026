# ruff: noqa: N803 - the names of constants
"""tcgen05 in rows: UNROLL products of depth 16 onto one accumulator, `repeats` times; all operands are 1."""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.blackwell import (
    TensorMemoryLayout,
    allocate_tensor_memory,
    tcgen05_commit,
    tcgen05_mma,
)
from triton.experimental.gluon.language.nvidia.hopper import fence_async_shared, mbarrier


@gluon.jit
def ones(M: gl.constexpr, N: gl.constexpr):
    """A tile of ones in shared memory, as the tensor core reads it."""
    layout: gl.constexpr = gl.NVMMASharedLayout.get_default_for([M, N], gl.float16)
    values = gl.full([M, N], 1.0, gl.float16, gl.BlockedLayout([1, 8], [16, 2], [gl.num_warps(), 1], [1, 0]))
    return gl.allocate_shared_memory(gl.float16, [M, N], layout, values)


@gluon.jit
def store(out, values, M: gl.constexpr, N: gl.constexpr, LAYOUT: gl.constexpr):
    """Write a tile, row by row."""
    rows = gl.arange(0, M, gl.SliceLayout(1, LAYOUT))
    columns = gl.arange(0, N, gl.SliceLayout(0, LAYOUT))
    gl.store(out + rows[:, None] * N + columns[None, :], values)


@gluon.jit
def tcgen05_kernel(out, repeats, N: gl.constexpr, UNROLL: gl.constexpr):
    """128xNx16 into tensor memory; each run of the loop waits for its last product."""
    a, b = ones(128, 16), ones(16, N)
    acc = allocate_tensor_memory(gl.float32, [128, N], TensorMemoryLayout([128, N], col_stride=1))
    layout: gl.constexpr = gl.BlockedLayout([1, N], [32, 1], [4, 1], [0, 1])
    acc.store(gl.zeros([128, N], gl.float32, layout))
    done = gl.allocate_shared_memory(gl.int64, [1], mbarrier.MBarrierLayout())
    mbarrier.init(done, count=1)
    fence_async_shared()
    for run in range(repeats):
        for _step in gl.static_range(UNROLL):
            tcgen05_mma(a, b, acc, use_acc=True)
        tcgen05_commit(done)
        mbarrier.wait(done, run & 1)
    store(out, acc.load(layout), 128, N, layout)
