"""Split a loop whose tiles are masked at its end into whole tiles without the mask, and the rest with it.

Precondition: `for start in tl.range(0, bound, STEP)` with comparisons `start + ... < bound`, or `for i in range(0,
tl.cdiv(bound, STEP))` with `... < bound - i * STEP`, that are a factor of a mask (`mask & (start + offs < bound)`), or
a mask by themselves.

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
from collections.abc import Callable, Iterator
from functools import partial

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_Test = Callable[[ast.expr], bool]


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    for number, loop in enumerate(kernel.loops()):
        whole = _whole(kernel, loop)
        changes = list(_unmasked(kernel, loop, whole[1])) if whole is not None else []
        if whole is not None and changes:
            yield Rewrite(f"{number}", _split(kernel, loop, whole[0], changes))


def _whole(kernel: TritonKernel, loop: ast.For) -> tuple[str, _Test] | None:
    """Where the whole tiles end, and what tells a comparison that holds for them."""
    assert isinstance(loop.iter, ast.Call), "a loop over a range"
    if not isinstance(loop.target, ast.Name):
        return None
    var = loop.target.id
    match [*map(kernel.of_node, loop.iter.args)], loop.iter.args:
        case ["0", bound, step], _:
            return f"({bound}) // {step} * {step}", partial(_is_bound, var=var, bound=bound)
        case ["0", _], [_, ast.Call(args=[bound_node, step_node]) as call] if ast.unparse(call.func) == "tl.cdiv":
            bound, step = kernel.of_node(bound_node), kernel.of_node(step_node)
            rest = {
                ast.unparse(ast.parse(t, mode="eval"))
                for t in (f"{bound} - {var} * {step}", f"{bound} - {step} * {var}")
            }
            return f"({bound}) // {step}", partial(_is_rest, texts=frozenset(rest))
    return None


def _split(kernel: TritonKernel, loop: ast.For, whole: str, changes: list[tuple[int, int, str]]) -> str:
    assert isinstance(loop.iter, ast.Call), "a loop over a range"
    first, last = kernel.span(loop)
    start, stop = loop.iter.args[:2]
    indent = " " * loop.col_offset
    rest = _within(kernel, first, last, [(*kernel.span(start), whole)])
    unmasked = _within(kernel, first, last, [(*kernel.span(stop), whole), *changes])
    return kernel.spliced((first, last, f"{unmasked}\n{indent}{rest}"))


def _within(kernel: TritonKernel, first: int, last: int, changes: list[tuple[int, int, str]]) -> str:
    changed = kernel.spliced(*changes).encode()
    tail = len(kernel.text.encode()) - last
    return changed[first : len(changed) - tail].decode()


def _unmasked(kernel: TritonKernel, loop: ast.For, is_bound: _Test) -> Iterator[tuple[int, int, str]]:
    """What becomes of each comparison with the bound: `mask & comparison` is `mask`, a mask alone goes away."""
    for node in ast.walk(loop):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            tests = [part for part in (node.left, node.right) if is_bound(part)]
            if len(tests) == 1:
                yield (*kernel.span(node), kernel.of_node(node.left if tests[0] is node.right else node.right))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tl.load":
            masks = [k for k in node.keywords if k.arg == "mask" and is_bound(k.value)]
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


def _is_rest(node: ast.expr, texts: frozenset[str]) -> bool:
    """`... < bound - var * step`, in one of these texts."""
    is_less = isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Lt)
    return isinstance(node, ast.Compare) and is_less and ast.unparse(node.comparators[0]) in texts


RULE = TritonRule(
    "split-loop",
    frozenset({"issue", "alu", "latency"}),
    "All tiles but the last need no mask: their loads become wider and need no predicates.",
    _find,
)
