"""A smoothing filter in PyTorch."""

import torch


def reference(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `y`: the weighted sum of five neighbours and the largest positive one of them."""
    weights = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1], dtype=x.dtype)
    places = (torch.arange(len(x))[:, None] + torch.arange(-2, 3)).clamp(0, len(x) - 1)
    weighted = weights * x[places]
    return {"y": weighted.sum(1) + weighted.max(1).values.clamp(min=0)}
