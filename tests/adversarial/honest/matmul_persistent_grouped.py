#| task = "triton_matmul"
#| class = "persistent"
#| does = "programs that go from tile to tile, in groups of rows that share columns in the cache, with constants of its own"
#| overrides = { "constants.BM" = 64, "constants.BN" = 64, "constants.BK" = 32, "constants.GROUP" = 8, "constants.PROGRAMS" = 216, "launch.grid" = ["min(cdiv(M, BM) * cdiv(N, BN), PROGRAMS)"], "launch.num_stages" = 3 }
#| slow = true
import triton
import triton.language as tl


@triton.jit
def place(tile, m, n, BM: tl.constexpr, BN: tl.constexpr, GROUP: tl.constexpr):
    down, across = tl.cdiv(m, BM), tl.cdiv(n, BN)
    first = tile // (GROUP * across) * GROUP
    height = min(down - first, GROUP)
    return first + tile % (GROUP * across) % height, tile % (GROUP * across) // height


@triton.jit
def matmul(
    a_ptr, b_ptr, c_ptr, m, n, k,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, PROGRAMS: tl.constexpr,
):
    tiles = tl.cdiv(m, BM) * tl.cdiv(n, BN)
    for tile in tl.range(tl.program_id(0), tiles, PROGRAMS, flatten=True):
        row, col = place(tile, m, n, BM, BN, GROUP)
        rows, cols = row * BM + tl.arange(0, BM), col * BN + tl.arange(0, BN)
        inner_rows, inner_cols = tl.where(rows < m, rows, 0), tl.where(cols < n, cols, 0)
        sums = tl.zeros([BM, BN], tl.float32)
        for start in range(0, k, BK):
            at = start + tl.arange(0, BK)
            a = tl.load(a_ptr + inner_rows[:, None] * k + at[None, :], mask=at[None, :] < k, other=0.0)
            b = tl.load(b_ptr + at[:, None] * n + inner_cols[None, :], mask=at[:, None] < k, other=0.0)
            sums = tl.dot(a, b, sums)
        inside = (rows[:, None] < m) & (cols[None, :] < n)
        tl.store(c_ptr + rows[:, None] * n + cols[None, :], sums.to(tl.float16), mask=inside)
