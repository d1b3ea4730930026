import torch
from torch import nn

batch_size = 4
channels = 8
size = 16


class Model(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv3d(channels, 16, 3)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.rand(batch_size, channels, size, size, size)]


def get_init_inputs():
    return [channels]
