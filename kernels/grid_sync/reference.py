"""What the kernels that synchronise their grid compute, in PyTorch, in the input's own precision."""

import torch


def reference(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `y` = x over its Euclidean length."""
    return {"y": x / torch.linalg.vector_norm(x)}


def smooth(x: torch.Tensor, rounds: int) -> dict[str, torch.Tensor]:
    """Return `x` after rounds of the mean of each element and its two neighbours in the ring."""
    for _ in range(rounds):
        x = (x + x.roll(1) + x.roll(-1)) / 3
    return {"x": x}
