"""Let more or fewer warps share a program.

Precondition: none; the number is a power of two from 1 to 16.

>>> from optiml.propose.rules.example import show
>>> show(RULE, "def f(x_ptr): pass", "in:x_ptr", language="triton")
def f(x_ptr): pass
// launch.num_warps = 8
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

DEFAULT = 4
_VALUES = (8, 4, 2, 1, 16)


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    now = kernel.unit.launch.get("num_warps", DEFAULT)
    yield from (Rewrite(f"{n}", kernel.text, {"launch.num_warps": n}) for n in _VALUES if n != now)


RULE = TritonRule(
    "num-warps",
    frozenset({"occupancy", "latency", "issue", "tensor"}),
    "More warps hold a larger tile in registers; fewer have less to synchronise.",
    _find,
)
