"""The kernel of a candidate as CUDA rules see it: its function in the tree, its parameters and launch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tree_sitter import Node

from optiml.candidate import Candidate
from optiml.cuda_source import Source, named, walk
from optiml.edit import Edit
from optiml.propose.protocol import Unit
from optiml.propose.rules.cuda.forms import forms
from optiml.propose.rules.cuda.forms.variables import unused
from optiml.propose.rules.cuda.macros import expanded
from optiml.propose.rules.rewrite import Rewrite


@dataclass(frozen=True)
class Parameter:
    """A parameter of the kernel: its name, declared type, and what the task says of the argument at its place."""

    name: str
    type: str
    is_pointer: bool
    argument: Mapping[str, Any]
    node: Node = field(repr=False)


@dataclass(frozen=True)
class CudaKernel:
    """The entry function of a candidate."""

    unit: Unit
    source: Source
    function: Node
    parameters: tuple[Parameter, ...]

    @staticmethod
    def of(unit: Unit) -> CudaKernel | None:
        """None where the file has no such function, or one that the grammar cannot read even with macros expanded."""
        original = unit.candidate.source
        for text in (original, expanded(original)):
            source = Source.parse(text)
            function = source.function(unit.entry)
            if function is not None and not function.has_error:
                return CudaKernel(unit, source, function, tuple(_parameters(source, function, unit)))
        return None

    @property
    def body(self) -> Node:
        """The kernel's compound statement."""
        return _field(self.function, "body")

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name in the kernel, and every macro: a new name must not be among them."""
        macros = (n.child_by_field_name("name") for n in walk(self.source.root, "preproc_def"))
        used = (n for n in walk(self.function) if n.type.endswith("identifier"))
        return frozenset(self.source.of(n) for n in (*macros, *used))

    @property
    def top(self) -> Node:
        """The declaration at the top level of the file that holds the kernel."""
        node = self.function
        while node.parent is not None and node.parent.type not in ("translation_unit", "declaration_list"):
            node = node.parent
        return node

    @property
    def pointers(self) -> dict[str, Parameter]:
        """The pointer parameters by name."""
        return {p.name: p for p in self.parameters if p.is_pointer}

    def constant(self, text: str) -> int | None:
        """The value of a literal, of a `constexpr int` of the file, or of a constant among the template arguments."""
        if text.isdigit():
            return int(text)
        value = re.search(rf"\bconstexpr\s+int\s[^;]*?\b{text}\s*=\s*(\d+)\s*[,;]", self.source.text)
        if value is not None:
            return int(value[1])
        given = self.unit.constants.get(self.template.get(text, ""))
        return given if isinstance(given, int) else None

    @cached_property
    def template(self) -> dict[str, str]:
        """Template parameter -> what the task's entry gives for it."""
        given = str(self.unit.settings["entry"]).partition("<")[2].rstrip(">").split(",")
        around = self.function.parent
        names = list(walk(around, "parameter_declaration", "type_parameter_declaration")) if around is not None else []
        if around is None or around.type != "template_declaration":
            return {}
        texts = (self.source.of(n).split()[-1] for n in names if n.parent == around.child_by_field_name("parameters"))
        return dict(zip(texts, (g.strip() for g in given), strict=False))

    def fresh(self, name: str) -> str:
        """The name, or the name with a number, such that nothing else in the kernel is called so."""
        return unused(name, self.names)

    def has(self, *names: str) -> bool:
        """Whether the kernel's text mentions one of these names."""
        return bool(self.source.names(self.function) & set(names))


@dataclass(frozen=True)
class CudaRule:
    """A rule given by the function that finds rewrites in a kernel.

    A text that the grammar cannot read any more is no rewrite: `find` may meet C++ that its author did not think of.
    """

    name: str
    limiters: frozenset[str]
    why: str
    find: Callable[[CudaKernel], Iterator[Rewrite]]

    def rewrites(self, unit: Unit) -> Iterator[Edit]:
        """Each place and parameter where the precondition holds; where it does nowhere, those in another form."""
        if unit.candidate.language != "cuda":
            return
        found = (list(self._edits(unit, form)) for form in forms(unit.candidate.source, unit.entry))
        yield from next((edits for edits in found if edits), [])

    def _edits(self, unit: Unit, text: str) -> Iterator[Edit]:
        kernel = CudaKernel.of(replace(unit, candidate=replace(unit.candidate, source=text)))
        for rewrite in self.find(kernel) if kernel is not None else ():
            result = Candidate("cuda", rewrite.text, {**unit.candidate.overrides, **rewrite.overrides})
            if result.key != unit.candidate.key and _parses(rewrite.text, unit.entry):
                yield Edit(f"{self.name}:{rewrite.detail}", min(self.limiters), self.why, result, "rules")


def _parses(text: str, entry: str) -> bool:
    function = Source.parse(text).function(entry)
    return function is not None and not function.has_error


def _declarator(function: Node) -> Node | None:
    return next(walk(_field(function, "declarator"), "function_declarator"), None)


def _parameters(source: Source, function: Node, unit: Unit) -> Iterator[Parameter]:
    declarator = _declarator(function)
    assert declarator is not None, "found by its declarator"
    nodes = [n for n in named(_field(declarator, "parameters")) if n.type == "parameter_declaration"]
    for node, argument in zip(nodes, unit.arguments, strict=False):
        name = next((n for n in walk(_field(node, "declarator"), "identifier")), None)
        if name is not None:
            is_pointer = _field(node, "declarator").type == "pointer_declarator"
            yield Parameter(source.of(name), source.of(_field(node, "type")), is_pointer, argument, node)


def _field(node: Node, name: str) -> Node:
    found = node.child_by_field_name(name)
    return found if found is not None else node
