"""Gated product: out = (x @ w) * sigmoid(x @ g), two products of one tile of x, with tiles that nobody has tuned."""

import triton
import triton.language as tl


@triton.jit
def gated_product_kernel(x_ptr, w_ptr, g_ptr, out_ptr, m, n, k, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """x is (m, k), w and g are (k, n), row major; k is a multiple of 32."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    cols = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    inner = tl.arange(0, 32)
    x_ptrs = x_ptr + rows[:, None] * k + inner[None, :]
    w_ptrs = w_ptr + inner[:, None] * n + cols[None, :]
    g_ptrs = g_ptr + inner[:, None] * n + cols[None, :]
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    gate = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for _ in tl.range(0, k, 32):
        w = tl.load(w_ptrs, mask=cols[None, :] < n, other=0.0)
        g = tl.load(g_ptrs, mask=cols[None, :] < n, other=0.0)
        x = tl.load(x_ptrs, mask=rows[:, None] < m, other=0.0)
        acc = tl.dot(x, w, acc)
        gate = tl.dot(x, g, gate)
        x_ptrs += 32
        w_ptrs += 32 * n
        g_ptrs += 32 * n
    out = acc * tl.sigmoid(gate)
    mask = (rows[:, None] < m) & (cols[None, :] < n)
    tl.store(out_ptr + rows[:, None] * n + cols[None, :], out.to(tl.float16), mask=mask)
