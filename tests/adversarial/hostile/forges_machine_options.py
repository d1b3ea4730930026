#| task = "triton_add"
#| class = "attacks through the assembler"
#| does = "hands out an artifact whose options would have the assembler write where it likes"
#| status = ["cheating"]
#| says = "bad-artifact"
import backends.compilers.task as compilers
import triton
import triton.language as tl
from dataclasses import replace

original = compilers.compile_task


def forged(task, sizes, architecture, *rest, **more):
    made = original(task, sizes, architecture, *rest, **more)
    return replace(made, options={**made.options, "ptx_options": "--output-file twill-was-here.cubin"})


import gc, types

for held in gc.get_objects():
    if isinstance(held, types.FunctionType) and held.__name__ == "compile_all":
        held.__globals__["_distinct"] = (
            lambda found, real=held.__globals__["_distinct"]: real(
                [replace(f, options={**f.options, "ptx_options": "--output-file twill-was-here.cubin"}) for f in found]
            )
        )


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
