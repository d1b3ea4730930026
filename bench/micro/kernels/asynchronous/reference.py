# ruff: noqa: N803 - the names of constants
"""What the asynchronous products add up to."""

import torch


def wgmma(N: int, UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (64, N): each product adds its depth, 16."""
    return {"out": torch.full((64, N), 16.0 * UNROLL * repeats)}


def tcgen05(N: int, UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (128, N)."""
    return {"out": torch.full((128, N), 16.0 * UNROLL * repeats)}
