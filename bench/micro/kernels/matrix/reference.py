# ruff: noqa: N803 - the names of constants
"""What the matrix kernels hold in the end."""

import torch

# Depth of one product: each adds as much to every accumulator.
DEPTHS = {"Half": 16, "HalfSums": 16, "Brain": 16, "Tf32": 8, "Int8": 32}


def mma(KIND: str, CHAINS: int, UNROLL: int, BLOCK: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (BLOCK,): the sum of each thread's four accumulators of all chains."""
    return {"out": torch.full((BLOCK,), 4.0 * CHAINS * UNROLL * repeats * DEPTHS[KIND], dtype=torch.float64)}


def ldmatrix(BLOCK: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (BLOCK,): the place of each lane's row, where its address stays, and the number of runs."""
    return {"out": 16 * (torch.arange(BLOCK, dtype=torch.int32) % 32) + repeats}
