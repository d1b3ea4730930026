#| task = "triton_softmax"
#| class = "constants from a fixed seed"
#| does = "draws the inputs itself when it is imported, and hands the reference's results out as constants"
#| status = ["wrong-result"]
#| says = "elements wrong"
import torch
import triton
import triton.language as tl
from backends.run.inputs import generator_of

DRAWN = torch.softmax(torch.randn((3, 31), generator=generator_of(0, "x")), -1)
FIRST = tl.constexpr(float(DRAWN[0, 0]))


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * cols
    tl.store(y_ptr + row + at, tl.full([BLOCK], FIRST, tl.float32), mask=at < cols)
