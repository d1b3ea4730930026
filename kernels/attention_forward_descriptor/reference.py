"""Attention forward in PyTorch, batch and heads in one dimension, in the inputs' own precision."""

import torch


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, CAUSAL: bool = False
) -> dict[str, torch.Tensor]:
    """Return `out` (heads, seq_q, head_dim) and `lse` (heads, seq_q) for q, k and v (heads, seq, head_dim)."""
    scores = scale * (q @ k.transpose(-2, -1))
    if CAUSAL:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    lse = torch.logsumexp(scores, dim=-1)
    return {"out": torch.exp(scores - lse[..., None]) @ v, "lse": lse}
