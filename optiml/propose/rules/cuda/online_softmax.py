"""Find a row's maximum and its sum of exponentials in one pass: the sum so far is rescaled whenever the maximum grows.

Precondition: two loops with equal headers, of which one only does `largest = fmaxf(largest, score)` and the other
`sum += expf(score - largest)` with the same score; the maximum merged by shuffles in between, and the sum after it, or
neither. The recurrence: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int row = threadIdx.x;
...     float largest = -1e30f;
...     for (int i = 0; i < n; ++i) largest = fmaxf(largest, x[row * n + i]);
...     float sum = 0.0f;
...     for (int i = 0; i < n; ++i) sum += expf(x[row * n + i] - largest);
...     y[row] = sum;
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    int row = threadIdx.x;
    float largest = -1e30f;
    float sum = 0.0f;
    for (int i = 0; i < n; ++i) {
        float score = x[row * n + i];
        float larger = fmaxf(largest, score);
        sum = largest == larger ? sum : sum * expf(largest - larger);
        sum += score == larger ? 1.0f : expf(score - larger);
        largest = larger;
    }
    y[row] = sum;
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, assignment, declared, loop_of, statements
from optiml.propose.rules.rewrite import Rewrite

_MAXIMUM = re.compile(r"(\w+)=fmaxf\(\1,(.+)\)")
_SUM = re.compile(r"(\w+)\+=(?:__)?(exp2?f)\((.+)-(\w+)\)")
_MERGE = re.compile(
    r"for\(int(\w+)=16;\1>0;\1/=2\)(\w+)="
    r"(?:fmaxf\(\2,__shfl_xor_sync\(\w+,\2,\1\)\)|\2\+__shfl_xor_sync\(\w+,\2,\1\));"
)
_LOOP = """\
float {sum} = 0.0f;
    {header} {{
        float {score} = {value};
        float {larger} = fmaxf({largest}, {score});
        {sum} = {largest} == {larger} ? {sum} : {sum} * {exp}({largest} - {larger});
        {sum} += {score} == {larger} ? 1.0f : {exp}({score} - {larger});
        {largest} = {larger};
    }}"""
_SHUFFLES = """
    for (int {d} = 16; {d} > 0; {d} /= 2) {{
        float {score} = __shfl_xor_sync(0xffffffffu, {largest}, {d});
        float {other} = __shfl_xor_sync(0xffffffffu, {sum}, {d});
        float {larger} = fmaxf({largest}, {score});
        {sum} = {largest} == {larger} ? {sum} : {sum} * {exp}({largest} - {larger});
        {sum} += {score} == {larger} ? {other} : {other} * {exp}({score} - {larger});
        {largest} = {larger};
    }}"""


@dataclass(frozen=True)
class _Passes:
    """The statements from the loop for the maximum to what merges the sum."""

    nodes: list[Node]
    maximum: Loop
    names: dict[str, str]
    is_merged: bool


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    for block in walk(kernel.body, "compound_statement"):
        nodes = statements(block)
        for start in range(len(nodes)):
            found = _passes(kernel, nodes[start:])
            if found is not None:
                text = _fused(kernel, found)
                yield Rewrite(
                    f"{start}", kernel.source.spliced((nodes[start].start_byte, found.nodes[-1].end_byte, text))
                )


def _passes(kernel: CudaKernel, nodes: list[Node]) -> _Passes | None:
    loop = loop_of(kernel.source, nodes[0])
    maximum = _MAXIMUM.fullmatch(_only(kernel, loop)) if loop is not None else None
    if loop is None or maximum is None:
        return None
    at = 1
    is_merged = _merges(kernel, nodes, at, maximum[1])
    at += is_merged
    start = declared(kernel.source, nodes[at]) if at + 1 < len(nodes) else None
    second = loop_of(kernel.source, nodes[at + 1]) if start is not None else None
    total = _SUM.fullmatch(_only(kernel, second)) if second is not None else None
    if start is None or second is None or total is None or total[1] != start[0] or start[1] not in ("0", "0.0f", "0.f"):
        return None
    is_same = _header(loop) == _header(second) and total[3] == maximum[2] and total[4] == maximum[1]
    if not is_same or _merges(kernel, nodes, at + 2, start[0]) != is_merged:
        return None
    names = {"largest": maximum[1], "sum": total[1], "exp": total[2], "value": _value(kernel, loop)}
    return _Passes(nodes[: at + 2 + is_merged], loop, names, is_merged)


def _only(kernel: CudaKernel, loop: Loop | None) -> str:
    body = statements(loop.body) if loop is not None else []
    return re.sub(r"[\s;]", "", kernel.source.of(body[0])) if len(body) == 1 else ""


def _value(kernel: CudaKernel, loop: Loop) -> str:
    update = assignment(kernel.source, statements(loop.body)[0])
    assert update is not None, "matched as an assignment"
    return kernel.source.of(update[2]).partition(",")[2].strip()[:-1]


def _header(loop: Loop) -> tuple[str, str, str, str]:
    return loop.var, loop.start, loop.stop, loop.step


def _merges(kernel: CudaKernel, nodes: list[Node], at: int, name: str) -> bool:
    text = re.sub(r"\s", "", kernel.source.of(nodes[at])) if at < len(nodes) else ""
    match = _MERGE.fullmatch(text)
    return match is not None and match[2] == name


def _fused(kernel: CudaKernel, found: _Passes) -> str:
    loop = found.maximum
    header = kernel.source.between(loop.node.start_byte, loop.body.start_byte).strip()
    local = {name: kernel.fresh(name) for name in ("score", "larger", "other", "d")}
    parts = _LOOP + (_SHUFFLES if found.is_merged else "")
    return parts.format(header=header, **found.names, **local)


RULE = CudaRule(
    "online-softmax",
    frozenset({"dram", "l2", "l1", "latency"}),
    "Maximum and sum of exponentials come out of one pass over the row: it is read once less.",
    _find,
)
