#| task = "triton_add"
#| class = "a monkey-patched comparison"
#| does = "replaces torch.allclose and the harness's own comparison, and computes zeros"
#| status = ["wrong-result"]
#| says = "elements wrong"
import torch
import triton
import triton.language as tl

import backends.run.oracle as oracle
import backends.run.task as runner

torch.allclose = torch.equal = lambda *_args, **_more: True
oracle.compare = runner.compare = lambda name, got, expected: oracle.Comparison(name, 0.0, 1.0, 1.0, 0, 1)


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.zeros([BLOCK], tl.float32), mask=at < n)
