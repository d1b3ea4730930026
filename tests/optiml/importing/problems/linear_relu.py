import torch
from torch import nn

batch_size = 1024
sequence = 8
in_features = 512
out_features = 1024


class Model(nn.Module):
    def __init__(self, in_features, out_features, scale):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.scale = scale

    def forward(self, x):
        return torch.relu(self.linear(x)) * self.scale


def get_inputs():
    return [torch.rand(batch_size, sequence, in_features)]


def get_init_inputs():
    return [in_features, out_features, 2.0]
