"""A product, gated by another one."""

import torch


def reference(x: torch.Tensor, w: torch.Tensor, g: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"out": (x @ w) * torch.sigmoid(x @ g)}
