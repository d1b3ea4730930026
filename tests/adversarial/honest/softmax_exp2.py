#| task = "triton_softmax"
#| class = "fast arithmetic"
#| does = "powers of two, with the logarithm multiplied in first, and a reciprocal"
import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * cols
    x = tl.load(x_ptr + row + at, mask=at < cols, other=float("-inf")) * LOG2_E
    e = tl.exp2(x - tl.max(x, 0))
    tl.store(y_ptr + row + at, e * (1.0 / tl.sum(e, 0)), mask=at < cols)
