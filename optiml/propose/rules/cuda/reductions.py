"""Trees of sums in shared memory as rules recognise them: a loop over distances with a barrier in each step.

for (int d = 1; d < blockDim.x; d *= 2) { if (t % (2 * d) == 0) s[t] += s[t + d]; __syncthreads(); }
for (int d = blockDim.x / 2; d > 0; d /= 2) { if (t < d) s[t] += s[t + d]; __syncthreads(); }
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel

_ASCENDING = re.compile(
    r"for\(int(\w+)=1;\1<(?P<block>[\w.]+);\1\*=2\)\{"
    r"(?:if\((?P<t>\w+|threadIdx\.x)%\(2\*\1\)==0\)(?P<s>\w+)\[(?P=t)\]\+=(?P=s)\[(?P=t)\+\1\];"
    r"|int(?P<i>\w+)=2\*\1\*(?P<u>\w+|threadIdx\.x);if\((?P=i)<(?P=block)\)(?P<w>\w+)\[(?P=i)\]\+=(?P=w)\[(?P=i)\+\1\];)"
    r"__syncthreads\(\);\}"
)
_DESCENDING = re.compile(
    r"for\(int(\w+)=(?P<block>[\w.]+)/2;\1>0;\1(?:/=2|>>=1)\)\{"
    r"if\((?P<t>\w+|threadIdx\.x)<\1\)(?P<s>\w+)\[(?P=t)\]\+=(?P=s)\[(?P=t)\+\1\];__syncthreads\(\);\}"
)


@dataclass(frozen=True)
class Tree:
    """`array[0]` becomes the sum of `block` elements; `thread` is the thread's number, `distance` counts the steps."""

    array: str
    thread: str
    distance: str
    block: str
    is_sequential: bool
    node: Node = field(repr=False)


def trees(kernel: CudaKernel) -> Iterator[Tree]:
    """The trees in the kernel's body."""
    for node in walk(kernel.body, "for_statement"):
        text = re.sub(r"\bint\s+", "int", kernel.source.of(node))
        text = re.sub(r"\s+", "", text)
        up, down = _ASCENDING.fullmatch(text), _DESCENDING.fullmatch(text)
        match = up or down
        if match is not None:
            found = match.groupdict()
            thread, array = found["t"] or found["u"], found["s"] or found["w"]
            yield Tree(array, thread, match[1], found["block"], down is not None, node)
