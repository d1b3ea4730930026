"""Warp-specialised GEMM in Gluon for Hopper (wgmma) and Blackwell (tcgen05): c = a @ b.

One warp copies tiles of a and b into a ring of STAGES slots by TMA. A slot goes round through two barriers: `full` says
that its bytes have landed, `empty` that the product is done with them. The n-th use of a slot waits for phase n % 2 of
`full`; the copy into it waits for the opposite phase of `empty`, which an untouched barrier grants at once.
"""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.blackwell import (
    TensorMemoryLayout,
    allocate_tensor_memory,
    tcgen05_commit,
    tcgen05_mma,
)
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)

# Older versions of Triton, such as 3.6, have these under other names.
tma_load = tma.async_load if hasattr(tma, "async_load") else tma.async_copy_global_to_shared
tma_store = tma.async_store if hasattr(tma, "async_store") else tma.async_copy_shared_to_global


@gluon.jit
def load_tiles(a_desc, b_desc, a_tiles, b_tiles, full, empty, row, col, steps):
    """Fill the ring; tiles beyond the matrices come as zeros."""
    STAGES: gl.constexpr = a_tiles.shape[0]
    BLOCK_K: gl.constexpr = a_tiles.shape[2]
    for step in range(steps):
        slot = step % STAGES
        mbarrier.wait(empty.index(slot), step // STAGES & 1 ^ 1)
        mbarrier.expect(full.index(slot), a_desc.block_type.nbytes + b_desc.block_type.nbytes)
        tma_load(a_desc, [row, step * BLOCK_K], full.index(slot), a_tiles.index(slot))
        tma_load(b_desc, [step * BLOCK_K, col], full.index(slot), b_tiles.index(slot))


@gluon.jit
def ring(a_desc, b_desc, STAGES: gl.constexpr):
    """Shared memory for the tiles, and their barriers."""
    a_shape: gl.constexpr = a_desc.block_type.shape
    b_shape: gl.constexpr = b_desc.block_type.shape
    a_tiles = gl.allocate_shared_memory(a_desc.dtype, [STAGES, a_shape[0], a_shape[1]], a_desc.layout)
    b_tiles = gl.allocate_shared_memory(b_desc.dtype, [STAGES, b_shape[0], b_shape[1]], b_desc.layout)
    full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    for slot in gl.static_range(STAGES):
        mbarrier.init(full.index(slot), count=1)
        mbarrier.init(empty.index(slot), count=1)
    return a_tiles, b_tiles, full, empty


@gluon.jit
def store_tile(c_desc, values, row, col):
    """Write a tile of results; what is beyond the matrix is left out."""
    tile = gl.allocate_shared_memory(c_desc.dtype, c_desc.block_type.shape, c_desc.layout, values.to(c_desc.dtype))
    # TMA must see what the threads have just written.
    fence_async_shared()
    tma_store(c_desc, [row, col], tile)
    tma.store_wait(0)


@gluon.jit
def multiply_hopper(c_desc, a_tiles, b_tiles, full, empty, row, col, steps):
    """Sum up in registers with one product in flight, so that a slot is given back one step after its use."""
    STAGES: gl.constexpr = a_tiles.shape[0]
    BLOCK_M: gl.constexpr = a_tiles.shape[1]
    BLOCK_N: gl.constexpr = b_tiles.shape[2]
    layout: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [gl.num_warps(), 1], [16, BLOCK_N, 16])
    acc = gl.zeros([BLOCK_M, BLOCK_N], gl.float32, layout)
    for step in range(steps):
        slot = step % STAGES
        mbarrier.wait(full.index(slot), step // STAGES & 1)
        acc = warpgroup_mma(a_tiles.index(slot), b_tiles.index(slot), acc, is_async=True)
        acc = warpgroup_mma_wait(1, deps=[acc])
        mbarrier.arrive(empty.index((step + STAGES - 1) % STAGES), count=1, pred=step > 0)
    acc = warpgroup_mma_wait(0, deps=[acc])
    store_tile(c_desc, acc, row, col)


@gluon.jit
def gemm_hopper_kernel(
    a_desc,
    b_desc,
    c_desc,
    BLOCK_M: gl.constexpr,
    BLOCK_N: gl.constexpr,
    BLOCK_K: gl.constexpr,
    STAGES: gl.constexpr,
):
    """One tile of c, for a (m, k), b (k, n), c (m, n)."""
    row = gl.program_id(0) * BLOCK_M
    col = gl.program_id(1) * BLOCK_N
    steps = gl.cdiv(a_desc.shape[1], BLOCK_K)
    a_tiles, b_tiles, full, empty = ring(a_desc, b_desc, STAGES)
    fence_async_shared()
    gl.warp_specialize(
        [
            (multiply_hopper, (c_desc, a_tiles, b_tiles, full, empty, row, col, steps)),
            (load_tiles, (a_desc, b_desc, a_tiles, b_tiles, full, empty, row, col, steps)),
        ],
        [1],
        [24],
    )


@gluon.jit
def multiply_blackwell(a_tiles, b_tiles, acc, full, empty, done, steps):
    """One warp issues the products; the tensor core itself gives back each slot, and says when all is done."""
    STAGES: gl.constexpr = a_tiles.shape[0]
    for step in range(steps):
        slot = step % STAGES
        mbarrier.wait(full.index(slot), step // STAGES & 1)
        tcgen05_mma(a_tiles.index(slot), b_tiles.index(slot), acc, use_acc=step > 0)
        tcgen05_commit(empty.index(slot))
    tcgen05_commit(done)


@gluon.jit
def finish_blackwell(c_desc, acc, done, row, col):
    """Bring the sums from tensor memory to c."""
    # A thread has one row, as tensor memory has one for each of the four warps' lanes.
    layout: gl.constexpr = gl.BlockedLayout([1, acc.shape[1]], [32, 1], [4, 1], [0, 1])
    mbarrier.wait(done, 0)
    store_tile(c_desc, acc.load(layout), row, col)


@gluon.jit
def gemm_blackwell_kernel(
    a_desc,
    b_desc,
    c_desc,
    BLOCK_M: gl.constexpr,
    BLOCK_N: gl.constexpr,
    BLOCK_K: gl.constexpr,
    STAGES: gl.constexpr,
):
    """One tile of c, for a (m, k), b (k, n), c (m, n)."""
    row = gl.program_id(0) * BLOCK_M
    col = gl.program_id(1) * BLOCK_N
    steps = gl.cdiv(a_desc.shape[1], BLOCK_K)
    a_tiles, b_tiles, full, empty = ring(a_desc, b_desc, STAGES)
    done = gl.allocate_shared_memory(gl.int64, [1], mbarrier.MBarrierLayout())
    mbarrier.init(done, count=1)
    fence_async_shared()
    layout: gl.constexpr = TensorMemoryLayout([BLOCK_M, BLOCK_N], col_stride=1)
    acc = allocate_tensor_memory(gl.float32, [BLOCK_M, BLOCK_N], layout)
    gl.warp_specialize(
        [
            (finish_blackwell, (c_desc, acc, done, row, col)),
            (load_tiles, (a_desc, b_desc, a_tiles, b_tiles, full, empty, row, col, steps)),
            (multiply_blackwell, (a_tiles, b_tiles, acc, full, empty, done, steps)),
        ],
        [1, 1],
        [24, 24],
    )
