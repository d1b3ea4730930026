"""Chunked linear attention with decay: a matrix-valued state is carried from chunk to chunk of the sequence."""

import torch
import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def linear_attention_kernel(
    q_ptr,
    k_ptr,
    v_ptr,
    log_decay_ptr,
    out_ptr,
    seq,
    dim_v,
    DIM_K: tl.constexpr,
    BLOCK_V: tl.constexpr,
    CHUNK: tl.constexpr,
    DECAY: tl.constexpr,
):
    """Run state = exp(log_decay[t]) * state + k[t]^T v[t], out[t] = q[t] @ state, for BLOCK_V columns of one head.

    q and k are (heads, seq, DIM_K), v and out (heads, seq, dim_v), log_decay (heads, seq) in fp32 and at most 0;
    all contiguous. Within a chunk the recurrence is a masked product of scores with v; between chunks it is the
    state, kept in fp32. Without DECAY log_decay is not read.
    """
    head = tl.program_id(1).to(tl.int64)
    offs_t = tl.arange(0, CHUNK)
    offs_k = tl.arange(0, DIM_K)
    offs_v = tl.program_id(0) * BLOCK_V + tl.arange(0, BLOCK_V)
    mask_v = offs_v[None, :] < dim_v
    causal = offs_t[:, None] >= offs_t[None, :]

    q_ptrs = q_ptr + (head * seq + offs_t[:, None]) * DIM_K + offs_k[None, :]
    k_ptrs = k_ptr + (head * seq + offs_t[:, None]) * DIM_K + offs_k[None, :]
    v_tile = (head * seq + offs_t[:, None]) * dim_v + offs_v[None, :]
    v_ptrs = v_ptr + v_tile
    out_ptrs = out_ptr + v_tile
    state = tl.zeros([DIM_K, BLOCK_V], tl.float32)

    for start in tl.range(0, seq, CHUNK):
        mask_t = start + offs_t < seq
        q = tl.load(q_ptrs, mask=mask_t[:, None], other=0.0)
        k = tl.load(k_ptrs, mask=mask_t[:, None], other=0.0)
        v = tl.load(v_ptrs, mask=mask_t[:, None] & mask_v, other=0.0)

        scores = tl.dot(q, tl.trans(k))
        carried = tl.dot(q, state.to(q.dtype))
        if DECAY:
            # Decay from the start of the chunk up to and including each step, in units of log2.
            log_decay = tl.load(log_decay_ptr + head * seq + start + offs_t, mask=mask_t, other=0.0) * LOG2_E
            since_start = tl.cumsum(log_decay, 0)
            whole = tl.sum(log_decay, 0)
            between = tl.where(causal, since_start[:, None] - since_start[None, :], float("-inf"))
            scores = scores * tl.exp2(between)
            carried = carried * tl.exp2(since_start)[:, None]
            k = (k * tl.exp2(whole - since_start)[:, None]).to(k.dtype)
            state = state * tl.exp2(whole)
        else:
            scores = tl.where(causal, scores, 0.0)

        out = tl.dot(scores.to(v.dtype), v, carried)
        tl.store(out_ptrs, out.to(out_ptr.dtype.element_ty), mask=mask_t[:, None] & mask_v)
        state = tl.dot(tl.trans(k), v, state)
        q_ptrs += CHUNK * DIM_K
        k_ptrs += CHUNK * DIM_K
        v_ptrs += CHUNK * dim_v
        out_ptrs += CHUNK * dim_v


def linear_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, log_decay: torch.Tensor, DECAY: bool = False
) -> torch.Tensor:
    """Causal linear attention over contiguous (heads, seq, dim) tensors; log_decay is (heads, seq) in fp32."""
    heads, seq, dim_k = q.shape
    dim_v = v.shape[2]
    out = torch.empty_like(v)
    linear_attention_kernel[(triton.cdiv(dim_v, 64), heads)](
        *(q, k, v, log_decay, out, seq, dim_v),
        DIM_K=dim_k,
        BLOCK_V=64,
        CHUNK=64,
        DECAY=DECAY,
        num_warps=4,
        num_stages=2,
    )
    return out
