"""How far two sets of named tensors are apart, relative to the largest wanted value of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

# Largest |got - want| / max |want| that is called agreement. Kernels multiply float32 as TF32 (10 bits of fraction)
# where the interpreter multiplies exactly, and sum in another order; bfloat16 has 7 bits.
TOLERANCES = {torch.float16: 5e-3, torch.bfloat16: 2e-2, torch.float32: 5e-3, torch.float64: 1e-6}


@dataclass(frozen=True)
class Difference:
    """The largest error in parts of the scale; `text` is empty, or says which tensor is wrong and how."""

    error: float
    text: str = ""

    @property
    def is_wrong(self) -> bool:
        """True beyond the tolerance."""
        return bool(self.text)


def difference(got: Mapping[str, torch.Tensor], want: Mapping[str, torch.Tensor], slack: float = 1) -> Difference:
    """The worst of all tensors; those of float8 are compared bit by bit, integers exactly, NaN equals NaN."""
    if got.keys() != want.keys():
        return Difference(float("inf"), f"tensors {sorted(got)} instead of {sorted(want)}")
    worst = 0.0
    for name in want:
        found = _one(name, got[name], want[name], slack)
        if found.is_wrong:
            return found
        worst = max(worst, found.error)
    return Difference(worst)


def _one(name: str, got: torch.Tensor, want: torch.Tensor, slack: float) -> Difference:
    if got.shape != want.shape:
        return Difference(float("inf"), f"`{name}` has shape {list(got.shape)} instead of {list(want.shape)}")
    tolerance = TOLERANCES.get(got.dtype, 0.0) * slack
    a, b = (_plain(tensor) for tensor in (got, want))
    finite = torch.isfinite(b)
    same_kind = torch.where(finite, torch.isfinite(a), (a == b) | (torch.isnan(a) & torch.isnan(b)))
    if not bool(same_kind.all()):
        return _told(name, a, b, ~same_kind, float("inf"))
    scale = float(b[finite].abs().max()) if bool(finite.any()) else 0.0
    error = torch.where(finite, (a - b).abs(), 0.0)
    relative = float(error.max()) / (scale or 1.0) if error.numel() else 0.0
    if relative <= tolerance:
        return Difference(relative)
    return _told(name, a, b, error > tolerance * (scale or 1.0), relative)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_floating_point() and tensor.element_size() == 1:
        tensor = tensor.view(torch.uint8)
    return tensor.detach().to(torch.float64).flatten()


def _told(name: str, got: torch.Tensor, want: torch.Tensor, wrong: torch.Tensor, error: float) -> Difference:
    places = wrong.nonzero().flatten()
    first = int(places[0])
    what = (
        f"{len(places)} of {want.numel()} elements, first [{first}]: {float(got[first]):g}, not {float(want[first]):g}"
    )
    return Difference(error, f"`{name}` differs by {error:.2g} of its scale in {what}")
