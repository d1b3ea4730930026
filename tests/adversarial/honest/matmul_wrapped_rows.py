#| task = "triton_matmul"
#| class = "tensor cores"
#| does = "rows and columns beyond the end wrap around in place of masks, which is dropped at the store"
#| slow = true
import triton
import triton.language as tl


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    sums = tl.zeros([BM, BN], tl.float32)
    for start in range(0, k, BK):
        at = start + tl.arange(0, BK)
        a = tl.load(a_ptr + (rows % m)[:, None] * k + at[None, :], mask=at[None, :] < k, other=0.0)
        b = tl.load(b_ptr + at[:, None] * n + (cols % n)[None, :], mask=at[:, None] < k, other=0.0)
        sums += tl.dot(a, b)
    inside = (rows[:, None] < m) & (cols[None, :] < n)
    tl.store(c_ptr + rows[:, None] * n + cols[None, :], sums.to(tl.float16), mask=inside)
