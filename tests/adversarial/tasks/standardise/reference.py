"""Standardised rows in PyTorch, in the inputs' own precision."""

import torch


def reference(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `y` for x (rows, cols)."""
    return {"y": (x - x.mean(-1, True)) * torch.rsqrt(x.var(-1, correction=0, keepdim=True) + 1e-5)}
