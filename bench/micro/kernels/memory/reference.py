# ruff: noqa: N803 - the names of constants
"""Where the chases end, and what the loads add up to."""

import torch

MASK = 0xFFFFFFFF
# 128 bytes, in words.
LINE = 32


def chase(UNROLL: int, elements: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `end` (1,): once round to warm up, and then so many steps on."""
    return {"end": torch.tensor([(elements + UNROLL * repeats) % elements])}


def chase_far(repeats: int) -> dict[str, torch.Tensor]:
    """Return `end` (1,): the last value, which is 0, and the number of runs."""
    return {"end": torch.tensor([repeats])}


def chase_shared(UNROLL: int, STRIDE: int, elements: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `end` (32,): each lane's place in the ring."""
    return {"end": (STRIDE * torch.arange(32) + UNROLL * repeats) % elements}


def places(repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (1,): the number of chains for each line."""
    return {"out": torch.tensor([repeats], dtype=torch.int32)}


def shared_chain(data: torch.Tensor, KIND: str, UNROLL: int, BLOCK: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (BLOCK,): what each thread's word of shared memory holds; data has four words for each."""
    numbers = torch.arange(1, BLOCK + 1, dtype=torch.int32)
    steps = UNROLL * repeats
    ends = {
        "StoreLoad": numbers,
        "CopyAsync": data.view(-1, 4)[:, 0] if steps else numbers,
        "Add": numbers * (1 + steps),
    }
    return {"out": ends[KIND].clone()}


def loads(
    data: torch.Tensor,
    WORDS: int,
    STRIDE: int,
    UNROLL: int,
    BLOCK: int,
    repeats: int,
) -> dict[str, torch.Tensor]:
    """Return `out` (BLOCK,), modulo 2^32: UNROLL + 1 lines once, then UNROLL in each run, by turns from 0 and 1."""
    first = WORDS * STRIDE * (torch.arange(BLOCK) % 32)
    lines = torch.stack([_access(data, first + LINE * i, WORDS) for i in range(UNROLL + 1)])
    runs = [lines[r % 2 : r % 2 + UNROLL].sum(0) for r in range(repeats)]
    total = sum(runs, lines.sum(0)) & MASK
    return {"out": total - (total > MASK // 2).long() * (MASK + 1)}


def strided_loads(
    data: torch.Tensor,
    WORDS: int,
    STRIDE: int,
    SUB_CORES: int,
    UNROLL: int,
    BLOCK: int,
    repeats: int,
) -> dict[str, torch.Tensor]:
    """Return `out` (BLOCK,), modulo 2^32: eight elements, each 4 after the one before, once and UNROLL / 8 in a run.

    Warps of the first SUB_CORES of four sub-cores make `repeats` runs, the others none.
    """
    first = WORDS * STRIDE * (torch.arange(BLOCK) % 64)
    eight = sum(_access(data, first + 4 * WORDS * i, WORDS) for i in range(8))
    runs = repeats * (torch.arange(BLOCK) // 32 % 4 < SUB_CORES)
    total = (1 + runs * (UNROLL // 8)) * eight & MASK
    return {"out": total - (total > MASK // 2).long() * (MASK + 1)}


def _access(data: torch.Tensor, first: torch.Tensor, words: int) -> torch.Tensor:
    """The sum of the words of one access of each thread."""
    return data[first[:, None] + torch.arange(words)].long().sum(1)
