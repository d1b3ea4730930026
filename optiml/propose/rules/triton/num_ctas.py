"""Spread a program over a cluster of two blocks, which read each other's shared memory.

Precondition: the target (or one of the task's, where none is named) has clusters (sm_90 and later), and there is a loop
with a product.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... def f(x_ptr, n):
...     for i in range(n):
...         acc = tl.dot(a, b, acc)
... ''', "out:x_ptr n", language="triton", targets=["sm_90"])
def f(x_ptr, n):
    for i in range(n):
        acc = tl.dot(a, b, acc)
// launch.num_ctas = 2
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_FIRST_WITH_CLUSTERS = 90


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    named = [kernel.unit.architecture] if kernel.unit.architecture else kernel.unit.settings["targets"]
    targets = [int("".join(c for c in t if c.isdigit())) for t in named]
    now = kernel.unit.launch.get("num_ctas", 1)
    if targets and max(targets) >= _FIRST_WITH_CLUSTERS and any(kernel.calls("tl.dot")) and kernel.loops():
        yield Rewrite(f"{3 - now}", kernel.text, {"launch.num_ctas": 3 - now})


RULE = TritonRule(
    "num-ctas",
    frozenset({"l2", "dram", "tensor"}),
    "Two blocks of a cluster share what they load, so that L2 is read less.",
    _find,
)
