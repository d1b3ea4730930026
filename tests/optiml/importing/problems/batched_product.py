import torch
from torch import nn

count = 64
m = 256
k = 512
n = 1024


class Model(nn.Module):
    def forward(self, a, b):
        return torch.bmm(a, b)


def get_inputs():
    return [torch.rand(count, m, k), torch.rand(count, k, n)]


def get_init_inputs():
    return []
