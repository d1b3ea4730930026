"""The statements of a Triton loop in the order in which a schedule issues them, as far as their dependences allow.

>>> kernel = '''
... def f(p, n):
...     for i in tl.range(0, n):
...         a = tl.load(p)
...         x = tl.exp(a)
...         # the other tile
...         b = tl.load(p + 1)
...         s = x + b
... '''
>>> loop = ast.parse(kernel).body[0].body[0]
>>> print(reordered(kernel, loop, {4: 0, 5: 400, 7: 10, 8: 800}))
<BLANKLINE>
def f(p, n):
    for i in tl.range(0, n):
        a = tl.load(p)
        # the other tile
        b = tl.load(p + 1)
        x = tl.exp(a)
        s = x + b
<BLANKLINE>
"""

from __future__ import annotations

import ast
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

_LEAVES = (ast.Break, ast.Continue, ast.Return, ast.Yield)
# Functions of triton.language, and methods, that only read memory; those that compute alone are not told apart.
_READS = ("load", "descriptor_load", "gather")
_PURE_MODULES = ("tl", "tl.math", "libdevice", "triton.language")
_WRITES = ("store", "atomic", "assert", "print", "barrier", "debug", "inline_asm", "scatter", "reduce_add")


@dataclass(frozen=True)
class Effects:
    """Names that a statement reads and writes, and whether it touches memory."""

    reads: frozenset[str]
    writes: frozenset[str]
    loads: bool
    stores: bool

    def precedes(self, later: Effects) -> bool:
        """Whether a later statement must stay behind this one."""
        names = self.writes & (later.reads | later.writes) or self.reads & later.writes
        memory = (self.stores and (later.loads or later.stores)) or (self.loads and later.stores)
        return bool(names) or memory


def reordered(text: str, loop: ast.For, issue_cycles: Mapping[int, int]) -> str | None:
    """The text with the statements of a loop in order of issue; comments stay with the statement below them.

    issue_cycles: by line, when its operations are issued first. None where nothing moves, or statements share a line or
    leave the loop.
    """
    lines, header = text.splitlines(keepends=True), loop.iter.end_lineno or loop.lineno
    ends = [header, *(s.end_lineno or s.lineno for s in loop.body)]
    starts = [s.lineno for s in loop.body]
    apart = all(end < start for end, start in zip(ends, starts, strict=False))
    if not apart or any(isinstance(n, _LEAVES) for s in loop.body for n in ast.walk(s)):
        return None
    order = list(_order(loop.body, issue_cycles, ast.parse(text)))
    if order == sorted(order):
        return None
    blocks = ["".join(lines[first:last]) for first, last in pairwise(ends)]
    return "".join([*lines[: ends[0]], *(blocks[i] for i in order), *lines[ends[-1] :]])


def _order(body: Sequence[ast.stmt], issue_cycles: Mapping[int, int], tree: ast.Module) -> Iterator[int]:
    """Indices of statements: of those that may come next, always the one that is issued first."""
    effects = [effects_of(s, tree) for s in body]
    count = len(body)
    after = {i: [j for j in range(i + 1, count) if effects[i].precedes(effects[j])] for i in range(count)}
    waits = {j: sum(j in later for later in after.values()) for j in range(count)}
    times = _times(body, issue_cycles, after)
    ready = [(times[i], i) for i in range(count) if not waits[i]]
    heapq.heapify(ready)
    while ready:
        _, here = heapq.heappop(ready)
        yield here
        for later in after[here]:
            waits[later] -= 1
            if not waits[later]:
                heapq.heappush(ready, (times[later], later))


def _times(
    body: Sequence[ast.stmt], issue_cycles: Mapping[int, int], after: Mapping[int, Sequence[int]]
) -> list[float]:
    """When each is issued; one that issues nothing is wanted when the first that needs it is, or at the end."""
    times: list[float] = [inf] * len(body)
    for i in reversed(range(len(body))):
        own = [issue_cycles[n] for n in _lines(body[i]) if n in issue_cycles]
        times[i] = min(own, default=inf) if own else min((times[j] for j in after[i]), default=inf)
    return times


def _lines(statement: ast.stmt) -> range:
    return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def effects_of(node: ast.AST, tree: ast.Module) -> Effects:
    """What a statement does. A call of a function of the same file does what its body does, any other may do all."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    writes = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    changed = {n.target.id for n in ast.walk(node) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
    kept = writes if isinstance(node, ast.If | ast.For | ast.While) else set()
    reads = {n.id for n in names if isinstance(n.ctx, ast.Load)} | changed | kept
    kinds = {_kind(call, tree) for call in ast.walk(node) if isinstance(call, ast.Call)}
    return Effects(frozenset(reads), frozenset(writes), "loads" in kinds, "stores" in kinds)


def _kind(call: ast.Call, tree: ast.Module) -> str:
    """`stores` for a call that may write memory, `loads` for one that only reads it, empty for one that does neither"""
    module, _, name = ast.unparse(call.func).rpartition(".")
    if any(word in name for word in _WRITES):
        return "stores"
    if name in _READS:
        return "loads"
    if module:
        is_method = module not in _PURE_MODULES and "." not in module
        return "" if module in _PURE_MODULES or is_method or name == "to" else "stores"
    defined = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    if not defined:
        return "" if name in ("min", "max", "range", "float", "int", "len") else "stores"
    inner = effects_of(ast.Module(defined[0].body, []), tree)
    return "stores" if inner.stores else "loads" if inner.loads else ""
