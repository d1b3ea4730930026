# ruff: noqa: N803 - the names of constants
"""What the kernels of the whole chip write."""

import torch

MASK = 0xFFFFFFFF


def empty(repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (1,)."""
    return {"out": torch.tensor([repeats], dtype=torch.int32)}


def atomics(counters: torch.Tensor, SHARED: bool, UNROLL: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `counters` (n,) with each thread's additions."""
    added = torch.zeros_like(counters)
    if SHARED:
        added[0] = UNROLL * repeats * len(counters)
    else:
        added += UNROLL * repeats
    return {"counters": counters + added}


def read_l2(
    data: torch.Tensor,
    DEPTH: int,
    STEP: int,
    UNROLL: int,
    BLOCK: int,
    CTAS: int,
    repeats: int,
) -> dict[str, torch.Tensor]:
    """Return `out` (CTAS * BLOCK,) modulo 2^32, for data (DEPTH * CTAS * UNROLL * BLOCK * 4,) of words."""
    chunks = DEPTH * CTAS
    words = data.long().view(chunks, UNROLL, BLOCK, 4)
    once = ((words[..., 0] ^ words[..., 1]) + (words[..., 2] ^ words[..., 3])).sum(1)
    turns = (torch.arange(CTAS)[:, None] + STEP * torch.arange(repeats)[None, :]) % chunks
    total = once[turns].sum(1).reshape(-1) & MASK
    return {"out": total - (total > MASK // 2).long() * (MASK + 1)}


def stream(
    data: torch.Tensor, WRITE: bool, UNROLL: int, BLOCK: int, CTAS: int, repeats: int
) -> dict[str, torch.Tensor]:
    """Return `out`: a copy with each thread's number added to every fourth word, or (CTAS * BLOCK,) sums."""
    if not repeats:
        return {"out": torch.zeros(CTAS * BLOCK, dtype=torch.int32)}
    words = data.view(repeats, CTAS, UNROLL, BLOCK, 4).clone()
    words[..., 0] += torch.arange(BLOCK, dtype=torch.int32)
    if WRITE:
        return {"out": words.reshape(-1)}
    sums = (words[..., 0] ^ words[..., 1]) + (words[..., 2] ^ words[..., 3])
    return {"out": sums.sum((0, 2), dtype=torch.int32).reshape(-1)}


def scatter(UNROLL: int, BLOCK: int, CTAS: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (CTAS * UNROLL * BLOCK * 8,): in each sector the words hold the last turn of theirs, from 1."""
    words = torch.zeros(8, dtype=torch.int32)
    for turn in range(repeats):
        words[turn % 8] = turn + 1
    return {"out": words.repeat(CTAS * UNROLL * BLOCK)}


def code(turns: int, repeats: int, **_code: int) -> dict[str, torch.Tensor]:
    """Return `out` (1,): every sum is `repeats` where that is 0."""
    assert repeats == 0, "sums of other scales overflow"
    return {"out": torch.zeros(1) if turns else torch.tensor([8.0])}
