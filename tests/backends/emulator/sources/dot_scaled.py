"""One tile of a product of block-scaled matrices: c = (a * scale_a) @ (b * scale_b)^T."""

import triton
import triton.language as tl


@triton.jit
def dot_scaled_kernel(
    a_ptr,
    scale_a_ptr,
    b_ptr,
    scale_b_ptr,
    c_ptr,
    M: tl.constexpr,
    N: tl.constexpr,
    K: tl.constexpr,
    A_PER_BYTE: tl.constexpr,
    A_TYPE: tl.constexpr,
    B_PER_BYTE: tl.constexpr,
    B_TYPE: tl.constexpr,
):
    m, n, s = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K // 32)
    ka, kb = tl.arange(0, K // A_PER_BYTE), tl.arange(0, K // B_PER_BYTE)
    a = tl.load(a_ptr + m[:, None] * (K // A_PER_BYTE) + ka[None, :])
    b = tl.load(b_ptr + kb[:, None] + n[None, :] * (K // B_PER_BYTE))
    scale_a = tl.load(scale_a_ptr + m[:, None] * (K // 32) + s[None, :])
    scale_b = tl.load(scale_b_ptr + n[:, None] * (K // 32) + s[None, :])
    c = tl.dot_scaled(a, scale_a, A_TYPE, b, scale_b, B_TYPE)
    tl.store(c_ptr + m[:, None] * N + n[None, :], c)
