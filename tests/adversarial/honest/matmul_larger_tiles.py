#| task = "triton_matmul"
#| class = "tensor cores"
#| does = "tiles of 64 by 64 by 64 in four stages"
#| overrides = { "constants.BM" = 64, "constants.BN" = 64, "constants.BK" = 64, "launch.num_stages" = 4 }
#| slow = true
import triton
import triton.language as tl


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    steps = tl.arange(0, BK)
    a_ptrs = a_ptr + rows[:, None] * k + steps[None, :]
    b_ptrs = b_ptr + steps[:, None] * n + cols[None, :]
    sums = tl.zeros([BM, BN], tl.float32)
    for start in range(0, k, BK):
        a = tl.load(a_ptrs, mask=(rows[:, None] < m) & (steps[None, :] < k - start), other=0.0)
        b = tl.load(b_ptrs, mask=(steps[:, None] < k - start) & (cols[None, :] < n), other=0.0)
        sums = tl.dot(a, b, sums)
        a_ptrs += BK
        b_ptrs += BK * n
    inside = (rows[:, None] < m) & (cols[None, :] < n)
    tl.store(c_ptr + rows[:, None] * n + cols[None, :], sums.to(tl.float16), mask=inside)
