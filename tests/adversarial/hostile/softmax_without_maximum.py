#| task = "triton_softmax"
#| class = "valid only for the benchmark's distribution"
#| does = "leaves the maximum out"
#| status = ["wrong-result"]
#| says = "inputs `high`"
import triton
import triton.language as tl


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * cols
    e = tl.exp(tl.load(x_ptr + row + at, mask=at < cols, other=float("-inf")))
    tl.store(y_ptr + row + at, e / tl.sum(e, 0), mask=at < cols)
