"""Split a loop whose tiles are masked at its end into whole tiles without the mask, and the rest with it.

Precondition: `for start in tl.range(0, bound, STEP)` with comparisons `start + ... < bound` that are a factor of a mask
(`mask & (start + offs < bound)`), or a mask by themselves.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
...     offs = tl.arange(0, BLOCK)
...     acc = tl.zeros([BLOCK], tl.float32)
...     for start in tl.range(0, n, BLOCK):
...         acc += tl.load(x_ptr + start + offs, mask=start + offs < n, other=0.0)
...     tl.store(y_ptr, tl.sum(acc))
... ''', "in:x_ptr out:y_ptr n", language="triton", constants_BLOCK=256)
def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    acc = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, (n) // BLOCK * BLOCK, BLOCK):
        acc += tl.load(x_ptr + start + offs)
    for start in tl.range((n) // BLOCK * BLOCK, n, BLOCK):
        acc += tl.load(x_ptr + start + offs, mask=start + offs < n, other=0.0)
    tl.store(y_ptr, tl.sum(acc))
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_RANGE_ARGUMENTS = 3


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    for number, loop in enumerate(kernel.loops()):
        assert isinstance(loop.iter, ast.Call), "a loop over a range"
        given = [kernel.of_node(a) for a in loop.iter.args]
        if len(given) != _RANGE_ARGUMENTS or given[0] != "0" or not isinstance(loop.target, ast.Name):
            continue
        changes = list(_unmasked(kernel, loop, loop.target.id, given[1]))
        if changes:
            yield Rewrite(f"{number}", _split(kernel, loop, given[1], given[2], changes))


def _split(kernel: TritonKernel, loop: ast.For, bound: str, step: str, changes: list[tuple[int, int, str]]) -> str:
    assert isinstance(loop.iter, ast.Call), "a loop over a range"
    first, last = kernel.span(loop)
    whole = f"({bound}) // {step} * {step}"
    start, stop, _ = loop.iter.args
    indent = " " * loop.col_offset
    rest = _within(kernel, first, last, [(*kernel.span(start), whole)])
    unmasked = _within(kernel, first, last, [(*kernel.span(stop), whole), *changes])
    return kernel.spliced((first, last, f"{unmasked}\n{indent}{rest}"))


def _within(kernel: TritonKernel, first: int, last: int, changes: list[tuple[int, int, str]]) -> str:
    changed = kernel.spliced(*changes).encode()
    tail = len(kernel.text.encode()) - last
    return changed[first : len(changed) - tail].decode()


def _unmasked(kernel: TritonKernel, loop: ast.For, var: str, bound: str) -> Iterator[tuple[int, int, str]]:
    """What becomes of each comparison with the bound: `mask & comparison` is `mask`, a mask alone goes away."""
    for node in ast.walk(loop):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd) and _is_bound(node.right, var, bound):
            yield (*kernel.span(node), kernel.of_node(node.left))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tl.load":
            masks = [k for k in node.keywords if k.arg == "mask" and _is_bound(k.value, var, bound)]
            if masks:
                kept = [k for k in node.keywords if k.arg not in ("mask", "other")]
                texts = [kernel.of_node(a) for a in node.args] + [f"{k.arg}={kernel.of_node(k.value)}" for k in kept]
                yield (*kernel.span(node), f"tl.load({', '.join(texts)})")


def _is_bound(node: ast.expr, var: str, bound: str) -> bool:
    """`var + ... < bound`."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Lt):
        return False
    names = {n.id for n in ast.walk(node.left) if isinstance(n, ast.Name)}
    return var in names and ast.unparse(node.comparators[0]) == ast.unparse(ast.parse(bound, mode="eval"))


RULE = TritonRule(
    "split-loop",
    frozenset({"issue", "alu", "latency"}),
    "All tiles but the last need no mask: their loads become wider and need no predicates.",
    _find,
)
