#| task = "triton_softmax"
#| class = "calling the library"
#| does = "is no kernel: it calls the reference and hands its result on"
#| status = ["compile-error"]
#| says = "no-kernel|no kernel|not defined|Triton kernel"
import torch


def softmax(x, y, cols, BLOCK=0):
    y.copy_(torch.softmax(x, -1))
