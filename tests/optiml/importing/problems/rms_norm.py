import torch
from torch import nn

batch_size = 32
features = 64
height = 128


class Model(nn.Module):
    """Over the second axis, which is not the last."""

    def __init__(self, count, eps=1e-5):
        super().__init__()
        self.count, self.eps = count, eps

    def forward(self, x):
        rms = torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + self.eps)
        return x / rms


def get_inputs():
    return [torch.rand(batch_size, features, height, height)]


def get_init_inputs():
    return [features]
