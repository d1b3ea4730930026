"""Local variables of a function: what they are declared as, and where they are used and changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import chain, count

from tree_sitter import Node

from optiml.cuda_source import Source, above, walk
from optiml.propose.rules.cuda.loops import ASSIGNMENTS

_ATOMS = ("identifier", "number_literal", "field_expression", "subscript_expression", "call_expression")
_INTEGERS = ("int", "unsigned", "long", "short", "size_t", "uint", "uint32_t", "int32_t", "int64_t", "uint64_t", "auto")
_EFFECTS = ("call_expression", "subscript_expression", "lambda_expression", *ASSIGNMENTS)
_WORD = "type_qualifier"


@dataclass(frozen=True)
class Variable:
    """`TYPE name = value;`, the only declaration of its name. type: without qualifiers. uses: all but that one."""

    name: str
    type: str
    is_pointer: bool
    value: Node = field(repr=False)
    node: Node = field(repr=False)
    uses: tuple[Node, ...] = field(repr=False)

    @property
    def is_integer(self) -> bool:
        """Whether its type is one of the integers'."""
        return not self.is_pointer and self.type.split()[-1].rpartition("::")[2] in _INTEGERS


def variables(source: Source, function: Node) -> Iterator[Variable]:
    """The variables that are declared alone, with a value, and once, in a block; no parameters, no heads of loops."""
    counts = Counter(_declared_names(source, function))
    for node in walk(function, "declaration"):
        inits = [n for n in node.children if n.type == "init_declarator"]
        is_alone = len(inits) == 1 and not any(n.type == "," for n in node.children)
        if not is_alone or node.parent is None or node.parent.type != "compound_statement":
            continue
        found = _variable(source, function, node, inits[0])
        if found is not None and counts[found.name] == 1:
            yield found


def _variable(source: Source, function: Node, node: Node, init: Node) -> Variable | None:
    declarator, value = init.child_by_field_name("declarator"), init.child_by_field_name("value")
    is_pointer = declarator is not None and declarator.type == "pointer_declarator"
    name = next(walk(declarator, "identifier"), None) if declarator is not None else None
    is_plain = declarator is not None and (is_pointer or declarator.type == "identifier")
    if value is None or name is None or not is_plain or value.type == "initializer_list":
        return None
    kind = " ".join(source.of(n) for n in node.children if n.is_named and n.type not in (_WORD, "init_declarator"))
    text = source.of(name)
    uses = tuple(n for n in walk(function, "identifier") if source.of(n) == text and n != name)
    return Variable(text, kind, is_pointer, value, node, uses) if kind else None


def _declared_names(source: Source, function: Node) -> Iterator[str]:
    for node in walk(function, "declaration", "parameter_declaration"):
        for child in node.children:
            if "declarator" in child.type or child.type == "identifier":
                name = next(walk(child, "identifier"), None)
                if name is not None:
                    yield source.of(name)


def unused(name: str, taken: Container[str]) -> str:
    """The name, or the name with a number from 2 on, such that nothing is called so.

    >>> unused("i", {"i", "i_2"})
    'i_3'
    """
    return next(c for c in chain((name,), (f"{name}_{i}" for i in count(2))) if c not in taken)


def is_fixed(source: Source, function: Node, name: str) -> bool:
    """Whether a name is never assigned to after its declaration, and its address never taken."""
    taken = (n for n in walk(function, "pointer_expression") if source.of(n).replace(" ", "") == f"&{name}")
    return name not in assigned(source, function) and not any(taken)


def are_fixed_around(source: Source, node: Node, names: frozenset[str]) -> bool:
    """Whether in the block that a declaration stands in no statement changes a name, nor declares it once more."""
    block = above(node, "compound_statement")
    if block is None or names & assigned(source, block):
        return False
    inner = (n for n in walk(block, "compound_statement", "for_statement") if n != block)
    return not any(names & set(_declared_names(source, n)) for n in inner)


def assigned(source: Source, node: Node) -> frozenset[str]:
    """The variables that are assigned to themselves; what they point to aside."""
    targets = (n.child_by_field_name("left") or n.child_by_field_name("argument") for n in walk(node, *ASSIGNMENTS))
    return frozenset(source.of(t) for t in targets if t is not None and t.type == "identifier")


def in_parentheses(source: Source, node: Node) -> str:
    """The text of an expression such that it can stand anywhere."""
    text = source.of(node)
    return text if node.type in _ATOMS or node.type == "parenthesized_expression" else f"({text})"


def is_simple(source: Source, value: Node) -> bool:
    """Whether an expression has no side effects and loads nothing."""
    calls = [n for n in walk(value, *_EFFECTS) if not source.of(n).startswith("static_cast")]
    return not calls and not any(source.of(n).startswith("*") for n in walk(value, "pointer_expression"))
