"""Attention backward from the saved log-sum-exp: one kernel for delta, one for dk and dv, one for dq."""

import torch
import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def _load_tile(ptrs, mask, EVEN: tl.constexpr):
    return tl.load(ptrs) if EVEN else tl.load(ptrs, mask=mask, other=0.0)


@triton.jit
def attention_backward_delta_kernel(out_ptr, do_ptr, delta_ptr, rows, HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr):
    """Write delta = sum over the head dimension of out * do, for BLOCK_M of all (batch, head, query) rows."""
    offs_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    tile = offs_m[:, None].to(tl.int64) * HEAD_DIM + tl.arange(0, HEAD_DIM)[None, :]
    mask = offs_m < rows
    out = tl.load(out_ptr + tile, mask=mask[:, None], other=0.0).to(tl.float32)
    do = tl.load(do_ptr + tile, mask=mask[:, None], other=0.0).to(tl.float32)
    tl.store(delta_ptr + offs_m, tl.sum(out * do, 1), mask=mask)


@triton.jit
def attention_backward_dkdv_kernel(
    q_ptr,
    k_ptr,
    v_ptr,
    do_ptr,
    lse_ptr,
    delta_ptr,
    dk_ptr,
    dv_ptr,
    scale,
    seq_q,
    seq_k,
    HEAD_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr,
    EVEN_QUERIES: tl.constexpr,
):
    """Write dk and dv for one block of keys of one head, in a loop over blocks of queries.

    Scores are held transposed, keys by queries, so that both products that accumulate take them as they are.
    EVEN_QUERIES promises that BLOCK_M divides seq_q.
    """
    start_n = tl.program_id(0) * BLOCK_N
    head = tl.program_id(1).to(tl.int64)
    offs_n = start_n + tl.arange(0, BLOCK_N)
    offs_m = tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, HEAD_DIM)
    key_mask = offs_n[:, None] < seq_k

    key_tile = head * seq_k * HEAD_DIM + offs_n[:, None] * HEAD_DIM + offs_d[None, :]
    k = tl.load(k_ptr + key_tile, mask=key_mask, other=0.0)
    v = tl.load(v_ptr + key_tile, mask=key_mask, other=0.0)

    # The queries before the first key of this block see none of its keys.
    first_m = start_n // BLOCK_M * BLOCK_M if CAUSAL else 0
    first_row = head * seq_q + first_m
    query_tile = (first_row + offs_m[:, None]) * HEAD_DIM + offs_d[None, :]
    q_ptrs = q_ptr + query_tile
    do_ptrs = do_ptr + query_tile
    lse_ptrs = lse_ptr + first_row + offs_m
    delta_ptrs = delta_ptr + first_row + offs_m

    scale_log2 = scale * LOG2_E
    dk = tl.zeros([BLOCK_N, HEAD_DIM], tl.float32)
    dv = tl.zeros([BLOCK_N, HEAD_DIM], tl.float32)
    for start_m in tl.range(first_m, seq_q, BLOCK_M):
        queries = start_m + offs_m
        q = _load_tile(q_ptrs, queries[:, None] < seq_q, EVEN_QUERIES)
        lse = _load_tile(lse_ptrs, queries < seq_q, EVEN_QUERIES)
        s_t = tl.dot(k, tl.trans(q))
        p_t = tl.exp2(s_t * scale_log2 - (lse * LOG2_E)[None, :])
        if CAUSAL:
            p_t = tl.where(offs_n[:, None] <= queries[None, :], p_t, 0.0)

        do = _load_tile(do_ptrs, queries[:, None] < seq_q, EVEN_QUERIES)
        dv = tl.dot(p_t.to(do.dtype), do, dv)

        delta = _load_tile(delta_ptrs, queries < seq_q, EVEN_QUERIES)
        dp_t = tl.dot(v, tl.trans(do))
        ds_t = p_t * (dp_t - delta[None, :])
        dk = tl.dot(ds_t.to(q.dtype), q, dk)

        q_ptrs += BLOCK_M * HEAD_DIM
        do_ptrs += BLOCK_M * HEAD_DIM
        lse_ptrs += BLOCK_M
        delta_ptrs += BLOCK_M

    tl.store(dk_ptr + key_tile, (dk * scale).to(dk_ptr.dtype.element_ty), mask=key_mask)
    tl.store(dv_ptr + key_tile, dv.to(dv_ptr.dtype.element_ty), mask=key_mask)


