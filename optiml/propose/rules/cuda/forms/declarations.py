"""One declaration for each variable: `int i = 0, j = 1;` becomes `int i = 0; int j = 1;`."""

from __future__ import annotations

from tree_sitter import Node

from optiml.cuda_source import Source, walk


def separated(source: Source, function: Node) -> list[tuple[int, int, str]]:
    """Changes for the first declaration of several plain variables, in a block.

    >>> source = Source.parse("void f() { const int i = 0, j = 1; }")
    >>> source.spliced(*separated(source, next(walk(source.root, "function_definition"))))
    'void f() { const int i = 0; const int j = 1; }'
    """
    for node in walk(function, "declaration"):
        parts = [n for n in node.children if n.type in ("identifier", "init_declarator")]
        is_plain = all(n.type == "identifier" or _is_plain(n) for n in parts)
        others = {n.type for n in node.children} & {"pointer_declarator", "array_declarator", "function_declarator"}
        if len(parts) > 1 and is_plain and not others and _is_in_block(node):
            kind = source.between(node.start_byte, parts[0].start_byte).strip()
            return [(node.start_byte, node.end_byte, " ".join(f"{kind} {source.of(n)};" for n in parts))]
    return []


def _is_plain(init: Node) -> bool:
    declarator = init.child_by_field_name("declarator")
    return declarator is not None and declarator.type == "identifier"


def _is_in_block(node: Node) -> bool:
    return node.parent is not None and node.parent.type == "compound_statement"
