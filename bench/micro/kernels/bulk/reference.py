# ruff: noqa: N803 - the names of constants
"""What the copies bring."""

import torch


def reference(data: torch.Tensor, BYTES: int, SLOTS: int, CTAS: int) -> dict[str, torch.Tensor]:
    """Return `out` (CTAS,): the last word of each block's slots; data has CTAS * SLOTS * BYTES bytes, as words."""
    return {"out": data.view(CTAS, SLOTS * BYTES // 4)[:, -1].clone()}


def tensor(data: torch.Tensor, ROWS: int, PITCH: int, SLOTS: int) -> dict[str, torch.Tensor]:
    """Return `out` (1,): the first word of the last slot's tile; rows are PITCH bytes apart."""
    return {"out": data[(SLOTS - 1) * ROWS * PITCH // 4].reshape(1).clone()}
