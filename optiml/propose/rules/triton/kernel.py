"""The kernel of a candidate as Triton rules see it: its function in Python's tree, with the places in the text kept."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ir.expression import Expression, ExpressionError
from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.propose.protocol import Unit
from optiml.propose.rules.rewrite import Rewrite


@dataclass(frozen=True)
class TritonKernel:
    """The entry function of a candidate."""

    unit: Unit
    text: str
    function: ast.FunctionDef

    @staticmethod
    def of(unit: Unit) -> TritonKernel | None:
        """None where the text is no Python, or has no such function."""
        text = unit.candidate.source
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return None
        found = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == unit.entry)
        return next((TritonKernel(unit, text, f) for f in found), None)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line begins, in bytes; columns of the tree count bytes too."""
        starts = [0]
        for line in self.text.encode().splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        return starts

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """First byte of a node and the byte after it."""
        assert node.end_lineno is not None and node.end_col_offset is not None, "parsed from text"
        first = self._starts[node.lineno - 1] + node.col_offset
        return first, self._starts[node.end_lineno - 1] + node.end_col_offset

    def of_node(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        first, last = self.span(node)
        return self.text.encode()[first:last].decode()

    def replaced(self, *changes: tuple[ast.expr | ast.stmt, str]) -> str:
        """The whole text with the texts of disjoint nodes replaced."""
        return self.spliced(*((*self.span(node), new) for node, new in changes))

    def spliced(self, *changes: tuple[int, int, str]) -> str:
        """The whole text with disjoint ranges of bytes replaced; equal places keep their order."""
        data, parts, at = self.text.encode(), [], 0
        for first, last, new in sorted(changes, key=lambda c: c[:2]):
            parts += [data[at:first], new.encode()]
            at = last
        return b"".join([*parts, data[at:]]).decode()

    @property
    def body(self) -> list[ast.stmt]:
        """The statements without the docstring."""
        has_text = ast.get_docstring(self.function) is not None
        return self.function.body[1:] if has_text else self.function.body

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Calls of `tl.<name>` in the kernel, in order of the text."""
        found = [n for n in ast.walk(self.function) if isinstance(n, ast.Call) and ast.unparse(n.func) in names]
        return iter(sorted(found, key=lambda n: (n.lineno, n.col_offset)))

    def loops(self) -> list[ast.For]:
        """The loops over `range` or `tl.range`, in order of the text."""
        found = [n for n in ast.walk(self.function) if isinstance(n, ast.For) and _is_range(n.iter)]
        return sorted(found, key=lambda n: n.lineno)

    def in_triton(self, text: str) -> str | None:
        """An expression of the task file in the kernel's names; None where a size is no argument of it."""
        arguments = (a for a in self.unit.arguments if a.get("kind") == "scalar")
        scalars = {str(a.get("value")): str(a.get("parameter", a["name"])) for a in arguments}
        names = {**scalars, **{name: name for name in self.unit.constants}}
        try:
            tree = Expression.parse(text).tree
        except ExpressionError:
            return None
        used = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id not in _CALLS]
        if any(n.id not in names for n in used):
            return None
        return _Renamed(names).text(tree)


@dataclass(frozen=True)
class TritonRule:
    """A rule given by the function that finds rewrites in a kernel; what is no Python is no rewrite."""

    name: str
    limiters: frozenset[str]
    why: str
    find: Callable[[TritonKernel], Iterator[Rewrite]]

    def rewrites(self, unit: Unit) -> Iterator[Edit]:
        """Each place and parameter where the precondition holds."""
        kernel = TritonKernel.of(unit) if unit.candidate.language == "triton" else None
        for rewrite in self.find(kernel) if kernel is not None else ():
            result = Candidate("triton", rewrite.text, {**unit.candidate.overrides, **rewrite.overrides})
            if result.key != unit.candidate.key and _parses(rewrite.text):
                yield Edit(f"{self.name}:{rewrite.detail}", min(self.limiters), self.why, result, "rules")


_CALLS = {"cdiv": "tl.cdiv", "min": "tl.minimum", "max": "tl.maximum"}


@dataclass(frozen=True)
class _Renamed(ast.NodeTransformer):
    names: Mapping[str, str]

    def text(self, tree: ast.expr) -> str:
        return ast.unparse(self.visit(ast.parse(ast.unparse(tree), mode="eval")))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(_CALLS.get(node.id) or self.names[node.id], mode="eval").body


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("range", "tl.range")


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True
