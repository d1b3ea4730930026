#| task = "triton_softmax"
#| class = "calling the library"
#| does = "calls PyTorch from within the kernel, with a fallback that does nothing"
#| status = ["compile-error"]
#| says = "Unsupported function"
import torch
import triton
import triton.language as tl


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    try:
        tl.store(y_ptr, torch.softmax(x_ptr, -1))
    except Exception:
        pass
