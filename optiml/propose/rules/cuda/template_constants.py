"""Double or halve a constant that the kernel is made with: a tile's depth, a number of copies, of planes, of elements.

Precondition: a tunable integer constant among the template arguments, which is not the block's size alone (see
`block_size`).

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... template <int DEPTH> __global__ void f(float* x) {
...     for (int i = 0; i < DEPTH; ++i) x[i] = 1.0f;
... }''', "out:x", entry="f<DEPTH>", constants_DEPTH=16)
template <int DEPTH> __global__ void f(float* x) {
    for (int i = 0; i < DEPTH; ++i) x[i] = 1.0f;
}
// constants.DEPTH = 32
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_LARGEST = 1024


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    given = set(re.findall(r"\w+", str(kernel.unit.settings["entry"]).partition("<")[2]))
    blocks = set(kernel.unit.extents("block"))
    for name, now in kernel.unit.tunable.items():
        if name in given and name not in blocks and type(now) is int:
            for value in (2 * now, now // 2, 4 * now):
                if 1 <= value <= _LARGEST:
                    yield Rewrite(f"{name}={value}", kernel.source.text, {f"constants.{name}": value})


RULE = CudaRule(
    "template-constants",
    frozenset({"dram", "l2", "l1", "shared", "latency", "issue", "barrier"}),
    "A constant that suits one GPU and one size seldom suits another.",
    _find,
)
