"""Attention forward: online softmax over key blocks, plain pointers, one program per block of query rows."""

import torch
import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _load_tile(ptrs, mask, EVEN: tl.constexpr):
    return tl.load(ptrs) if EVEN else tl.load(ptrs, mask=mask, other=0.0)


@triton.jit
def attention_forward_kernel(
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    lse_ptr,
    scale,
    seq_q,
    seq_k,
    HEAD_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr,
    EVEN_KEYS: tl.constexpr,
):
    """Write softmax(scale * q @ k^T) @ v and each score row's log-sum-exp, for one block of rows of one head.

    q and out are (heads, seq_q, HEAD_DIM), k and v (heads, seq_k, HEAD_DIM), lse (heads, seq_q) in fp32;
    all contiguous. CAUSAL hides the keys after the query's own position. EVEN_KEYS promises that BLOCK_N
    divides seq_k, so that the loop needs no bounds. A row without keys gets zeros and an lse of -inf.
    """
    start_m = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1).to(tl.int64)
    offs_m = start_m + tl.arange(0, BLOCK_M)
    offs_n = tl.arange(0, BLOCK_N)
    offs_d = tl.arange(0, HEAD_DIM)
    row_mask = offs_m < seq_q

    q_tile = head * seq_q * HEAD_DIM + offs_m[:, None] * HEAD_DIM + offs_d[None, :]
    k_ptrs = k_ptr + head * seq_k * HEAD_DIM + offs_n[None, :] * HEAD_DIM + offs_d[:, None]
    v_ptrs = v_ptr + head * seq_k * HEAD_DIM + offs_n[:, None] * HEAD_DIM + offs_d[None, :]
    q = tl.load(q_ptr + q_tile, mask=row_mask[:, None], other=0.0)

    # Scores stay in units of log2, so that each exponential is one exp2.
    scale_log2 = scale * LOG2_E
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)

    end_n = tl.minimum(seq_k, start_m + BLOCK_M) if CAUSAL else seq_k
    for start_n in tl.range(0, end_n, BLOCK_N):
        keys = start_n + offs_n
        k = _load_tile(k_ptrs, keys[None, :] < seq_k, EVEN_KEYS)
        qk = tl.dot(q, k)
        if CAUSAL:
            qk = tl.where(keys[None, :] <= offs_m[:, None], qk, float("-inf"))
        if not EVEN_KEYS:
            qk = tl.where(keys[None, :] < seq_k, qk, float("-inf"))

        new_max = tl.maximum(row_max, tl.max(qk, 1) * scale_log2)
        p = tl.exp2(qk * scale_log2 - new_max[:, None])
        alpha = tl.exp2(row_max - new_max)
        row_sum = row_sum * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None]

        v = _load_tile(v_ptrs, keys[:, None] < seq_k, EVEN_KEYS)
        acc = tl.dot(p.to(v.dtype), v, acc)
        row_max = new_max
        k_ptrs += BLOCK_N * HEAD_DIM
        v_ptrs += BLOCK_N * HEAD_DIM

    lse = (row_max + tl.log2(row_sum)) * LN_2
    # A row without keys has row_sum 0 and acc 0: divide by 1 to leave zeros.
    acc = acc / tl.where(row_sum == 0.0, 1.0, row_sum)[:, None]
    tl.store(out_ptr + q_tile, acc.to(out_ptr.dtype.element_ty), mask=row_mask[:, None])
    tl.store(lse_ptr + head * seq_q + offs_m, lse, mask=row_mask)


def attention_forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, CAUSAL: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention over contiguous (batch, heads, seq, head_dim) tensors; returns out and lse."""
    batch, heads, seq_q, head_dim = q.shape
    seq_k = k.shape[2]
    block_m = block_n = 128
    out = torch.empty_like(q)
    lse = torch.empty((batch, heads, seq_q), device=q.device, dtype=torch.float32)
    attention_forward_kernel[(triton.cdiv(seq_q, block_m), batch * heads)](
        q,
        k,
        v,
        out,
        lse,
        scale,
        seq_q,
        seq_k,
        HEAD_DIM=head_dim,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        CAUSAL=CAUSAL,
        EVEN_KEYS=seq_k % block_n == 0,
        num_warps=8,
        num_stages=2,
    )
    return out, lse
