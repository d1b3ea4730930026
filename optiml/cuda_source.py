"""CUDA C++ as a syntax tree: parse, walk, and replace pieces of the text at their nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

import tree_sitter_cuda
from tree_sitter import Language, Node, Parser

# The grammar knows only the standard's word; both have the same length, so that places stay what they are.
_ALIGN = b"__align__", b"alignas  "


def unqualified(name: str) -> str:
    """A function's own name.

    >>> unqualified("ns::f<ns::T, 2>")
    'f'
    """
    return name.partition("<")[0].rpartition("::")[2].strip()


@dataclass(frozen=True)
class Source:
    """A text with its tree; places in the tree count bytes of `data`."""

    text: str
    data: bytes = field(repr=False)
    root: Node = field(repr=False)

    @staticmethod
    def parse(text: str) -> Source:
        """Any text has a tree; `root.has_error` says that it is not C++ as the grammar knows it."""
        data = text.encode()
        return Source(text, data, _parser().parse(data.replace(*_ALIGN)).root_node)

    def of(self, node: Node | None) -> str:
        """The text of a node; empty for none."""
        return self.data[node.start_byte : node.end_byte].decode() if node is not None else ""

    def between(self, start: int, end: int) -> str:
        """The text between two byte offsets."""
        return self.data[start:end].decode()

    def replaced(self, *changes: tuple[Node, str]) -> str:
        """The whole text with the texts of disjoint nodes replaced."""
        return self.spliced(*((node.start_byte, node.end_byte, new) for node, new in changes))

    def spliced(self, *changes: tuple[int, int, str]) -> str:
        """The whole text with disjoint ranges of bytes replaced; equal places keep their order."""
        return self.spliced_within(0, len(self.data), changes)

    def spliced_within(self, start: int, end: int, changes: tuple[tuple[int, int, str], ...]) -> str:
        """The text from `start` to `end` with the changes that lie in it."""
        parts, at = [], start
        for first, last, new in sorted(changes, key=lambda c: c[:2]):
            parts += [self.between(at, first), new]
            at = last
        return "".join([*parts, self.between(at, end)])

    def substituted(self, node: Node, names: Mapping[str, str]) -> str:
        """The text of a node with variables replaced by texts.

        >>> source = Source.parse("int y = x.x + f(x);")
        >>> source.substituted(source.root, {"x": "z"})
        'int y = z.x + f(z);'
        """
        found = [n for n in walk(node, "identifier") if self.of(n) in names]
        changes = tuple((n.start_byte, n.end_byte, names[self.of(n)]) for n in found)
        return self.spliced_within(node.start_byte, node.end_byte, changes)

    def names(self, node: Node | None) -> frozenset[str]:
        """The variables and functions that a node mentions; `threadIdx.x` counts as threadIdx and threadIdx.x."""
        if node is None:
            return frozenset()
        fields = {self.of(n) for n in walk(node, "field_expression")}
        return frozenset(self.of(n) for n in walk(node, "identifier")) | fields

    def function_name(self, function: Node) -> str:
        """What a function definition declares; empty where that cannot be told."""
        declarator = next(walk(function, "function_declarator"), None)
        return self.of(declarator.child_by_field_name("declarator")) if declarator is not None else ""

    def function(self, name: str) -> Node | None:
        """The definition of a function; namespaces and template arguments in its name do not count.

        >>> Source.parse("namespace a { void f() {} }").function("a::f<2>") is not None
        True
        """
        short = unqualified(name)
        found = walk(self.root, "function_definition")
        return next((n for n in found if unqualified(self.function_name(n)) == short), None)

    def normalised(self) -> str:
        """Its tokens, without comments and layout.

        >>> Source.parse("int  x; // here").normalised() == Source.parse("int x ;").normalised()
        True
        """
        leaves = (n for n in walk(self.root) if not n.child_count and n.type != "comment")
        return " ".join(" ".join(self.of(n).split()) for n in leaves)


def walk(node: Node, *types: str) -> Iterator[Node]:
    """The node and all below it, in order of the text, but those inside comments; of these types if any are given."""
    stack = [node]
    while stack:
        here = stack.pop()
        if not types or here.type in types:
            yield here
        if here.type != "comment":
            stack.extend(reversed(here.children))


def named(node: Node) -> list[Node]:
    """The named children without comments."""
    return [n for n in node.named_children if n.type != "comment"]


def above(node: Node, *types: str) -> Node | None:
    """The nearest node around it of one of these types."""
    found = node.parent
    while found is not None and found.type not in types:
        found = found.parent
    return found


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_cuda.language()))
