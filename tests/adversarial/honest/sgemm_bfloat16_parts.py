#| task = "triton_sgemm"
#| class = "more accurate than asked"
#| does = "takes each number apart into three of bfloat16, and adds up the six products that matter"
#| overrides = { "constants.BM" = 64, "constants.BN" = 64, "constants.BK" = 32 }
#| slow = true
import triton
import triton.language as tl


@triton.jit
def parts(x):
    high = x.to(tl.bfloat16)
    rest = x - high.to(tl.float32)
    middle = rest.to(tl.bfloat16)
    return high, middle, (rest - middle.to(tl.float32)).to(tl.bfloat16)


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    sums = tl.zeros([BM, BN], tl.float32)
    for start in range(0, k, BK):
        at = start + tl.arange(0, BK)
        a = tl.load(a_ptr + rows[:, None] * k + at[None, :], mask=(rows[:, None] < m) & (at[None, :] < k), other=0.0)
        b = tl.load(b_ptr + at[:, None] * n + cols[None, :], mask=(at[:, None] < k) & (cols[None, :] < n), other=0.0)
        a1, a2, a3 = parts(a)
        b1, b2, b3 = parts(b)
        small = tl.dot(a3, b1)
        small = tl.dot(a2, b2, small)
        small = tl.dot(a1, b3, small)
        small = tl.dot(a2, b1, small)
        small = tl.dot(a1, b2, small)
        sums += tl.dot(a1, b1, small)
    inside = (rows[:, None] < m) & (cols[None, :] < n)
    tl.store(c_ptr + rows[:, None] * n + cols[None, :], sums, mask=inside)
