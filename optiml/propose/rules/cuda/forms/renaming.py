"""A name for each variable: where a block declares what another one has declared before, it gets a number."""

from __future__ import annotations

from tree_sitter import Node

from optiml.cuda_source import Source, walk
from optiml.propose.rules.cuda.forms.variables import unused

_PLAIN = ("identifier", "pointer_declarator")


def renamed(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first such declaration; variables in the heads of loops keep their names.

    >>> source = Source.parse("void f(int n) { { int i = n; g(i); } { int i = 2; g(i); } }")
    >>> source.spliced(*renamed(source, next(walk(source.root, "function_definition"))))
    'void f(int n) { { int i = n; g(i); } { int i_2 = 2; g(i_2); } }'
    """
    names = {source.of(n) for n in walk(function, "identifier")}
    seen = set[str]()
    for node in walk(function, "declaration"):
        for declared in _declared(node):
            name, block = source.of(declared), node.parent
            if name in seen and block is not None and block.type == "compound_statement":
                changes = _changes(source, block, declared, unused(name, names))
                if changes:
                    return changes
            seen.add(name)
    return []


def _declared(node: Node) -> list[Node]:
    """The names that a declaration of plain variables and pointers declares."""
    found = []
    for child in node.children:
        declarator = child.child_by_field_name("declarator") if child.type == "init_declarator" else child
        if declarator is not None and declarator.type in _PLAIN:
            found += list(walk(declarator, "identifier"))[:1]
    return found


def _changes(source: Source, block: Node, declared: Node, new: str) -> list[tuple[int, int, str]]:
    """The name in what is left of the block; none where a block or a loop within declares it once more."""
    name = source.of(declared)
    again = [n for d in walk(block, "declaration") for n in _declared(d) if source.of(n) == name and n != declared]
    if again:
        return []
    uses = [n for n in walk(block, "identifier") if source.of(n) == name and n.start_byte >= declared.start_byte]
    return [(n.start_byte, n.end_byte, new) for n in uses]
