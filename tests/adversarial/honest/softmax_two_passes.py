#| task = "triton_softmax"
#| class = "one pass less"
#| does = "blocks of 128 columns with a running maximum and sum, rows of any length"
#| overrides = { "constants.BLOCK" = 128 }
import triton
import triton.language as tl


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * cols
    largest = tl.full([BLOCK], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, cols, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row + at, mask=at < cols, other=float("-inf"))
        grown = tl.maximum(largest, x)
        shift = tl.where(grown == float("-inf"), 0.0, grown)
        total = total * tl.exp(largest - shift) + tl.exp(x - shift)
        largest = grown
    whole = tl.max(largest, 0)
    scale = 1.0 / tl.sum(total * tl.exp(largest - whole), 0)
    for start in range(0, cols, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row + at, mask=at < cols, other=float("-inf"))
        tl.store(y_ptr + row + at, tl.exp(x - whole) * scale, mask=at < cols)
