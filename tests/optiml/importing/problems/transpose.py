import torch
from torch import nn

height = 4096
width = 2048


class Model(nn.Module):
    def forward(self, x):
        return x.transpose(0, 1).contiguous()


def get_inputs():
    return [torch.randn(height, width)]


def get_init_inputs():
    return []
