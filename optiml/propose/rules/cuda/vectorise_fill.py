"""Fill tiles in shared memory four elements at a time: a quarter of the load instructions.

Precondition: a loop over the elements `e` of a tile whose last statement is `tile[..][..] = inside ? array[index] : 0`
in fp32, where rows of the tile are whole multiples of four elements (`e % W`, with W a literal or constexpr). Whether a
vector of four is inside, consecutive and aligned is asked at run time; where it is not, four single loads do it.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     __shared__ float tile[8][32];
...     for (int e = threadIdx.x; e < 8 * 32; e += 64) {
...         int i = blockIdx.x * 32 + e % 32;
...         tile[e / 32][e % 32] = i < n ? x[e / 32 * n + i] : 0.0f;
...     }
...     __syncthreads();
...     y[blockIdx.x * 64 + threadIdx.x] = tile[threadIdx.x % 8][threadIdx.x / 8];
... }''', "in:x out:y n", launch_block=[64])
__global__ void f(const float* x, float* y, int n) {
    __shared__ float tile[8][32];
    for (int e = 4 * (threadIdx.x); e < 8 * 32; e += 4 * (64)) {
            int i = blockIdx.x * 32 + e % 32;
            float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            bool vector = false;
            if (i < n) {
                auto at = e / 32 * n + i;
                {
                    int i = blockIdx.x * 32 + (e + 3) % 32;
                    vector = (i < n) && at % 4 == 0 && ((e + 3) / 32 * n + i) - at == 3;
                }
                if (vector) v = *reinterpret_cast<const float4*>(&x[at]);
            }
            if (!vector) {
                { int i = blockIdx.x * 32 + e % 32; if (i < n) v.x = x[e / 32 * n + i]; }
                { int i = blockIdx.x * 32 + (e + 1) % 32; if (i < n) v.y = x[(e + 1) / 32 * n + i]; }
                { int i = blockIdx.x * 32 + (e + 2) % 32; if (i < n) v.z = x[(e + 2) / 32 * n + i]; }
                { int i = blockIdx.x * 32 + (e + 3) % 32; if (i < n) v.w = x[(e + 3) / 32 * n + i]; }
            }
            tile[e / 32][e % 32] = v.x;
            tile[(e + 1) / 32][(e + 1) % 32] = v.y;
            tile[(e + 2) / 32][(e + 2) % 32] = v.z;
            tile[(e + 3) / 32][(e + 3) % 32] = v.w;
        }
    __syncthreads();
    y[blockIdx.x * 64 + threadIdx.x] = tile[threadIdx.x % 8][threadIdx.x / 8];
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import above, walk
from optiml.propose.rules.cuda.contraction import substituted
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, assignment, loops, statements, subscript
from optiml.propose.rules.rewrite import Rewrite

_WIDTH = 4
_LOOP = """\
for (int {e} = {width} * ({start}); {e} < {stop}; {e} += {width} * ({step})) {{
            {before}
            float4 {v} = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            bool {vector} = false;
            if ({inside}) {{
                auto {at} = {index};
                {{
                    {before_last}
                    {vector} = ({inside_last}) && {at} % 4 == 0 && ({index_last}) - {at} == 3;
                }}
                if ({vector}) {v} = *reinterpret_cast<const float4*>(&{array}[{at}]);
            }}
            if (!{vector}) {{
                {singles}
            }}
            {stores}
        }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    changes = [(x.node, new) for x in loops(kernel.source, kernel.body) if (new := _vectorised(kernel, x))]
    if changes:
        yield Rewrite(f"{len(changes)}", kernel.source.replaced(*changes))


def _vectorised(kernel: CudaKernel, loop: Loop) -> str | None:
    source, (*before, last) = kernel.source, statements(loop.body) or [loop.body]
    store = assignment(source, last)
    if store is None or any(n.type != "declaration" for n in before) or store[2].type != "conditional_expression":
        return None
    condition, value = (store[2].child_by_field_name(n) for n in ("condition", "consequence"))
    place = subscript(source, value) if value is not None else None
    pointer = kernel.pointers.get(place[0]) if place is not None else None
    if (
        condition is None
        or place is None
        or pointer is None
        or pointer.type != "float"
        or not _whole_rows(kernel, loop)
    ):
        return None
    texts = {"e": loop.var, "start": loop.start, "stop": loop.stop, "step": loop.step, "array": place[0]}
    declarations = " ".join(source.of(n) for n in before)
    parts = {"before": declarations, "inside": source.of(condition), "index": source.of(place[1][0])}
    target = store[0]
    local = {name: kernel.fresh(name) for name in ("v", "vector", "at")}
    stores = _stores(kernel, loop, target, local["v"])
    return _LOOP.format(
        **texts, **parts, **local, width=_WIDTH, stores=stores,
        before_last=substituted(declarations, {loop.var: f"({loop.var} + 3)"}),
        inside_last=_at(kernel, condition, loop.var, 3),
        index_last=_at(kernel, place[1][0], loop.var, 3),
        singles=_singles(parts, local["v"], place[0], loop.var),
    )  # fmt: skip


def _at(kernel: CudaKernel, node: Node, var: str, offset: int) -> str:
    return kernel.source.substituted(node, {var: f"({var} + {offset})"} if offset else {})


def _singles(parts: dict[str, str], vector: str, array: str, var: str) -> str:
    """Four guarded loads, each with the declarations for its own element."""
    made = []
    for offset, field in enumerate("xyzw"):
        shift = {var: f"({var} + {offset})"} if offset else {}
        before, inside, index = (substituted(parts[k], shift) for k in ("before", "inside", "index"))
        made.append(f"{{ {before} if ({inside}) {vector}.{field} = {array}[{index}]; }}")
    return "\n                ".join(made)


def _stores(kernel: CudaKernel, loop: Loop, target: Node, vector: str) -> str:
    """One store of four where the tile's last index is `e % W`, else four."""
    text = kernel.source.of(target)
    tile = subscript(kernel.source, target)
    is_row = tile is not None and kernel.source.of(tile[1][-1]).startswith(f"{loop.var} %")
    if is_row and tile is not None and _is_aligned(kernel, tile[0]):
        return f"*reinterpret_cast<float4*>(&{text}) = {vector};"
    stores = (f"{_at(kernel, target, loop.var, i)} = {vector}.{f};" for i, f in enumerate("xyzw"))
    return "\n            ".join(stores)


def _is_aligned(kernel: CudaKernel, tile: str) -> bool:
    """Whether the tile is declared with an alignment of 16 bytes."""
    declarations = (kernel.source.of(n) for n in walk(kernel.body, "declaration"))
    return any("__align__(16)" in d and re.search(rf"\b{tile}\[", d) for d in declarations)


def _whole_rows(kernel: CudaKernel, loop: Loop) -> bool:
    """Whether every `e % W` and `e / W` has a W that is a multiple of four, and e is used in no other way."""
    uses = [n for n in walk(loop.body, "identifier") if kernel.source.of(n) == loop.var]
    widths = set()
    for use in uses:
        parent = above(use, "binary_expression")
        text = kernel.source.of(parent) if parent is not None else ""
        match = re.fullmatch(rf".*\b{loop.var}\s*[%/]\s*(\w+)", text)
        if match is None or use.parent != parent:
            return False
        widths.add(match[1])
    values = {kernel.constant(w) for w in widths}
    return bool(values) and all(v is not None and v % _WIDTH == 0 for v in values)


RULE = CudaRule(
    "vectorise-fill",
    frozenset({"issue", "l1", "latency"}),
    "Tiles are filled with loads of 16 bytes: a quarter of the load instructions and of their latencies.",
    _find,
)
