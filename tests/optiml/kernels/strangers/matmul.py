"""A matrix product in Triton whose loop counts tiles."""

import triton
import triton.language as tl


@triton.jit
def matmul(
    A,
    B,
    C,
    M,
    N,
    K,
    sam,
    sak,
    sbk,
    sbn,
    scm,
    scn,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    GROUP: tl.constexpr,
):
    """C = A @ B, with strides."""
    pid = tl.program_id(axis=0)
    width = GROUP * tl.cdiv(N, BN)
    group = pid // width
    first = group * GROUP
    size = min(tl.cdiv(M, BM) - first, GROUP)
    pid_m = first + (pid % width) % size
    pid_n = (pid % width) // size
    offs_am = (pid_m * BM + tl.arange(0, BM)) % M
    offs_bn = (pid_n * BN + tl.arange(0, BN)) % N
    offs_k = tl.arange(0, BK)
    a_ptrs = A + (offs_am[:, None] * sam + offs_k[None, :] * sak)
    b_ptrs = B + (offs_k[:, None] * sbk + offs_bn[None, :] * sbn)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, tl.cdiv(K, BK)):
        a = tl.load(a_ptrs, mask=offs_k[None, :] < K - k * BK, other=0.0)
        b = tl.load(b_ptrs, mask=offs_k[:, None] < K - k * BK, other=0.0)
        acc = tl.dot(a, b, acc)
        a_ptrs += BK * sak
        b_ptrs += BK * sbk
    offs_m = pid_m * BM + tl.arange(0, BM)
    offs_n = pid_n * BN + tl.arange(0, BN)
    c_mask = (offs_m[:, None] < M) & (offs_n[None, :] < N)
    tl.store(C + scm * offs_m[:, None] + scn * offs_n[None, :], acc.to(tl.float16), mask=c_mask)
