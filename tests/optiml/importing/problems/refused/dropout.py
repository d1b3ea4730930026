import torch
from torch import nn

size = 64


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(x)


def get_inputs():
    return [torch.rand(size)]


def get_init_inputs():
    return []
