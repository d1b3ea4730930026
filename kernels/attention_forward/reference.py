"""Attention forward in PyTorch: the scores are materialised, every step in the inputs' own precision."""

import torch


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, CAUSAL: bool = False
) -> dict[str, torch.Tensor]:
    """Return `out` (batch, heads, seq_q, head_dim) and `lse` (batch, heads, seq_q); no keys: zeros, -inf."""
    scores = scale * (q @ k.transpose(-2, -1))
    if CAUSAL:
        visible = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
        scores = scores.masked_fill(~visible, float("-inf"))
    return {"out": torch.softmax(scores, dim=-1) @ v, "lse": torch.logsumexp(scores, dim=-1)}
