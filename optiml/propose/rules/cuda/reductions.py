"""Trees of sums or extremes in shared memory as rules recognise them: a loop over distances, a barrier in each step.

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

_T = r"\w+|threadIdx\.x"
# `s[t] += s[t + d]`, `s[t] = s[t] + s[t + d]`, `s[t] = fmaxf(s[t], s[t + d])`.
_MERGE = (
    r"(?P<{s}>\w+)\[(?P={t})\](?:\+=(?P={s})\[{other}\]|=(?P={s})\[(?P={t})\]\+(?P={s})\[{other}\]"
    r"|=(?P<{s}f>fmaxf|fminf|max|min)\((?P={s})\[(?P={t})\],(?P={s})\[{other}\]\));"
)
_BLOCK = r"(?P<block>[\w.]+)"
_ASCENDING = re.compile(
    r"for\(int(\w+)=1;\1<" + _BLOCK + r";(?:\1\*=2|\1<<=1|\1=\1\*2)\)\{(?:"
    rf"if\(\(?(?P<t>{_T})%\((?:2\*\1|\1\*2)\)\)?==0(?:&&(?P=t)\+\1<(?P=block))?\)"
    + _MERGE.format(s="s", t="t", other=r"(?P=t)\+\1")
    + "|"
    rf"int(?P<i>\w+)=(?:2\*\1\*(?P<u>{_T})|\(?(?P<v>{_T})\*2\)?\*\1);if\((?P=i)<(?P=block)\)"
    + _MERGE.format(s="w", t="i", other=r"(?P=i)\+\1")
    + r")__syncthreads\(\);\}"
)
_DESCENDING = re.compile(
    r"for\(int(\w+)=" + _BLOCK + r"(?:/2|>>1);\1>(?:0|=1);(?:\1/=2|\1>>=1|\1=\1/2)\)\{"
    rf"if\((?P<t>{_T})<\1(?:&&(?P=t)\+\1<(?P=block))?\)"
    + _MERGE.format(s="s", t="t", other=r"(?P=t)\+\1")
    + r"__syncthreads\(\);\}"
)
_INTEGER = re.compile(r"\b(?:const\s+)?(?:unsigned\s+int|unsigned|size_t|uint|int)\s+")
_BRACED = re.compile(r"(if\([^{};]*\))\{([^{};]*;)\}")
_FUNCTIONS = {"max": "fmaxf", "min": "fminf"}
# What changes nothing when it is merged, by operator.
NEUTRAL = {"+": "0", "fmaxf": "__int_as_float(0xff800000)", "fminf": "__int_as_float(0x7f800000)"}


@dataclass(frozen=True)
class Tree:
    """`array[0]` becomes the sum (`operator` is +) or extreme (fmaxf, fminf) of `block` elements of a type.

    `thread` is the thread's number, `distance` counts the steps.
    """

    array: str
    thread: str
    distance: str
    block: str
    is_sequential: bool
    operator: str
    type: str
    node: Node = field(repr=False)

    def update(self, left: str, right: str) -> str:
        """An assignment that merges a value into a variable.

        >>> Tree("s", "t", "d", "256", True, "+", "float", None).update("a", "b")
        'a += b'
        """
        return f"{left} += {right}" if self.operator == "+" else f"{left} = {merged(self.operator, left, right)}"

    @property
    def neutral(self) -> str:
        """What changes nothing when it is merged."""
        return "0.0f" if (self.operator, self.type) == ("+", "float") else NEUTRAL[self.operator]


def merged(operator: str, left: str, right: str) -> str:
    """Two values as one, by + or a function.

    >>> merged("fmaxf", "a", "b")
    'fmaxf(a, b)'
    """
    return f"{left} + {right}" if operator == "+" else f"{operator}({left}, {right})"


def trees(kernel: CudaKernel) -> Iterator[Tree]:
    """The trees in the kernel's body."""
    for node in walk(kernel.body, "for_statement"):
        text = _BRACED.sub(r"\1\2", re.sub(r"\s+", "", _INTEGER.sub("int", kernel.source.of(node))))
        up, down = _ASCENDING.fullmatch(text), _DESCENDING.fullmatch(text)
        match = up or down
        if match is not None:
            found = match.groupdict()
            thread, array = (_first(found, names) for names in (("t", "u", "v"), ("s", "w")))
            name = _first(found, ("sf", "wf"))
            operator = _FUNCTIONS.get(name, name) or "+"
            kind = re.search(rf"\b([\w ]*\w)\s+{array}\s*\[", kernel.source.text)
            element = kind[1].split()[-1] if kind else "float"
            if operator == "+" or element == "float":
                yield Tree(array, thread, match[1], found["block"], down is not None, operator, element, node)


def _first(found: dict[str, str | None], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := found.get(name))), "")
