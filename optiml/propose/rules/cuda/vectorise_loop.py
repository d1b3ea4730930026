"""Let each step of a strided loop handle four consecutive elements with one access.

Precondition: a loop `for (i = first; i < stop; i += step)` that a warp or a block shares (first is the lane, the
thread or the global index, step their number), with loads and stores of arguments at `base + i`; an argument that it
accesses so it accesses nowhere else. Elements up to a multiple of four are taken so if every base is a multiple of
four, the others one by one. Conditions are allowed where nothing is stored so.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     for (int i = threadIdx.x; i < n; i += blockDim.x) y[blockIdx.x * n + i] = 2.0f * x[blockIdx.x * n + i];
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    {
        int whole = (blockIdx.x * n) % 4 == 0 ? (n) / 4 * 4 : 0;
        for (int i = 4 * (threadIdx.x); i < whole; i += 4 * (blockDim.x)) {
            float4 v0; float4 v1 = *reinterpret_cast<const float4*>(&x[blockIdx.x * n + i]);
            v0.x = 2.0f * v1.x;
            v0.y = 2.0f * v1.y;
            v0.z = 2.0f * v1.z;
            v0.w = 2.0f * v1.w;
            *reinterpret_cast<float4*>(&y[blockIdx.x * n + i]) = v0;
        }
        for (int i = whole + threadIdx.x; i < n; i += blockDim.x) y[blockIdx.x * n + i] = 2.0f * x[blockIdx.x * n + i];
    }
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import GLOBAL_INDEX, Loop, declared, loops, statements, subscript
from optiml.propose.rules.rewrite import Rewrite

_FORBIDDEN = ("for_statement", "while_statement", "continue_statement", "break_statement", "return_statement")
_SHARED = {
    "threadIdx.x%32": ("32",),
    "threadIdx.x": ("blockDim.x",),
    GLOBAL_INDEX: ("gridDim.x*blockDim.x", "blockDim.x*gridDim.x"),
}
_VECTORS = {
    "float": "float4", "int": "int4", "unsigned": "uint4", "unsigned int": "uint4", "unsigned char": "uchar4",
    "uint8_t": "uchar4", "uint32_t": "uint4", "int32_t": "int4", "char": "char4", "short": "short4",
}  # fmt: skip
_LOOP = """\
{{
        int {whole} = {aligned} ? ({stop}) / 4 * 4 : 0;
        for (int {i} = 4 * ({start}); {i} < {whole}; {i} += 4 * ({step})) {{
            {loads}
            {elements}
            {stores}
        }}
        for (int {i} = {whole} + {start}; {i} < {stop}; {i} += {step}) {body}
    }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    found = ((number, loop, _vectorised(kernel, loop)) for number, loop in enumerate(loops(kernel.source, kernel.body)))
    changes = [(loop.node, new) for _, loop, new in found if new is not None]
    if changes:
        yield Rewrite(f"{len(changes)}", kernel.source.replaced(*changes))


def _vectorised(kernel: CudaKernel, loop: Loop) -> str | None:
    if not _is_shared(kernel, loop) or any(walk(loop.body, *_FORBIDDEN)):
        return None
    accesses = _accesses(kernel, loop)
    has_conditions = any(walk(loop.body, "if_statement", "conditional_expression"))
    if not accesses or (has_conditions and any(is_store for _, _, is_store in accesses)):
        return None
    i, whole = loop.var, kernel.fresh("whole")
    keys = dict.fromkeys(kernel.source.of(n) for n, _, _ in accesses)
    vectors = {key: kernel.fresh(f"v{n}") for n, key in enumerate(keys)}
    bases = dict.fromkeys(base for _, base, _ in accesses if base)
    stored = {kernel.source.of(n) for n, _, is_store in accesses if is_store}
    read = {kernel.source.of(n) for n, _, is_store in accesses if not is_store or not _is_overwritten(kernel, n)}
    kinds = {kernel.source.of(n): _vector(kernel, n) for n, _, _ in accesses}
    loads = [
        f"{kinds[key]} {v} = *reinterpret_cast<const {kinds[key]}*>(&{key});" if key in read else f"{kinds[key]} {v};"
        for key, v in vectors.items()
    ]
    stores = [f"*reinterpret_cast<{kinds[key]}*>(&{key}) = {vectors[key]};" for key in keys if key in stored]
    return _LOOP.format(
        i=i, whole=whole, start=loop.start, stop=loop.stop, step=loop.step, body=kernel.source.of(loop.body),
        aligned=" && ".join(f"({base}) % 4 == 0" for base in bases) or "true",
        loads=" ".join(loads),
        elements="\n            ".join(_element(kernel, loop, accesses, vectors, f, n) for n, f in enumerate("xyzw")),
        stores=" ".join(stores),
    )  # fmt: skip


def _element(
    kernel: CudaKernel, loop: Loop, accesses: list[tuple[Node, str, bool]], vectors: dict[str, str], field: str, n: int
) -> str:
    """The body for one of four elements, its accesses replaced by parts of vectors."""
    changes = [(a.start_byte, a.end_byte, f"{vectors[kernel.source.of(a)]}.{field}") for a, _, _ in accesses]
    inside = [(a.start_byte, a.end_byte) for a, _, _ in accesses]
    for use in walk(loop.body, "identifier"):
        is_covered = any(first <= use.start_byte < last for first, last in inside)
        if kernel.source.of(use) == loop.var and not is_covered:
            changes.append((use.start_byte, use.end_byte, f"({loop.var} + {n})"))
    nodes = statements(loop.body)
    text = kernel.source.spliced_within(nodes[0].start_byte, nodes[-1].end_byte, tuple(changes))
    return f"{{ {text} }}" if any(n.type == "declaration" for n in nodes) else text


def _accesses(kernel: CudaKernel, loop: Loop) -> list[tuple[Node, str, bool]]:
    """(node, base, whether it is stored to) of each subscript at base + i; empty where an array has others too."""
    found, others = [], set()
    for node in walk(loop.body, "subscript_expression"):
        place = subscript(kernel.source, node)
        base = _base(kernel, place[1][0], loop.var) if place is not None and len(place[1]) == 1 else None
        if base is None or _vector(kernel, node) is None:
            others.add(kernel.source.of(node.children[0]))
            continue
        parent = node.parent
        is_store = parent is not None and parent.type == "assignment_expression" and parent.children[0] == node
        is_changed = parent is not None and parent.type in ("update_expression", "pointer_expression")
        if is_changed:
            return []
        found.append((node, base, is_store))
    return [] if others & {kernel.source.of(n.children[0]) for n, _, _ in found} else found


def _vector(kernel: CudaKernel, access: Node) -> str | None:
    """The type of four elements of the argument that is accessed."""
    pointer = kernel.pointers.get(kernel.source.of(access.children[0]))
    return _VECTORS.get(" ".join(pointer.type.split())) if pointer is not None else None


def _is_overwritten(kernel: CudaKernel, store: Node) -> bool:
    return store.parent is not None and kernel.source.of(store.parent.children[1]) == "="


def _base(kernel: CudaKernel, index: Node, var: str) -> str | None:
    """The text b of `b + var`; empty for `var` alone, None for anything else."""
    if kernel.source.of(index) == var:
        return ""
    if index.type != "binary_expression" or kernel.source.of(index.children[1]) != "+":
        return None
    left, right = index.children[0], index.children[2]
    is_plain = kernel.source.of(right) == var and var not in kernel.source.names(left)
    return kernel.source.of(left) if is_plain else None


def _is_shared(kernel: CudaKernel, loop: Loop) -> bool:
    first, step = (_resolved(kernel, text) for text in (loop.start, loop.step))
    block = kernel.unit.block()
    if first == "threadIdx.x" and block is not None and kernel.constant(step) == block[0] and block[1:] == (1, 1):
        return True
    return step in _SHARED.get(first, ())


def _resolved(kernel: CudaKernel, text: str) -> str:
    """An expression, or what the variable that it names was declared as, without spaces and outer parentheses."""
    known = dict(d for n in walk(kernel.body, "declaration") if (d := declared(kernel.source, n)))
    return re.sub(r"\s+", "", known.get(text, text))


RULE = CudaRule(
    "vectorise-loop",
    frozenset({"issue", "l1", "latency", "dram"}),
    "One wide access replaces four: fewer instructions, more bytes in flight.",
    _find,
)
