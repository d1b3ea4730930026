"""Choose for one loop how it is pipelined or unrolled, instead of for the whole kernel.

Precondition: a loop over `tl.range` without options.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... def f(x_ptr, n):
...     for i in tl.range(0, n):
...         tl.store(x_ptr + i, 0.0)
... ''', "out:x_ptr n", language="triton", detail="unroll")
def f(x_ptr, n):
    for i in tl.range(0, n, loop_unroll_factor=2):
        tl.store(x_ptr + i, 0.0)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_OPTIONS = {
    "stages4": "num_stages=4", "stages2": "num_stages=2", "unroll2": "loop_unroll_factor=2",
    "one-buffer": "disallow_acc_multi_buffer=True",
}  # fmt: skip


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    for number, loop in enumerate(kernel.loops()):
        assert isinstance(loop.iter, ast.Call), "a loop over a range"
        if ast.unparse(loop.iter.func) != "tl.range" or loop.iter.keywords:
            continue
        end = kernel.span(loop.iter)[1] - 1
        for name, option in _OPTIONS.items():
            yield Rewrite(f"{number}={name}", kernel.spliced((end, end, f", {option}")))


RULE = TritonRule(
    "loop-options",
    frozenset({"latency", "issue", "tensor"}),
    "This loop's own number of stages or unrolling suits it better than the kernel's.",
    _find,
)
