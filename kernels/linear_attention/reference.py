"""Linear attention with decay in PyTorch: the recurrence itself, one step at a time, in the inputs' own precision."""

import torch


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, log_decay: torch.Tensor, DECAY: bool = False
) -> dict[str, torch.Tensor]:
    """Return `out` (heads, seq, dim_v) for q, k (heads, seq, dim_k), v (heads, seq, dim_v), log_decay (heads, seq)."""
    state = q.new_zeros(q.shape[0], q.shape[2], v.shape[2])
    decay = torch.exp(log_decay) if DECAY else torch.ones_like(log_decay)
    out = torch.empty_like(v)
    for t in range(q.shape[1]):
        state = decay[:, t, None, None] * state + k[:, t, :, None] * v[:, t, None, :]
        out[:, t] = torch.einsum("hk,hkv->hv", q[:, t], state)
    return {"out": out}
