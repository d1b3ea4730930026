"""Attention forward over tensor descriptors: every tile of q, k, v and out is one bulk copy."""

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def attention_forward_descriptor_kernel(
    q_desc,
    k_desc,
    v_desc,
    out_desc,
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

    The descriptors are over (heads, seq, HEAD_DIM) with tiles (1, BLOCK_M, HEAD_DIM) for q and out and
    (1, BLOCK_N, HEAD_DIM) for k and v: they read zeros and write nothing beyond their head's rows. lse is
    (heads, seq_q) in fp32. CAUSAL hides the keys after the query's own position. EVEN_KEYS promises that
    BLOCK_N divides seq_k, so that no score needs a mask.
    """
    start_m = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1)
    offs_m = start_m + tl.arange(0, BLOCK_M)
    offs_n = tl.arange(0, BLOCK_N)
    q = q_desc.load([head, start_m, 0]).reshape(BLOCK_M, HEAD_DIM)

    scale_log2 = scale * LOG2_E
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)

    end_n = tl.minimum(seq_k, start_m + BLOCK_M) if CAUSAL else seq_k
    for start_n in tl.range(0, end_n, BLOCK_N):
        k = k_desc.load([head, start_n, 0]).reshape(BLOCK_N, HEAD_DIM)
        qk = tl.dot(q, tl.trans(k))
        if CAUSAL:
            qk = tl.where(start_n + offs_n[None, :] <= offs_m[:, None], qk, float("-inf"))
        if not EVEN_KEYS:
            qk = tl.where(start_n + offs_n[None, :] < seq_k, qk, float("-inf"))

        new_max = tl.maximum(row_max, tl.max(qk, 1) * scale_log2)
        p = tl.exp2(qk * scale_log2 - new_max[:, None])
        alpha = tl.exp2(row_max - new_max)
        row_sum = row_sum * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None]

        v = v_desc.load([head, start_n, 0]).reshape(BLOCK_N, HEAD_DIM)
        acc = tl.dot(p.to(v.dtype), v, acc)
        row_max = new_max

    out = (acc / row_sum[:, None]).to(out_desc.dtype)
    out_desc.store([head, start_m, 0], out.reshape(1, BLOCK_M, HEAD_DIM))
    lse = (row_max + tl.log2(row_sum)) * LN_2
    tl.store(lse_ptr + head.to(tl.int64) * seq_q + offs_m, lse, mask=offs_m < seq_q)


def attention_forward_descriptor(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, CAUSAL: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention over contiguous (heads, seq, head_dim) tensors with at least one key; returns out and lse."""
    heads, seq_q, head_dim = q.shape
    seq_k = k.shape[1]
    block = [1, 128, head_dim]
    out = torch.empty_like(q)
    lse = torch.empty((heads, seq_q), device=q.device, dtype=torch.float32)
    descriptors = [TensorDescriptor.from_tensor(t, block) for t in (q, k, v, out)]
    attention_forward_descriptor_kernel[(triton.cdiv(seq_q, 128), heads)](
        *descriptors,
        lse,
        scale,
        seq_q,
        seq_k,
        HEAD_DIM=head_dim,
        BLOCK_M=128,
        BLOCK_N=128,
        CAUSAL=CAUSAL,
        EVEN_KEYS=seq_k % 128 == 0,
        num_warps=8,
        num_stages=2,
    )
    return out, lse
