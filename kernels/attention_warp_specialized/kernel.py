"""Warp-specialised attention forward in Gluon for Hopper (wgmma) and Blackwell (tcgen05).

out = softmax(scale * q @ k^T) @ v for one block of queries; one warp copies q, and then k and v block by block, each
into a ring of STAGES slots by TMA, while the others multiply and take the softmax. A slot goes round through two
barriers: `full` says that its bytes have landed, `empty` that the product is done with them. The n-th use of a slot
waits for phase n % 2 of `full`; the copy into it waits for the opposite phase of `empty`, which an untouched barrier
grants at once.

The heads of q, k and v follow each other in one matrix: what a block reads beyond the end of its own head is masked.
There is at least one key. Scores are kept as exponents of two: scale_log2 = scale * log2(e).
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

LOG2_E = gl.constexpr(1.4426950408889634)
LN_2 = gl.constexpr(0.6931471805599453)


@gluon.jit
def new_barriers(COUNT: gl.constexpr):
    """COUNT barriers for one arrival each."""
    barriers = gl.allocate_shared_memory(gl.int64, [COUNT, 1], mbarrier.MBarrierLayout())
    for i in gl.static_range(COUNT):
        mbarrier.init(barriers.index(i), count=1)
    return barriers


@gluon.jit
def load_block(desc, tiles, full, empty, step, row):
    """Copy rows of k or v into the slot of this step."""
    STAGES: gl.constexpr = tiles.shape[0]
    slot = step % STAGES
    mbarrier.wait(empty.index(slot), step // STAGES & 1 ^ 1)
    mbarrier.expect(full.index(slot), desc.block_type.nbytes)
    tma_load(desc, [row, 0], full.index(slot), tiles.index(slot))


@gluon.jit
def load_all(descs, tiles, ring, row, key, steps):
    """The copying warp: the block of queries, then keys and values in turn."""
    q_desc, k_desc, v_desc = descs
    q_tile, k_tiles, v_tiles = tiles
    q_full, k_full, k_empty, v_full, v_empty = ring
    BLOCK_N: gl.constexpr = k_tiles.shape[1]
    mbarrier.expect(q_full.index(0), q_desc.block_type.nbytes)
    tma_load(q_desc, [row, 0], q_full.index(0), q_tile)
    for step in range(steps):
        load_block(k_desc, k_tiles, k_full, k_empty, step, key + step * BLOCK_N)
        load_block(v_desc, v_tiles, v_full, v_empty, step, key + step * BLOCK_N)


@gluon.jit
def softmax_step(scores, row_max, row_sum, scale_log2, keys_left):
    """Weights of one block of scores, the factor for what was summed before, and maximum and sum so far."""
    cols = gl.arange(0, scores.shape[1], gl.SliceLayout(0, scores.type.layout))
    scores = gl.where(cols[None, :] < keys_left, scores * scale_log2, float("-inf"))
    new_max = gl.maximum(row_max, gl.max(scores, 1))
    weights = gl.exp2(scores - new_max[:, None])
    factor = gl.exp2(row_max - new_max)
    return weights, factor, new_max, row_sum * factor + gl.sum(weights, 1)


@gluon.jit
def store_rows(out_ptr, lse_ptr, acc, row_max, row_sum, head, query, seq_q):
    """Write acc / row_sum and the natural logarithm of the sums of exponentials, for the rows of this head alone."""
    HEAD_DIM: gl.constexpr = acc.shape[1]
    rows = query + gl.arange(0, acc.shape[0], gl.SliceLayout(1, acc.type.layout))
    cols = gl.arange(0, HEAD_DIM, gl.SliceLayout(0, acc.type.layout))
    row_sum = gl.convert_layout(row_sum, rows.type.layout)
    row_max = gl.convert_layout(row_max, rows.type.layout)
    places = (head.to(gl.int64) * seq_q + rows)[:, None] * HEAD_DIM + cols[None, :]
    gl.store(out_ptr + places, (acc / row_sum[:, None]).to(out_ptr.dtype.element_ty), mask=(rows < seq_q)[:, None])
    gl.store(lse_ptr + head.to(gl.int64) * seq_q + rows, (row_max + gl.log2(row_sum)) * LN_2, mask=rows < seq_q)


@gluon.jit
def attend_hopper(out_ptr, lse_ptr, tiles, ring, head, query, seq_q, seq_k, scale_log2):
    """Both products and the softmax, in registers."""
    q_tile, k_tiles, v_tiles = tiles
    q_full, k_full, k_empty, v_full, v_empty = ring
    BLOCK_M: gl.constexpr = q_tile.shape[0]
    HEAD_DIM: gl.constexpr = q_tile.shape[1]
    STAGES: gl.constexpr = k_tiles.shape[0]
    BLOCK_N: gl.constexpr = k_tiles.shape[1]
    warps: gl.constexpr = [gl.num_warps(), 1]
    scores_layout: gl.constexpr = gl.NVMMADistributedLayout([3, 0], warps, [16, BLOCK_N, 16])
    acc_layout: gl.constexpr = gl.NVMMADistributedLayout([3, 0], warps, [16, HEAD_DIM, 16])
    weights_layout: gl.constexpr = gl.DotOperandLayout(0, acc_layout, 2)
    row_layout: gl.constexpr = gl.SliceLayout(1, scores_layout)

    row_max = gl.full([BLOCK_M], float("-inf"), gl.float32, row_layout)
    row_sum = gl.zeros([BLOCK_M], gl.float32, row_layout)
    acc = gl.zeros([BLOCK_M, HEAD_DIM], gl.float32, acc_layout)
    mbarrier.wait(q_full.index(0), 0)
    for step in range(gl.cdiv(seq_k, BLOCK_N)):
        slot = step % STAGES
        phase = step // STAGES & 1
        mbarrier.wait(k_full.index(slot), phase)
        scores = gl.zeros([BLOCK_M, BLOCK_N], gl.float32, scores_layout)
        scores = warpgroup_mma(q_tile, k_tiles.index(slot).permute((1, 0)), scores, use_acc=False, is_async=True)
        scores = warpgroup_mma_wait(0, deps=[scores])
        mbarrier.arrive(k_empty.index(slot), count=1)

        keys_left = seq_k - step * BLOCK_N
        weights, factor, row_max, row_sum = softmax_step(scores, row_max, row_sum, scale_log2, keys_left)
        acc = acc * gl.convert_layout(factor, gl.SliceLayout(1, acc_layout))[:, None]
        weights = gl.convert_layout(weights.to(v_tiles.dtype), weights_layout)
        mbarrier.wait(v_full.index(slot), phase)
        acc = warpgroup_mma(weights, v_tiles.index(slot), acc, is_async=True)
        acc = warpgroup_mma_wait(0, deps=[acc])
        mbarrier.arrive(v_empty.index(slot), count=1)
    store_rows(out_ptr, lse_ptr, acc, row_max, row_sum, head, query, seq_q)


@gluon.jit
def attention_hopper_kernel(
    q_desc,
    k_desc,
    v_desc,
    out_ptr,
    lse_ptr,
    seq_q,
    seq_k,
    scale,
    HEAD_DIM: gl.constexpr,
    BLOCK_M: gl.constexpr,
    BLOCK_N: gl.constexpr,
    STAGES: gl.constexpr,
):
    """One block of queries of one head; grid (blocks of queries, heads)."""
    query = gl.program_id(0) * BLOCK_M
    head = gl.program_id(1)
    q_tile = gl.allocate_shared_memory(q_desc.dtype, [BLOCK_M, HEAD_DIM], q_desc.layout)
    k_tiles = gl.allocate_shared_memory(k_desc.dtype, [STAGES, BLOCK_N, HEAD_DIM], k_desc.layout)
    v_tiles = gl.allocate_shared_memory(v_desc.dtype, [STAGES, BLOCK_N, HEAD_DIM], v_desc.layout)
    q_full = new_barriers(1)
    k_full = new_barriers(STAGES)
    k_empty = new_barriers(STAGES)
    v_full = new_barriers(STAGES)
    v_empty = new_barriers(STAGES)
    fence_async_shared()
    descs = (q_desc, k_desc, v_desc)
    tiles = (q_tile, k_tiles, v_tiles)
    ring = (q_full, k_full, k_empty, v_full, v_empty)
    steps = gl.cdiv(seq_k, BLOCK_N)
    gl.warp_specialize(
        [
            (attend_hopper, (out_ptr, lse_ptr, tiles, ring, head, query, seq_q, seq_k, scale * LOG2_E)),
            (load_all, (descs, tiles, ring, head * seq_q + query, head * seq_k, steps)),
        ],
        [1],
        [24],
    )


@gluon.jit
def multiply_blackwell(tiles, sums, ring, turns, steps):
    """One warp issues both products of each step; the second waits for what the softmax makes of the first."""
    q_tile, k_tiles, v_tiles = tiles
    scores, weights, acc = sums
    q_full, k_full, k_empty, v_full, v_empty = ring
    scored, weighed, summed = turns
    STAGES: gl.constexpr = k_tiles.shape[0]
    mbarrier.wait(q_full.index(0), 0)
    for step in range(steps):
        slot = step % STAGES
        phase = step // STAGES & 1
        mbarrier.wait(k_full.index(slot), phase)
        tcgen05_mma(q_tile, k_tiles.index(slot).permute((1, 0)), scores, use_acc=False)
        tcgen05_commit(k_empty.index(slot))
        tcgen05_commit(scored.index(0))
        mbarrier.wait(weighed.index(0), step & 1)
        mbarrier.wait(v_full.index(slot), phase)
        tcgen05_mma(weights, v_tiles.index(slot), acc, use_acc=step > 0)
        tcgen05_commit(v_empty.index(slot))
        tcgen05_commit(summed.index(0))


@gluon.jit
def soften_blackwell(out_ptr, lse_ptr, sums, turns, head, query, seq_q, seq_k, scale_log2):
    """Softmax from tensor memory to tensor memory; the sums so far are rescaled there before the next product."""
    scores, weights, acc = sums
    scored, weighed, summed = turns
    BLOCK_M: gl.constexpr = scores.shape[0]
    BLOCK_N: gl.constexpr = scores.shape[1]
    # A thread has one row, as tensor memory has one for each of the four warps' lanes.
    scores_layout: gl.constexpr = gl.BlockedLayout([1, BLOCK_N], [32, 1], [4, 1], [0, 1])
    acc_layout: gl.constexpr = gl.BlockedLayout([1, acc.shape[1]], [32, 1], [4, 1], [0, 1])
    row_layout: gl.constexpr = gl.SliceLayout(1, scores_layout)

    row_max = gl.full([BLOCK_M], float("-inf"), gl.float32, row_layout)
    row_sum = gl.zeros([BLOCK_M], gl.float32, row_layout)
    steps = gl.cdiv(seq_k, BLOCK_N)
    for step in range(steps):
        mbarrier.wait(scored.index(0), step & 1)
        keys_left = seq_k - step * BLOCK_N
        block = scores.load(scores_layout)
        new_weights, factor, row_max, row_sum = softmax_step(block, row_max, row_sum, scale_log2, keys_left)
        if step > 0:
            # The product of the step before reads the old weights and adds to the sums.
            mbarrier.wait(summed.index(0), step - 1 & 1)
            acc_factor = gl.convert_layout(factor, gl.SliceLayout(1, acc_layout))
            acc.store(acc.load(acc_layout) * acc_factor[:, None])
        weights.store(new_weights.to(weights.dtype))
        mbarrier.arrive(weighed.index(0), count=1)
    mbarrier.wait(summed.index(0), steps - 1 & 1)
    store_rows(out_ptr, lse_ptr, acc.load(acc_layout), row_max, row_sum, head, query, seq_q)


@gluon.jit
def attention_blackwell_kernel(
    q_desc,
    k_desc,
    v_desc,
    out_ptr,
    lse_ptr,
    seq_q,
    seq_k,
    scale,
    HEAD_DIM: gl.constexpr,
    BLOCK_M: gl.constexpr,
    BLOCK_N: gl.constexpr,
    STAGES: gl.constexpr,
):
    """One block of queries of one head; grid (blocks of queries, heads)."""
    query = gl.program_id(0) * BLOCK_M
    head = gl.program_id(1)
    steps = gl.cdiv(seq_k, BLOCK_N)
    q_tile = gl.allocate_shared_memory(q_desc.dtype, [BLOCK_M, HEAD_DIM], q_desc.layout)
    k_tiles = gl.allocate_shared_memory(k_desc.dtype, [STAGES, BLOCK_N, HEAD_DIM], k_desc.layout)
    v_tiles = gl.allocate_shared_memory(v_desc.dtype, [STAGES, BLOCK_N, HEAD_DIM], v_desc.layout)
    q_full = new_barriers(1)
    k_full = new_barriers(STAGES)
    k_empty = new_barriers(STAGES)
    v_full = new_barriers(STAGES)
    v_empty = new_barriers(STAGES)
    scored = new_barriers(1)
    weighed = new_barriers(1)
    summed = new_barriers(1)
    fence_async_shared()
    block_n_layout: gl.constexpr = TensorMemoryLayout([BLOCK_M, BLOCK_N], col_stride=1)
    head_layout: gl.constexpr = TensorMemoryLayout([BLOCK_M, HEAD_DIM], col_stride=1)
    scores = allocate_tensor_memory(gl.float32, [BLOCK_M, BLOCK_N], block_n_layout)
    weights = allocate_tensor_memory(v_desc.dtype, [BLOCK_M, BLOCK_N], block_n_layout)
    acc = allocate_tensor_memory(gl.float32, [BLOCK_M, HEAD_DIM], head_layout)
    descs = (q_desc, k_desc, v_desc)
    tiles = (q_tile, k_tiles, v_tiles)
    sums = (scores, weights, acc)
    ring = (q_full, k_full, k_empty, v_full, v_empty)
    turns = (scored, weighed, summed)
    gl.warp_specialize(
        [
            (soften_blackwell, (out_ptr, lse_ptr, sums, turns, head, query, seq_q, seq_k, scale * LOG2_E)),
            (load_all, (descs, tiles, ring, head * seq_q + query, head * seq_k, steps)),
            (multiply_blackwell, (tiles, sums, ring, turns, steps)),
        ],
        [1, 1],
        [24, 24],
    )
