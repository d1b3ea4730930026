"""A GEMM of clusters of two CTAs that share each product of tensor cores: c = a @ b, one column of tiles."""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.blackwell import (
    TensorMemoryLayout,
    allocate_tensor_memory,
    fence_async_shared,
    mbarrier,
    tcgen05_mma,
    tcgen05_mma_barrier_count,
    tma,
)


@gluon.jit
def two_cta_gemm(a_desc, b_desc, c_desc, steps):
    M: gl.constexpr = a_desc.block_type.shape[0]
    BK: gl.constexpr = a_desc.block_type.shape[1]
    N: gl.constexpr = b_desc.block_type.shape[1]
    acc_layout: gl.constexpr = TensorMemoryLayout([128, N], col_stride=1, cga_layout=((1, 0),), two_ctas=True)
    a = gl.allocate_shared_memory(gl.float16, [M, BK], a_desc.layout)
    b = gl.allocate_shared_memory(gl.float16, [BK, N], b_desc.layout)
    acc = allocate_tensor_memory(gl.float32, [M, N], acc_layout)
    full = mbarrier.allocate_mbarrier(two_ctas=True)
    done = mbarrier.allocate_mbarrier()
    mbarrier.init(full, count=1)
    mbarrier.init(done, count=tcgen05_mma_barrier_count([a, b], True, True))
    row = gl.program_id(0) * M
    for k in range(steps):
        mbarrier.expect(full, a_desc.nbytes_per_cta + b_desc.nbytes_per_cta)
        tma.async_load(a_desc, [row, k * BK], full, a, multicast=True)
        tma.async_load(b_desc, [k * BK, 0], full, b, multicast=True)
        mbarrier.wait(full, k & 1, deps=[a, b])
        tcgen05_mma(a, b, acc, use_acc=k != 0, multicast=True, mbarriers=[done])
        mbarrier.wait(done, k & 1, deps=[a, b])
    mbarrier.invalidate(full)
    mbarrier.invalidate(done)
    out = acc.load()
    tile = gl.allocate_shared_memory(gl.float16, [M, N], c_desc.layout, out.to(gl.float16))
    fence_async_shared()
    tma.async_store(c_desc, [row, 0], tile)
    tma.store_wait(0)
