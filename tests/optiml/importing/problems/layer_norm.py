import torch
from torch import nn

batch_size = 16
features = 64
width = 256


class Model(nn.Module):
    def __init__(self, normalized_shape):
        super().__init__()
        self.norm = nn.LayerNorm(normalized_shape)

    def forward(self, x):
        return self.norm(x)


def get_inputs():
    return [torch.rand(batch_size, features, width)]


def get_init_inputs():
    return [(features, width)]
