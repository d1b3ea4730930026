"""What a kernel is like: counts of its loops, accesses, operations and types, and the cosine of two kernels' counts.

Taken from the syntax tree of the entry and of the functions of the file that it calls: the shape of its loop nests,
reads and writes of global and of shared memory, operators, functions called, and the types of the task's tensors.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from math import log1p, sqrt
from typing import TYPE_CHECKING

from optiml.candidate import Candidate, settings

if TYPE_CHECKING:
    from tree_sitter import Node

    from ir.task import Task
    from optiml.cuda_source import Source

# What kernels have in common whatever they do, operators above all, tells least. This project's choice.
_WEIGHTS = {"loops": 2.0, "call": 1.5, "declares": 1.5, "read": 1.0, "write": 1.0, "dtype": 1.0, "op": 0.5}
_CUDA_LOOPS = ("for_statement", "while_statement", "do_statement")
_CUDA_WRITES = ("assignment_expression", "update_expression")
_PYTHON_LOOPS = (ast.For, ast.While)


def features(candidate: Candidate, task: Task) -> Mapping[str, float]:
    """Name -> weighted logarithm of one more than its count; the prefix of a name says what is counted."""
    entry = str(settings(candidate, task)["entry"]).partition("<")[0]
    counts = Counter(f"dtype:{a.role}:{a.dtype}" for a in task.arguments if a.kind != "scalar")
    counts.update(_of_cuda(candidate.source, entry) if candidate.language == "cuda" else _of_python(candidate, entry))
    return {name: _WEIGHTS[name.partition(":")[0]] * log1p(count) for name, count in sorted(counts.items())}


def likeness(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The cosine, from 0 to 1.

    >>> likeness({"a": 1.0, "b": 1.0}, {"a": 1.0}), likeness({}, {"a": 1.0})
    (0.7071, 0.0)
    """
    product = sum(value * other.get(name, 0.0) for name, value in one.items())
    lengths = sqrt(sum(v * v for v in one.values()) * sum(v * v for v in other.values()))
    return round(product / lengths, 4) if lengths else 0.0


def _of_cuda(text: str, entry: str) -> Iterator[str]:
    from optiml.cuda_source import Source, unqualified, walk

    source = Source.parse(text)
    functions = {unqualified(source.function_name(f)): f for f in walk(source.root, "function_definition")}
    chosen = _reached(unqualified(entry), {name: source.names(f) for name, f in functions.items()})
    roots = [functions[name] for name in chosen] or [source.root]
    pointers = {source.of(p).rpartition("*")[2].split()[-1] for r in roots for p in _cuda_pointers(source, r)}
    for root in roots:
        yield from (f"loops:{shape}" for shape in _cuda_nests(root))
        for node in walk(root):
            yield from _cuda_node(source, node, pointers, functions)


def _cuda_pointers(source: Source, function: Node) -> Iterator[Node]:
    from optiml.cuda_source import walk

    return (p for p in walk(function, "parameter_declaration") if "*" in source.of(p))


def _cuda_nests(root: Node) -> Iterator[str]:
    """The outermost loops, each with what is nested in it."""
    for child in root.children:
        inner = list(_cuda_nests(child))
        if child.type in _CUDA_LOOPS:
            yield f"({''.join(inner)})"
        else:
            yield from inner


def _cuda_node(source: Source, node: Node, pointers: set[str], functions: Mapping[str, Node]) -> Iterator[str]:
    from optiml.cuda_source import unqualified

    if node.type in ("binary_expression", *_CUDA_WRITES):
        yield f"op:{source.of(node.child_by_field_name('operator'))}"
    elif node.type == "call_expression":
        name = unqualified(source.of(node.child_by_field_name("function")))
        if name not in functions:
            yield f"call:{name}"
    elif node.type == "subscript_expression" and node.parent is not None and node.parent.type != node.type:
        base = source.of(node).partition("[")[0]
        yield f"{'write' if _is_written(node) else 'read'}:{'global' if base in pointers else 'array'}"
    elif node.type == "__shared__":
        yield "declares:shared"


def _is_written(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type in _CUDA_WRITES and parent.children[0] == node


def _of_python(candidate: Candidate, entry: str) -> Iterator[str]:
    try:
        tree = ast.parse(candidate.source)
    except (SyntaxError, ValueError):
        return
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    names = {name: frozenset(n.id for n in ast.walk(f) if isinstance(n, ast.Name)) for name, f in functions.items()}
    for name in _reached(entry, names):
        yield from (f"loops:{shape}" for shape in _python_nests(functions[name]))
        for node in ast.walk(functions[name]):
            yield from _python_node(node, functions)


def _python_nests(root: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(root):
        inner = list(_python_nests(child))
        if isinstance(child, _PYTHON_LOOPS):
            yield f"({''.join(inner)})"
        else:
            yield from inner


def _python_node(node: ast.AST, functions: Mapping[str, ast.FunctionDef]) -> Iterator[str]:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        yield f"op:{type(node.op).__name__}"
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name not in functions:
            yield f"call:{name.rpartition('.')[2]}"


def _reached(entry: str, names: Mapping[str, frozenset[str]]) -> list[str]:
    """The entry and the functions that it mentions, and they, sorted; none where there is no such entry."""
    found, left = set[str](), [entry]
    while left:
        name = left.pop()
        if name in names and name not in found:
            found.add(name)
            left += names[name] & names.keys()
    return sorted(found)
