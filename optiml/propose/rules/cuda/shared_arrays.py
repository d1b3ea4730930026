"""Arrays in shared memory with constant extents, and every place where the kernel uses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel
from optiml.propose.rules.cuda.loops import subscript


@dataclass(frozen=True)
class SharedArray:
    """Extents outermost first; `uses` are full subscripts, None where one is not (a pointer into it, `sizeof`)."""

    name: str
    type: str
    extents: tuple[Node, ...] = field(repr=False)
    uses: tuple[Node, ...] | None = field(repr=False)
    declaration: Node = field(repr=False)


def shared_arrays(kernel: CudaKernel) -> Iterator[SharedArray]:
    """The arrays that the kernel's body declares, one for each declaration."""
    for declaration in walk(kernel.body, "declaration"):
        declarators = [n for n in declaration.children if n.type == "array_declarator"]
        if "__shared__" in kernel.source.of(declaration).split("[")[0] and len(declarators) == 1:
            yield _array(kernel, declaration, declarators[0])


def _array(kernel: CudaKernel, declaration: Node, declarator: Node) -> SharedArray:
    extents: list[Node] = []
    while declarator.type == "array_declarator":
        size, inner = declarator.child_by_field_name("size"), declarator.child_by_field_name("declarator")
        extents = [size, *extents] if size is not None else extents
        assert inner is not None, "an array declarator has a declarator"
        declarator = inner
    name, kind = kernel.source.of(declarator), kernel.source.of(declaration.child_by_field_name("type"))
    return SharedArray(name, kind, tuple(extents), _uses(kernel, name, declarator, len(extents)), declaration)


def _uses(kernel: CudaKernel, name: str, declarator: Node, rank: int) -> tuple[Node, ...] | None:
    found = []
    for node in walk(kernel.body, "identifier"):
        if kernel.source.of(node) != name or node == declarator:
            continue
        whole = node
        while (
            whole.parent is not None
            and whole.parent.type == "subscript_expression"
            and whole.parent.children[0] == whole
        ):
            whole = whole.parent
        place = subscript(kernel.source, whole)
        if place is None or len(place[1]) != rank:
            return None
        found.append(whole)
    return tuple(found)
