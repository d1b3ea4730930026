"""Transposition in PyTorch."""

import torch


def reference(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `y` (cols, rows): x (rows, cols) transposed."""
    return {"y": x.T.contiguous()}
