import torch
from torch import nn

length = 1024


class Model(nn.Module):
    def forward(self, x):
        return torch.cumsum(x, dim=0)


def get_inputs():
    return [torch.rand(length)]
