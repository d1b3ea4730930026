#| task = "triton_softmax"
#| class = "a decoy kernel"
#| does = "shows a right kernel, and binds its name to one that writes a constant"
#| status = ["wrong-result"]
#| says = "elements wrong"
import triton
import triton.language as tl


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * cols
    x = tl.load(x_ptr + row + at, mask=at < cols, other=float("-inf"))
    e = tl.exp(x - tl.max(x, 0))
    tl.store(y_ptr + row + at, e / tl.sum(e, 0), mask=at < cols)


@triton.jit
def other(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * cols
    tl.store(y_ptr + row + at, tl.full([BLOCK], 1.0, tl.float32) / cols, mask=at < cols)


softmax = other
