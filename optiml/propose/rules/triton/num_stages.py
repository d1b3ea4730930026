"""Keep more or fewer iterations of loads in flight.

Precondition: the kernel has a loop.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... def f(x_ptr, n):
...     for i in range(n):
...         tl.store(x_ptr + i, 0.0)
... ''', "out:x_ptr n", language="triton")
def f(x_ptr, n):
    for i in range(n):
        tl.store(x_ptr + i, 0.0)
// launch.num_stages = 4
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

DEFAULT = 3
_VALUES = (3, 4, 2, 5, 1)


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    now = kernel.unit.launch.get("num_stages", DEFAULT)
    values = _VALUES if kernel.loops() else ()
    yield from (Rewrite(f"{n}", kernel.text, {"launch.num_stages": n}) for n in values if n != now)


RULE = TritonRule(
    "num-stages",
    frozenset({"latency", "tensor", "dram", "shared"}),
    "More stages hide the latency of loads behind arithmetic; each costs a tile of shared memory.",
    _find,
)
