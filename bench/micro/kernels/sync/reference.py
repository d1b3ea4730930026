# ruff: noqa: N803 - the names of constants
"""What the barrier kernels write."""

import torch


def reference(UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (1,): barriers passed."""
    return {"out": torch.tensor([UNROLL * repeats], dtype=torch.int32)}
