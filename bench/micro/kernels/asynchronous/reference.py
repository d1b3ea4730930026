# ruff: noqa: N803 - the names of constants
"""What the asynchronous products add up to."""

import torch

# Depth of one product, 32 bytes.
DEPTHS = {"Half": 16, "Brain": 16, "Tf32": 8, "Float8": 32, "Int8": 32}


def wgmma(FORMAT: str, N: int, UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (128,): each product adds its depth to the N / 2 sums of every thread."""
    return {"out": torch.full((128,), N / 2 * DEPTHS[FORMAT] * UNROLL * repeats, dtype=torch.float64)}


def tcgen05(N: int, UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (128, N)."""
    return {"out": torch.full((128, N), 16.0 * UNROLL * repeats)}
