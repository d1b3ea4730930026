"""Choose another value for a small constant that is no tile's extent: how many tiles make a band, how far to unroll.

Precondition: a tunable integer constant from 1 to 64 that is no extent of a `tl.arange`, and that the kernel has as a
parameter.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... @triton.jit
... def f(x_ptr, n, GROUP: tl.constexpr):
...     tl.store(x_ptr + tl.program_id(0) // GROUP, 0.0)
... ''', "out:x_ptr n", language="triton", constants_GROUP=1)
@triton.jit
def f(x_ptr, n, GROUP: tl.constexpr):
    tl.store(x_ptr + tl.program_id(0) // GROUP, 0.0)
// constants.GROUP = 8
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_VALUES = (8, 4, 2, 16, 1)
_LARGEST = 64


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    extents = {ast.unparse(call.args[1]) for call in kernel.calls("tl.arange") if len(call.args) > 1}
    parameters = {a.arg for a in kernel.function.args.args}
    for name, now in kernel.unit.tunable.items():
        if name in extents or name not in parameters or type(now) is not int or not 1 <= now <= _LARGEST:
            continue
        yield from (Rewrite(f"{name}={v}", kernel.text, {f"constants.{name}": v}) for v in _VALUES if v != now)


RULE = TritonRule(
    "constants",
    frozenset({"dram", "l2", "l1", "latency"}),
    "How work is ordered and grouped decides on what is still in the caches when it is needed again.",
    _find,
)
