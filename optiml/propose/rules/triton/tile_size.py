"""Double or halve a tile: more reuse and fewer programs, or more programs and fewer registers.

Precondition: a tunable constant that is a power of two and the extent of a `tl.arange`.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... @triton.jit
... def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
...     offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
...     tl.store(y_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)
... ''', "in:x_ptr out:y_ptr n", language="triton", constants_BLOCK=256)
@triton.jit
def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)
// constants.BLOCK = 512
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_SMALLEST, _LARGEST = 16, 8192


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    extents = {ast.unparse(call.args[1]) for call in kernel.calls("tl.arange") if len(call.args) > 1}
    for name, value in kernel.unit.tunable.items():
        if name not in extents or not isinstance(value, int) or value & (value - 1):
            continue
        for other in (2 * value, value // 2, 4 * value):
            if _SMALLEST <= other <= _LARGEST:
                yield Rewrite(f"{name}={other}", kernel.text, {f"constants.{name}": other})


RULE = TritonRule(
    "tile-size",
    frozenset({"dram", "l2", "shared", "tensor", "occupancy", "latency", "issue"}),
    "A larger tile uses each value more often; a smaller one needs fewer registers and leaves more programs.",
    _find,
)
