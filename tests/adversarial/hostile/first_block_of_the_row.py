#| task = "triton_softmax"
#| class = "computing a slice"
#| does = "takes the maximum and the sum over the first 256 columns alone"
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
    tl.store(y_ptr + row + at, e / tl.sum(tl.where(at < 256, e, 0.0), 0), mask=at < cols)
