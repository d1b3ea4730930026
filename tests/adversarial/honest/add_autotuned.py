#| task = "triton_add"
#| class = "tuned elsewhere"
#| does = "brings its author's table of tiles and a heuristic along, which the task's own constants take the place of"
#| overrides = { "constants.BLOCK" = 1024, "constants.IS_WHOLE" = 0 }
import triton
import triton.language as tl

CONFIGS = [triton.Config({"BLOCK": size}, num_warps=warps) for size in (512, 1024, 2048) for warps in (4, 8)]


@triton.autotune(configs=CONFIGS, key=["n"])
@triton.heuristics({"IS_WHOLE": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr, IS_WHOLE: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if IS_WHOLE:
        tl.store(z_ptr + at, tl.load(x_ptr + at) + tl.load(y_ptr + at))
    else:
        x = tl.load(x_ptr + at, mask=at < n)
        y = tl.load(y_ptr + at, mask=at < n)
        tl.store(z_ptr + at, x + y, mask=at < n)


def run(x, y, z):
    n = z.numel()
    add[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](x, y, z, n)
