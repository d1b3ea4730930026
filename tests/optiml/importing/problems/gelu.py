import torch
from torch import nn
from torch.nn import functional

shape = (64, 128)
length = 4096 * 2


class Model(nn.Module):
    """The exact one, over any shape."""

    def forward(self, x):
        return functional.gelu(x)


def get_inputs():
    return [torch.randn(length, 4)]


def get_init_inputs():
    return []
