"""What the streaming kernels compute, in the inputs' own precision."""

import torch


def read(b: torch.Tensor, wanted: float) -> dict[str, torch.Tensor]:
    """Return `found` (1,), how often `wanted` is in b (n,)."""
    return {"found": (b == wanted).sum().to(torch.int32)[None]}


def fill(n: int, s: float, WIDTH: int) -> dict[str, torch.Tensor]:
    """Return `a` of n * WIDTH elements, all of them s."""
    return {"a": torch.full((n * WIDTH,), s, dtype=torch.float64)}


def copy(b: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `a` = b for b (n,)."""
    return {"a": b.clone()}


def scale(b: torch.Tensor, s: float) -> dict[str, torch.Tensor]:
    """Return `a` = s * b for b (n,)."""
    return {"a": s * b}


def triad(b: torch.Tensor, c: torch.Tensor, s: float) -> dict[str, torch.Tensor]:
    """Return `a` = s * b + c for b and c (n,)."""
    return {"a": s * b + c}


def reduction(total: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `total` + the sum of b, of shape (1,), for b (n,)."""
    return {"total": total + b.sum()}
