"""Attention forward in PyTorch on heads that follow each other in one matrix, in the inputs' own precision."""

import torch


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seq_q: int, seq_k: int, scale: float
) -> dict[str, torch.Tensor]:
    """Return `out` (heads * seq_q, head_dim) and `lse` (heads * seq_q); q is like out, k and v have seq_k for seq_q."""
    q, k, v = (x.unflatten(0, (-1, seq)) for x, seq in ((q, seq_q), (k, seq_k), (v, seq_k)))
    scores = scale * (q @ k.mT)
    return {"out": (torch.softmax(scores, -1) @ v).flatten(0, 1), "lse": torch.logsumexp(scores, -1).flatten()}
