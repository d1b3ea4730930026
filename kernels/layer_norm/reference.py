"""Layer norm and its gradients in PyTorch, in the inputs' own precision."""

import torch


def reference(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> dict[str, torch.Tensor]:
    """Return `y` (rows, cols), `mean` and `rstd` (rows)."""
    mean = x.mean(-1)
    rstd = torch.rsqrt(x.var(-1, correction=0) + eps)
    return {"y": (x - mean[:, None]) * rstd[:, None] * weight + bias, "mean": mean, "rstd": rstd}


def backward_input(
    x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, mean: torch.Tensor, rstd: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return `dx`, for the mean and rstd given."""
    n = (x - mean[:, None]) * rstd[:, None]
    g = dy * weight
    return {"dx": rstd[:, None] * (g - g.mean(-1, True) - n * (g * n).mean(-1, True))}


def backward_weight(
    x: torch.Tensor, dy: torch.Tensor, mean: torch.Tensor, rstd: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return `dweight` and `dbias`, for the mean and rstd given."""
    return {"dweight": (dy * (x - mean[:, None]) * rstd[:, None]).sum(0), "dbias": dy.sum(0)}
