#| task = "triton_matmul"
#| class = "explicit layouts"
#| does = "Gluon: the next tiles are on their way to registers while the tensor cores take these from shared memory"
#| overrides = { "constants.BM" = 64, "constants.BN" = 64 }
#| slow = true
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import mma_v2


@gluon.jit
def tile(ptr, rows, cols, height, width):
    inside = (rows[:, None] < height) & (cols[None, :] < width)
    return gl.load(ptr + rows[:, None] * width + cols[None, :], mask=inside, other=0.0)


@gluon.jit
def matmul(a_ptr, b_ptr, c_ptr, m, n, k, BM: gl.constexpr, BN: gl.constexpr, BK: gl.constexpr):
    loads: gl.constexpr = gl.BlockedLayout([1, 8], [8, 4], [gl.num_warps(), 1], [1, 0])
    by_row: gl.constexpr = gl.SliceLayout(1, loads)
    by_col: gl.constexpr = gl.SliceLayout(0, loads)
    shared: gl.constexpr = gl.SwizzledSharedLayout(8, 2, 4, order=[1, 0])
    mma: gl.constexpr = gl.NVMMADistributedLayout([2, 0], [2, gl.num_warps() // 2], [16, 8])
    left: gl.constexpr = gl.DotOperandLayout(0, mma, 2)
    right: gl.constexpr = gl.DotOperandLayout(1, mma, 2)
    row, col = gl.program_id(0) * BM, gl.program_id(1) * BN
    a_rows, b_cols = row + gl.arange(0, BM, layout=by_row), col + gl.arange(0, BN, layout=by_col)
    a_cols, b_rows = gl.arange(0, BK, layout=by_col), gl.arange(0, BK, layout=by_row)
    a_tile = gl.allocate_shared_memory(a_ptr.dtype.element_ty, [BM, BK], shared)
    b_tile = gl.allocate_shared_memory(b_ptr.dtype.element_ty, [BK, BN], shared)
    sums = gl.zeros([BM, BN], gl.float32, layout=mma)
    a = tile(a_ptr, a_rows, a_cols, m, k)
    b = tile(b_ptr, b_rows, b_cols, k, n)
    for start in range(BK, k + BK, BK):
        a_tile.store(a)
        b_tile.store(b)
        gl.barrier()
        a = tile(a_ptr, a_rows, start + a_cols, m, k)
        b = tile(b_ptr, start + b_rows, b_cols, k, n)
        sums = mma_v2(a_tile.load(left), b_tile.load(right), sums)
        gl.barrier()
    rows = row + gl.arange(0, BM, layout=gl.SliceLayout(1, mma))
    cols = col + gl.arange(0, BN, layout=gl.SliceLayout(0, mma))
    inside = (rows[:, None] < m) & (cols[None, :] < n)
    gl.store(c_ptr + rows[:, None] * n + cols[None, :], sums.to(gl.float16), mask=inside)
