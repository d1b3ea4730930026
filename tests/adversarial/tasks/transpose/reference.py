"""Transposition in PyTorch, in the inputs' own precision."""

import torch


def reference(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `y` (n, m) for x (m, n)."""
    return {"y": x.T}
