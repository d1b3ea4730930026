#| task = "triton_add"
#| class = "claims of the candidate about the task"
#| does = "hands out an artifact that asks for a terabyte of scratch memory"
#| status = ["cheating", "fault", "crash", "resource-limit", "refused"]
#| says = "memory|bytes"
import gc
import types
from dataclasses import replace

import triton
import triton.language as tl
from backends.compilers.artifact import Parameter, Scratch

HIDDEN = Parameter("global-scratch", "u8", 8, 8)
for held in gc.get_objects():
    if isinstance(held, types.FunctionType) and held.__name__ == "compile_all":
        held.__globals__["_distinct"] = (
            lambda found, real=held.__globals__["_distinct"]: real(
                [replace(f, global_scratch=Scratch(1 << 40, 128)) for f in found]
            )
        )


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
