"""Change tiles, warps and stages together, to what matrix products are often fastest with.

Precondition: a loop with `tl.dot`, and tunable tile extents that are powers of two: one that the loop's range mentions,
and one or two that it does not. A move in one of them alone is often slower: a larger tile needs more warps, a longer
pipeline smaller tiles. The values are those that public tuning tables for GEMM and attention try first.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... @triton.jit
... def f(x_ptr, y_ptr, n, BM: tl.constexpr, BN: tl.constexpr):
...     rows = tl.arange(0, BM)
...     for start in tl.range(0, n, BN):
...         tl.dot(a, tl.load(x_ptr + tl.arange(0, BN)))
... ''', "in:x_ptr out:y_ptr n", language="triton", constants_BM=64, constants_BN=32)
@triton.jit
def f(x_ptr, y_ptr, n, BM: tl.constexpr, BN: tl.constexpr):
    rows = tl.arange(0, BM)
    for start in tl.range(0, n, BN):
        tl.dot(a, tl.load(x_ptr + tl.arange(0, BN)))
// constants.BM = 128
// constants.BN = 64
// launch.num_warps = 4
// launch.num_stages = 3
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

# Extents outside of the loop's range, in the order of the parameters, then that inside; warps, stages.
_TABLES = {
    1: (((128, 64), 4, 3), ((128, 128), 8, 2), ((128, 64), 8, 3), ((64, 64), 4, 3), ((128, 32), 4, 4)),
    2: (
        ((128, 128, 64), 8, 3), ((128, 256, 64), 8, 3), ((128, 128, 32), 4, 4), ((256, 128, 64), 8, 3),
        ((128, 64, 64), 4, 4), ((64, 128, 64), 4, 4),
    ),
}  # fmt: skip


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    loops = [loop for loop in kernel.loops() if any(_is_dot(n) for n in ast.walk(loop))]
    extents = {ast.unparse(call.args[1]) for call in kernel.calls("tl.arange") if len(call.args) > 1}
    names = [name for name, value in kernel.unit.tunable.items() if name in extents and isinstance(value, int)]
    stepped = {n.id for loop in loops[:1] for n in ast.walk(loop.iter) if isinstance(n, ast.Name)}
    inside, outside = [n for n in names if n in stepped], [n for n in names if n not in stepped]
    if len(inside) != 1:
        return
    for values, warps, stages in _TABLES.get(len(outside), ()):
        chosen = {f"constants.{name}": value for name, value in zip((*outside, *inside), values, strict=True)}
        detail = f"{'x'.join(map(str, values))}/{warps}w{stages}s"
        yield Rewrite(detail, kernel.text, {**chosen, "launch.num_warps": warps, "launch.num_stages": stages})


def _is_dot(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "tl.dot"


RULE = TritonRule(
    "configuration",
    frozenset({"dram", "l2", "shared", "tensor", "occupancy", "latency", "issue", "l1", "fma", "alu"}),
    "Tiles, warps and stages depend on each other: together they can be right where each alone is not.",
    _find,
)
