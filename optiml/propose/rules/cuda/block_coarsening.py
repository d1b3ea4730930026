"""Let each block do the work of two or four neighbours at once, so that their loads are in flight together.

Precondition: no barrier, no shared memory and no use of the grid's size, which the kernel's scalars tell; early returns
end one part only. The parts are unrolled.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) y[i] = 2.0f * x[i];
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    #pragma unroll
    for (int part = 0; part < 2; ++part) {
    if (blockIdx.x * 2 + part >= ((n + 256 - 1) / 256)) break;
    int i = (blockIdx.x * 2 + part) * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i];
    }
}
// launch.grid = ['cdiv(cdiv(N, 256), 2)']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import above, walk
from optiml.propose.rules.cuda.expressions import in_cpp
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_FACTORS = (2, 4)
_FORBIDDEN = ("__syncthreads", "__syncwarp", "gridDim.x", "gridDim.y", "gridDim.z")


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    source, grid = kernel.source, kernel.unit.extents("grid")
    if kernel.has(*_FORBIDDEN) or "__shared__" in source.of(kernel.function) or _returns_in_loop(kernel):
        return
    for axis, extent in zip("xyz", grid, strict=True):
        count = in_cpp(kernel, extent)
        uses = kernel.has(f"blockIdx.{axis}") and extent != "1"
        for factor in _FACTORS if uses and count is not None else ():
            grids = [
                f"cdiv({e}, {factor})" if e == extent and a == axis else e for a, e in zip("xyz", grid, strict=True)
            ]
            yield Rewrite(
                f"{axis}{factor}",
                _coarse(kernel, axis, factor, str(count)),
                {"launch.grid": grids[: len(kernel.unit.launch["grid"])]},
            )


def _coarse(kernel: CudaKernel, axis: str, factor: int, count: str) -> str:
    source, body, part = kernel.source, kernel.body, kernel.fresh("part")
    fields = [n for n in walk(body, "field_expression") if source.of(n) == f"blockIdx.{axis}"]
    changes = [(n.start_byte, n.end_byte, f"(blockIdx.{axis} * {factor} + {part})") for n in fields]
    returns = list(walk(body, "return_statement"))
    changes += [(n.start_byte, n.end_byte, "continue;") for n in returns]
    first, last = body.start_byte + 1, body.end_byte - 1
    start = f"\n    #pragma unroll\n    for (int {part} = 0; {part} < {factor}; ++{part}) {{"
    start += f"\n    if (blockIdx.{axis} * {factor} + {part} >= {count}) break;"
    return source.spliced((first, first, start), *changes, (last, last, "    }\n"))


def _returns_in_loop(kernel: CudaKernel) -> bool:
    loops = ("for_statement", "while_statement", "do_statement")
    return any(
        above(n, *loops, "function_definition") != kernel.function for n in walk(kernel.body, "return_statement")
    )


RULE = CudaRule(
    "block-coarsening",
    frozenset({"latency", "launch", "dram", "issue"}),
    "A block that does several blocks' work has their loads in flight at once and is started less often.",
    _find,
)
