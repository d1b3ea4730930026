import torch

size = 64


def get_inputs():
    return [torch.rand(size)]
