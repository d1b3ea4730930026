#| task = "triton_softmax"
#| class = "plain"
#| does = "the language's own softmax"
import triton
import triton.language as tl


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * cols
    x = tl.load(x_ptr + row + at, mask=at < cols, other=float("-inf"))
    tl.store(y_ptr + row + at, tl.softmax(x), mask=at < cols)
