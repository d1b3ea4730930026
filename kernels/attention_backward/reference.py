"""Attention backward in PyTorch: each formula on whole score matrices, in the inputs' own precision."""

import torch


def delta(out: torch.Tensor, do: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `delta`: the row sums of out * do."""
    return {"delta": (out * do).sum(-1)}


def reference(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    do: torch.Tensor,
    lse: torch.Tensor,
    delta: torch.Tensor,
    scale: float,
    CAUSAL: bool = False,
) -> dict[str, torch.Tensor]:
    """Return `dk` and `dv`."""
    p, ds = _probabilities(q, k, v, do, lse, delta, scale, CAUSAL)
    return {"dk": scale * ds.transpose(-2, -1) @ q, "dv": p.transpose(-2, -1) @ do}


def dq(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    do: torch.Tensor,
    lse: torch.Tensor,
    delta: torch.Tensor,
    scale: float,
    CAUSAL: bool = False,
) -> dict[str, torch.Tensor]:
    """Return `dq`."""
    _, ds = _probabilities(q, k, v, do, lse, delta, scale, CAUSAL)
    return {"dq": scale * ds @ k}


def _probabilities(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    do: torch.Tensor,
    lse: torch.Tensor,
    delta: torch.Tensor,
    scale: float,
    causal: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The attention weights p = exp(scores - lse), and the gradient of the scores p * (do @ v^T - delta)."""
    p = torch.exp(scale * (q @ k.transpose(-2, -1)) - lse[..., None])
    p = p.tril() if causal else p
    return p, p * (do @ v.transpose(-2, -1) - delta[..., None])
