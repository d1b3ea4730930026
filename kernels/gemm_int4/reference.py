"""GEMM with 4-bit weights in PyTorch: unpack, scale, multiply."""

import torch


def reference(a: torch.Tensor, q: torch.Tensor, scale: torch.Tensor, GROUP_K: int = 128) -> dict[str, torch.Tensor]:
    """Return `c` for a (m, k), int32 q (k // 8, n) with eight weights to a word, scale (k // GROUP_K, n)."""
    shifts = torch.arange(0, 32, 4, device=q.device)
    nibbles = (q[:, None, :] >> shifts[None, :, None]) & 15
    weights = (nibbles.flatten(0, 1) - 8).to(a.dtype) * scale.repeat_interleave(GROUP_K, 0)
    return {"c": a @ weights}
