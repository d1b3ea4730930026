"""Two-dimensional convolution in PyTorch, in the inputs' own precision."""

import torch
import torch.nn.functional as F


def reference(x: torch.Tensor, w: torch.Tensor, STRIDE: int, PADDING: int) -> dict[str, torch.Tensor]:
    """Return `y` (batch, out_h, out_w, out_c) for x (batch, h, w, c) and w (taps_h, taps_w, c, out_c)."""
    y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), stride=STRIDE, padding=PADDING)
    return {"y": y.permute(0, 2, 3, 1).contiguous()}
