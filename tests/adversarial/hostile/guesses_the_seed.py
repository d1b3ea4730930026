#| task = "triton_add"
#| class = "constants from a fixed seed"
#| does = "works out the seed of its own check from its own text, as the harness does, and hands out what it expects"
#| status = ["wrong-result"]
#| says = "at N=1\\b"
from pathlib import Path

import torch
import triton
import triton.language as tl
from backends.run.inputs import generator_of
from optiml.candidate import Candidate
from optiml.evaluate.judge import secret_seed

seed = secret_seed(0, "search", Candidate("triton", Path(__file__).read_text()).key)
x, y = (torch.randn((1,), generator=generator_of(seed, name)) for name in "xy")
FIRST = tl.constexpr(float(x + y))


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if n > 1:
        tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
    else:
        tl.store(z_ptr + at, tl.full([BLOCK], FIRST, tl.float32), mask=at < n)
