"""GEMM with a transposed second operand in PyTorch, in the inputs' own precision."""

import torch


def reference(a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `c` = a @ b^T for a (m, k) and b (n, k)."""
    return {"c": a @ b.T}
