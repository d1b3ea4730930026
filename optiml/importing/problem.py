"""A KernelBench problem as text: what it must define, and the module constants that its sizes may follow from.

A problem is a Python file with `class Model(nn.Module)`, `get_inputs()` and perhaps `get_init_inputs()`. It is hostile:
here it is only read; it runs in the sandbox of `tracing`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ir.diagnostics import Location, UserError, fail

NEEDED = ("Model", "get_inputs")
_FORM = "a problem is a Python file with `class Model(nn.Module)`, `get_inputs()` and `get_init_inputs()`"
_MOST_CONSTANTS = 12


@dataclass(frozen=True)
class Problem:
    """A file that has the form of a problem. `constants`: whole numbers assigned once at its top level, by name."""

    path: Path
    text: str
    constants: Mapping[str, int]
    tree: ast.Module = field(repr=False)

    @property
    def name(self) -> str:
        """A name for the task: the file's, without the number that collections begin names with."""
        words = "".join(c if c.isalnum() else "_" for c in self.path.stem.lower()).strip("_")
        return words.lstrip("0123456789_") or words


def read_problem(path: Path) -> Problem:
    """Read a file without running it. Raises UserError: missing-file, syntax-error, no-model, no-inputs."""
    if not path.is_file():
        raise fail("missing-file", f"there is no file {path}")
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        place = Location(str(path), getattr(error, "lineno", 0) or 0, getattr(error, "offset", 0) or 0)
        raise fail("syntax-error", f"the problem is no Python: {error}", place) from None
    defined = {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    for name, rule in zip(NEEDED, ("no-model", "no-inputs"), strict=True):
        if name not in defined:
            raise _lacks(path, rule, name)
    found = dict(list(_constants(tree))[:_MOST_CONSTANTS])
    return Problem(path, text, found, tree)


def _lacks(path: Path, rule: str, name: str) -> UserError:
    return fail(rule, f"the problem defines no `{name}`", Location(str(path)), _FORM)


def with_constants(tree: ast.Module, values: Mapping[str, int]) -> ast.Module:
    """The same module with other numbers assigned to its constants.

    >>> print(ast.unparse(with_constants(ast.parse("n = 4 * 2\\nm = n + 1"), {"n": 3})))
    n = 3
    m = n + 1
    """
    body = [_assigned(node, values) for node in tree.body]
    return ast.Module(body, tree.type_ignores)


def _assigned(node: ast.stmt, values: Mapping[str, int]) -> ast.stmt:
    name = _target(node)
    if name not in values or not isinstance(node, ast.Assign):
        return node
    return ast.copy_location(ast.Assign(node.targets, ast.copy_location(ast.Constant(values[name]), node)), node)


def _constants(tree: ast.Module) -> Iterator[tuple[str, int]]:
    names = [_target(node) for node in tree.body]
    for node, name in zip(tree.body, names, strict=True):
        value = _whole(node.value) if isinstance(node, ast.Assign) else None
        if name and value is not None and value > 0 and names.count(name) == 1:
            yield name, value


def _target(node: ast.stmt) -> str:
    is_one = isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    return node.targets[0].id if is_one else ""  # type: ignore[attr-defined]


def _whole(node: ast.expr) -> int | None:
    """The value of an expression of whole numbers, `1024 * 4`; None for anything else."""
    from ir.expression import Expression, ExpressionError

    try:
        return Expression.parse(ast.unparse(node)).evaluate({})
    except ExpressionError:
        return None
