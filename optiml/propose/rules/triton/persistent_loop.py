"""Launch one program for each multiprocessor, and let it go through the work of several.

Precondition: a one-dimensional grid whose size the kernel's arguments tell; no `return`, no use of the grid's size.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
...     offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
...     tl.store(y_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)
... ''', "in:x_ptr out:y_ptr n", language="triton", constants_BLOCK=256, launch_grid=["cdiv(N, BLOCK)"])
def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    for work in tl.range(tl.program_id(0), tl.cdiv(n, BLOCK), tl.num_programs(0)):
        offs = work * BLOCK + tl.arange(0, BLOCK)
        tl.store(y_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)
// launch.grid = ['min(cdiv(N, BLOCK), 132)']
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

# Multiprocessors of an H100 SXM, an A100, a B200, an RTX 4090, an RTX 5090 and an RTX A6000. Source: their data sheets.
_PROGRAMS = {"sm_90": 132, "sm_80": 108, "sm_100": 148, "sm_89": 128, "sm_120": 170, "sm_86": 84}


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    grid = [str(e) for e in kernel.unit.launch["grid"]]
    count = kernel.in_triton(grid[0]) if len(grid) == 1 else None
    numbers = [c for c in kernel.calls("tl.program_id") if [ast.unparse(a) for a in c.args] == ["0"]]
    returns = any(isinstance(n, ast.Return) for n in ast.walk(kernel.function))
    if count is None or returns or not numbers or any(kernel.calls("tl.num_programs")):
        return
    text = _looped(kernel, count, numbers)
    known = _PROGRAMS.get(kernel.unit.architecture.rstrip("af"))
    for programs in [known, 2 * known] if known else _PROGRAMS.values():
        yield Rewrite(f"{programs}", text, {"launch.grid": [f"min({grid[0]}, {programs})"]})


def _looped(kernel: TritonKernel, count: str, numbers: list[ast.Call]) -> str:
    """The body in a loop, one level deeper; lines within strings of several lines would be too, so there are none."""
    first, last = kernel.span(kernel.body[0])[0], kernel.span(kernel.body[-1])[1]
    inner = [(*kernel.span(call), "work") for call in numbers]
    changed = kernel.spliced(*inner).encode()
    body = changed[first : len(changed) - (len(kernel.text.encode()) - last)].decode()
    deeper = body.replace("\n", "\n    ")
    indent = " " * kernel.body[0].col_offset
    loop = f"for work in tl.range(tl.program_id(0), {count}, tl.num_programs(0)):\n{indent}    {deeper}"
    return kernel.spliced((first, last, loop))


RULE = TritonRule(
    "persistent-loop",
    frozenset({"launch", "latency", "tensor"}),
    "A fixed number of programs goes through all tiles: no starts in between, and no uneven last wave.",
    _find,
)
