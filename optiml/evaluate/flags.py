"""Static rules: what in a candidate's text is worth a look. They are noted beside the verdict and refuse nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ir.task import Sizes
    from optiml.candidate import Candidate

# Pattern -> what it may mean. An honest kernel may have any of them.
_CUDA: Mapping[str, str] = {
    r"\bclock(64)?\s*\(|%clock|globaltimer|__nanosleep": "reads a clock or sleeps: it may behave otherwise when timed",
    r"%smid|%nsmid|%warpid|%gridid": "asks where it runs: it may behave otherwise elsewhere",
    r"__has_include|__TIME__|__DATE__|__TIMESTAMP__": "asks about the machine that compiles it",
    r"__device__\s+(?!inline|const|__force)[\w\s:<>]*\w+\s*(\[[^\]]*\])?\s*(=[^;()]*)?;": "has global variables",
    r"\basm\b": "has inline assembly",
    r"#\s*include\s*[\"<][./]": "includes by path",
}
_HARMLESS_MODULES = frozenset({"triton", "math", "typing", "__future__", "functools", "dataclasses"})
_LARGE = 1000


def flags(candidate: Candidate, timed: Iterable[Sizes]) -> tuple[str, ...]:
    """Notes on the text of a candidate, and of numbers in it by which the sizes that are timed can be told."""
    found = _of_cuda(candidate.source) if candidate.language == "cuda" else _of_python(candidate.source)
    return (*found, *_of_sizes(candidate.source, timed))


def _of_cuda(text: str) -> Iterator[str]:
    return (told for pattern, told in _CUDA.items() if re.search(pattern, text))


def _of_python(text: str) -> Iterator[str]:
    """What a module does beside defining kernels, constants and host functions."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    modules = {name.partition(".")[0] for node in ast.walk(tree) for name in _imported(node)}
    if strange := sorted(modules - _HARMLESS_MODULES):
        yield f"imports {', '.join(strange)}"
    if any(isinstance(node, ast.Expr | ast.For | ast.While | ast.If | ast.With | ast.Try) and not _is_text(node)
           for node in tree.body):  # fmt: skip
        yield "runs statements when it is imported"


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ""


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _of_sizes(text: str, timed: Iterable[Sizes]) -> Iterator[str]:
    sizes = {str(value) for each in timed for value in each.values() if value >= _LARGE}
    named = sorted(sizes & set(re.findall(r"\b\d{4,}\b", text)))
    if named:
        yield f"names sizes that are timed: {', '.join(named)}"
