# ruff: noqa: N803 - the names of constants
"""What the barrier kernels write."""

import torch


def reference(UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (1,): barriers passed."""
    return {"out": torch.tensor([UNROLL * repeats], dtype=torch.int32)}


def distributed(UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (1,): the place in the ring of 32 words, and the number of runs."""
    return {"out": torch.tensor([UNROLL * repeats % 32 + repeats], dtype=torch.int32)}


def tiles(WORDS4: int, BLOCK: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (BLOCK,): the sums of each thread's words, which a hand-off makes those of the first warp."""
    threads = torch.arange(BLOCK, dtype=torch.int32)
    return {"out": WORDS4 * ((threads % 32 if repeats else threads) + 6)}