@triton.jit
def attention_backward_dq_kernel(
    q_ptr,
    k_ptr,
    v_ptr,
    do_ptr,
    lse_ptr,
    delta_ptr,
    dq_ptr,
    scale,
    seq_q,
    seq_k,
    HEAD_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr,
    EVEN_KEYS: tl.constexpr,
):
    """Write dq for one block of queries of one head, in a loop over blocks of keys.

    EVEN_KEYS promises that BLOCK_N divides seq_k.
    """
    start_m = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1).to(tl.int64)
    offs_m = start_m + tl.arange(0, BLOCK_M)
    offs_n = tl.arange(0, BLOCK_N)
    offs_d = tl.arange(0, HEAD_DIM)
    row_mask = offs_m < seq_q

    rows = head * seq_q + offs_m
    query_tile = rows[:, None] * HEAD_DIM + offs_d[None, :]
    q = tl.load(q_ptr + query_tile, mask=row_mask[:, None], other=0.0)
    do = tl.load(do_ptr + query_tile, mask=row_mask[:, None], other=0.0)
    lse_log2 = tl.load(lse_ptr + rows, mask=row_mask, other=0.0) * LOG2_E
    delta = tl.load(delta_ptr + rows, mask=row_mask, other=0.0)

    key_tile = head * seq_k * HEAD_DIM + offs_n[:, None] * HEAD_DIM + offs_d[None, :]
    k_ptrs = k_ptr + key_tile
    v_ptrs = v_ptr + key_tile

    scale_log2 = scale * LOG2_E
    dq = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)
    end_n = tl.minimum(seq_k, start_m + BLOCK_M) if CAUSAL else seq_k
    for start_n in tl.range(0, end_n, BLOCK_N):
        keys = start_n + offs_n
        k = _load_tile(k_ptrs, keys[:, None] < seq_k, EVEN_KEYS)
        s = tl.dot(q, tl.trans(k))
        p = tl.exp2(s * scale_log2 - lse_log2[:, None])
        if CAUSAL:
            p = tl.where(keys[None, :] <= offs_m[:, None], p, 0.0)
        if not EVEN_KEYS:
            p = tl.where(keys[None, :] < seq_k, p, 0.0)

        v = _load_tile(v_ptrs, keys[:, None] < seq_k, EVEN_KEYS)
        dp = tl.dot(do, tl.trans(v))
        ds = p * (dp - delta[:, None])
        dq = tl.dot(ds.to(k.dtype), k, dq)
        k_ptrs += BLOCK_N * HEAD_DIM
        v_ptrs += BLOCK_N * HEAD_DIM

    tl.store(dq_ptr + query_tile, (dq * scale).to(dq_ptr.dtype.element_ty), mask=row_mask[:, None])


def attention_backward(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    do: torch.Tensor,
    lse: torch.Tensor,
    scale: float,
    CAUSAL: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients (dq, dk, dv) of attention over contiguous (batch, heads, seq, head_dim) tensors.

    `out` and `lse` are what the forward pass returned, `do` is the gradient of `out`.
    """
    batch, heads, seq_q, head_dim = q.shape
    seq_k, rows = k.shape[2], batch * heads * seq_q
    delta = torch.empty_like(lse)
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    common = {"HEAD_DIM": head_dim, "CAUSAL": CAUSAL, "num_warps": 8, "num_stages": 2}

    attention_backward_delta_kernel[(triton.cdiv(rows, 128),)](out, do, delta, rows, HEAD_DIM=head_dim, BLOCK_M=128)
    attention_backward_dkdv_kernel[(triton.cdiv(seq_k, 128), batch * heads)](
        *(q, k, v, do, lse, delta, dk, dv, scale, seq_q, seq_k),
        **common,
        BLOCK_M=64,
        BLOCK_N=128,
        EVEN_QUERIES=seq_q % 64 == 0,
    )
    attention_backward_dq_kernel[(triton.cdiv(seq_q, 128), batch * heads)](
        *(q, k, v, do, lse, delta, dq, scale, seq_q, seq_k),
        **common,
        BLOCK_M=128,
        BLOCK_N=64,
        EVEN_KEYS=seq_k % 64 == 0,
    )
    return dq, dk, dv
