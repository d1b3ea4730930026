"""Which Python sources say by their text alone what their kernels are: those need not be run to be recognised.

Such a file imports nothing but packages whose versions are known, and what it does when it is imported is to define:
it calls nothing that could ask a file, a clock or a device. What is compiled of it follows from its text, the task, the
versions and the environment.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ir.task import Sizes, Task

# What else of the standard library could be imported may ask the machine.
_PACKAGES = ("triton", "torch")
_IMPORTS = frozenset(["__future__", "dataclasses", "enum", "functools", "itertools", "math", "typing", *_PACKAGES])
# Calls on import that define, those of decorators among them.
_DEFINING = frozenset(["jit", "constexpr", "autotune", "heuristics", "Config", "hasattr"])
_ASKING = frozenset(["open", "exec", "eval", "compile", "input", "getattr", "globals", "__import__", "__builtins__"])
# Runs while a kernel is compiled, and may ask whatever it likes.
_RUNS_LATER = "constexpr_function"
# Differ between two calls from one shell, and mean nothing to a compiler.
_PASSING = ("_", "PWD", "OLDPWD", "SHLVL")
# Variables that have Triton use another file, an assembler or a library, which may change and keep its name.
_OTHER_FILE = re.compile(r"TRITON_\w+_PATH")
# What makes of a task the request by which a compiled artifact is kept.
_REQUESTING = ("triton.py", "triton_adaptor.py", "triton_function.py")


def key_parts(task: Task, sizes: Sizes, architecture: str) -> list[str] | None:
    """What the artifact of a task's kernel depends on, without running its source.

    None where the source does not say it, a package's version is not known, or Triton is told to use other files.
    """
    try:
        text = task.source.read_text(encoding="utf-8")
        versions = [sys.version, *map(version, _PACKAGES)]
    except (OSError, UnicodeDecodeError, PackageNotFoundError):
        return None
    if not is_self_contained(text) or any(map(_OTHER_FILE.fullmatch, os.environ)):
        return None
    values = task.values(sizes)
    stated = [
        (a.parameter, a.kind, a.dtype, a.triton_type(values), a.value_at(values) if a.kind == "scalar" else None)
        for a in task.arguments
    ]
    environment = sorted(item for item in os.environ.items() if item[0] not in _PASSING)
    told = (architecture, task.entry, stated, sorted(task.constants.items()), task.launch, environment)
    return ["self-contained", _program(), text, str(task.source), repr(told), *versions]


def is_self_contained(text: str) -> bool:
    """Whether a Python file's text alone says what it defines.

    >>> is_self_contained("import triton\\nimport triton.language as tl\\nLOG2_E = tl.constexpr(1.4427)")
    True
    >>> is_self_contained("import os\\nBLOCK = int(os.environ['BLOCK'])")
    False
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    nodes = list(ast.walk(tree))
    names = {node.id if isinstance(node, ast.Name) else node.attr for node in nodes if isinstance(node, _NAMING)}
    imports = {name for node in nodes for name in _imported(node)}
    return imports <= _IMPORTS and not names & {*_ASKING, _RUNS_LATER} and _called_on_import(tree) <= _DEFINING


_NAMING = (ast.Name, ast.Attribute)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _imported(node: ast.AST) -> list[str]:
    """Packages of an import; "" for a relative one."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["" if node.level else (node.module or "").partition(".")[0]]
    return []


def _called_on_import(tree: ast.Module) -> set[str]:
    """Last names of what is called on import, "" for what has none: by functions of the file that are, too."""
    own = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found, todo = set[str](), [*_outside_functions(tree), *_decorations(tree)]
    while todo:
        names = {_called(node) for node in todo if isinstance(node, ast.Call)} - found
        found |= names
        todo = [node for name in names & own.keys() for node in ast.walk(own[name])]
    return found - own.keys()


def _decorations(tree: ast.AST) -> Iterator[ast.Call]:
    """Decorators as calls, which they are, whether or not they are written so."""
    for node in ast.walk(tree):
        yield from (ast.Call(each, [], []) for each in getattr(node, "decorator_list", ()))


def _called(call: ast.Call) -> str:
    """The name before the first parenthesis: a call of what a call gave has that of the first."""
    function = call.func
    while isinstance(function, ast.Call):
        function = function.func
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """What runs on import; decorators and defaults of functions do."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            for decorator in getattr(child, "decorator_list", ()):
                yield from ast.walk(decorator)
            yield from ast.walk(child.args)
        else:
            yield child
            yield from _outside_functions(child)


@cache
def _program() -> str:
    """The text of what was asked to make an artifact: once it is changed, it may make another one of the same task."""
    texts = (Path(__file__).with_name(name).read_bytes() for name in _REQUESTING)
    return hashlib.sha256(b"".join(texts)).hexdigest()
