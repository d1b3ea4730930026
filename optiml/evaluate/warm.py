"""Imported once before children are forked: has PyTorch load now what it loads when shapes are first computed alone."""

from __future__ import annotations

import torch

from optiml.evaluate.flops import Tracker

with Tracker({}):
    torch.empty((2, 3), dtype=torch.float64, device="meta") @ torch.empty((3, 2), dtype=torch.float64, device="meta")
