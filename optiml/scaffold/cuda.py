"""CUDA C++ kernels read through their syntax tree: parameters, template arguments, guards, indices, block."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING

from ir.diagnostics import fail
from optiml.scaffold.facts import LANE, PROGRAMS, Facts, Parameter, parsed

if TYPE_CHECKING:
    from tree_sitter import Node

    from optiml.cuda_source import Source

# C++ type -> the task file's name of it.
_DTYPES = {
    "float": "fp32", "double": "fp64", "half": "fp16", "__half": "fp16", "nv_bfloat16": "bf16", "__nv_bfloat16": "bf16",
    "int": "i32", "unsigned": "i32", "unsigned int": "i32", "size_t": "i64", "long": "i64", "long long": "i64",
    "int64_t": "i64", "int32_t": "i32", "uint32_t": "i32", "uint8_t": "u8", "unsigned char": "u8", "char": "i8",
    "bool": "i1", "short": "i16",
}  # fmt: skip
_CAST = re.compile(r"\(\s*(?:const\s+)?(?:size_t|int|unsigned(?: int)?|long(?: long)?|u?int(?:32|64)_t)\s*\)")
# `i < n`, `i + 1 < n`, `i < n - 1`; n is no part of anything else.
_COMPARED = re.compile(r"\b(\w+)\s*(?:\+\s*(\d+)\s*)?(?:<|>=)\s*(\w+)\b(?:\s*-\s*(\d+)\b)?(?!\s*[-+*/%(\[.<>])")
_SLACK = re.compile(r"\b(\w+)\s*(?:\+\s*(\d+)\s*)?(?:<|>=|==)\s*\w+\b(?:\s*-\s*(\d+)\b)?")
_DEFINED = re.compile(
    r"#\s*define\s+(\w+)\s+\(?(\d+)\)?\s*$|constexpr\s+(?:unsigned\s+)?int\s+(\w+)\s*=\s*(\d+)\s*;", re.M
)
_THREADS = (256, 8, 4)
_TILE_THREADS = (32, 8, 1)


def cuda_kernels(text: str) -> Iterator[Facts]:
    """Every `__global__` function of a file."""
    from optiml.cuda_source import Source, walk

    source = Source.parse(text)
    numbers = {(m[1] or m[3]): int(m[2] or m[4]) for m in _DEFINED.finditer(text)}
    for function in walk(source.root, "function_definition"):
        if "__global__" in source.of(function).partition("(")[0]:
            yield _facts(source, function, numbers)


def _facts(source: Source, function: Node, numbers: Mapping[str, int]) -> Facts:
    from optiml.cuda_source import walk

    declarator = next(walk(function, "function_declarator"))
    body = function.child_by_field_name("body")
    assert body is not None, "a definition has one"
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source.of(body), flags=re.S)
    templates = dict(_templates(source, function))
    parameters = [_parameter(source.of(n), text, templates) for n in walk(declarator, "parameter_declaration")]
    whole = {p.name for p in parameters if not p.role} | numbers.keys() | templates.keys()
    extents = [name for name, kind in templates.items() if kind != "type"]
    definitions = dict(_definitions(source, body))
    return Facts(
        entry=source.of(declarator.child_by_field_name("declarator")),
        parameters=tuple(parameters),
        definitions={name: _replaced(e, numbers) for name, e in definitions.items()},
        bounds=_bounds(text, whole, definitions.keys()),
        slack=_slack(text),
        changing=_changing(source, body),
        accesses={p.name: tuple(_indices(source, body, p.name)) for p in parameters if p.role},
        constants={name: _TILE_THREADS[min(i, 2)] for i, name in enumerate(extents)},
        threads=tuple(_threads(text, definitions, {**numbers, **{name: name for name in extents}})),
        templates=tuple("float" if kind == "type" else name for name, kind in templates.items()),
    )


def _bounds(text: str, known: Set[str], variables: Set[str]) -> dict[str, str]:
    """What variables are compared with, where that is one thing alone: a name may stand for several variables."""
    found: dict[str, set[str]] = {}
    for m in _COMPARED.finditer(text):
        if m[3] in known and m[1] in variables:
            found.setdefault(m[1], set()).add(m[3])
    return {name: bounds.pop() for name, bounds in found.items() if len(bounds) == 1}


def _slack(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for m in _SLACK.finditer(text):
        found[m[1]] = max(found.get(m[1], 0), int(m[2] or 0) + int(m[3] or 0))
    return found


def _changing(source: Source, body: Node) -> frozenset[str]:
    from optiml.cuda_source import walk
    from optiml.propose.rules.cuda.loops import written

    declared = Counter(source.of(n.child_by_field_name("declarator")) for n in walk(body, "init_declarator"))
    return written(source, body) | {name for name, count in declared.items() if count > 1}


def _templates(source: Source, function: Node) -> Iterator[tuple[str, str]]:
    """Template parameters: (name, `type` or `number`)."""
    from optiml.cuda_source import walk

    above = function.parent
    if above is None or above.type != "template_declaration":
        return
    for n in walk(above, "type_parameter_declaration", "parameter_declaration"):
        if n.parent is not None and n.parent.type == "template_parameter_list":
            yield source.of(n).split()[-1], "type" if n.type == "type_parameter_declaration" else "number"


def _parameter(text: str, body: str, templates: Mapping[str, str]) -> Parameter:
    words = re.sub(r"\b(__restrict__|restrict|const|volatile)\b|[&*]", " ", text).split()
    if len(words) == 1:
        raise fail("macro-parameters", f"the parameters of the kernel are a macro, `{text}`", remedy="write them out")
    name, kind = words[-1], " ".join(words[:-1])
    known = _DTYPES.get(kind) or ("fp32" if templates.get(kind) == "type" else None)
    dtype, is_guessed = known or "fp32", known is None
    if "*" not in text:
        return Parameter(name, dtype, is_guessed=is_guessed)
    return Parameter(name, dtype, _role(name, text, body), is_guessed=is_guessed)


def _role(name: str, declared: str, body: str) -> str:
    if "const" in declared.split("*")[0]:
        return "in"
    place = rf"\b{re.escape(name)}\s*\[(?:[^\[\]]|\[[^\]]*\])*\]\s*"
    is_read = bool(re.search(rf"{place}(?:[-+*/|&^]=|\+\+|--|(?!\s*=[^=]))", body))
    return "inout" if is_read or re.search(rf"atomic\w+\(\s*&?\s*{re.escape(name)}\b", body) else "out"


def _definitions(source: Source, body: Node) -> Iterator[tuple[str, ast.expr]]:
    """The first value of each variable."""
    from optiml.cuda_source import walk

    for n in reversed(list(walk(body, "init_declarator"))):
        expression = _expression(source.of(n.child_by_field_name("value")))
        if expression is not None:
            yield source.of(n.child_by_field_name("declarator")), expression


def _indices(source: Source, body: Node, name: str) -> Iterator[ast.expr | None]:
    from optiml.cuda_source import walk

    word = rf"(?<![.\w]){re.escape(name)}\b"
    if re.search(rf"{word}\s*[-+]=", source.of(body)):
        return  # what indices count from is not the first element
    if re.search(rf"{word}\s*\+|\+\s*{word}(?!\s*\[)|=\s*{word}\s*;", source.of(body)):
        yield None  # another pointer counts from it
    for n in walk(body, "subscript_expression"):
        if source.of(n.child_by_field_name("argument")) == name:
            inside = source.of(n).partition("[")[2].rpartition("]")[0]
            yield _expression(inside)
    if re.search(rf"(?:atomic\w+\(\s*|[;{{(=,]\s*\*\s*){re.escape(name)}\b", source.of(body)):
        yield ast.Constant(0)


def _expression(text: str) -> ast.expr | None:
    found = parsed(_CAST.sub("", text))
    return _Threads().visit(found) if found is not None else None


class _Threads(ast.NodeTransformer):
    """Numbers of blocks and threads under the names that all readers give them; blockDim stays."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        owner = ast.unparse(node.value)
        if owner == "blockIdx":
            return ast.Name(PROGRAMS["xyz".index(node.attr)])
        if owner == "threadIdx":
            return ast.Name(LANE)
        return ast.Name(f"block_dim_{node.attr}") if owner == "blockDim" else node


def _replaced(expression: ast.expr, numbers: Mapping[str, int]) -> ast.expr:
    """With macros and constants as numbers."""

    class Numbers(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.Constant(numbers[node.id]) if node.id in numbers else node

    found: ast.expr = Numbers().visit(expression)
    return found


def _threads(text: str, definitions: Mapping[str, ast.expr], numbers: Mapping[str, int | str]) -> Iterator[int | str]:
    """Extents of the block: what block numbers are multiplied with, arrays that threads index, or the usual."""
    axes = [a for a in "xyz" if f"threadIdx.{a}" in text]
    usual = _THREADS if len(axes) <= 1 else _TILE_THREADS
    for place in range(len(axes)):
        given = next(filter(None, (_extent(e, PROGRAMS[place]) for e in definitions.values())), "")
        shared = re.search(r"__shared__\s+[\w\s]+?\w+\s*\[\s*(\w+)\s*\]\s*;", text) if len(axes) == 1 else None
        known = given if given and not given.startswith("block_dim") else shared[1] if shared else ""
        yield numbers.get(known, int(known) if known.isdigit() else usual[place])


def _extent(expression: ast.expr, program: str) -> str:
    """X of `program * X`."""
    for n in ast.walk(expression):
        if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult):
            sides = [ast.unparse(n.left), ast.unparse(n.right)]
            if program in sides:
                return next((s for s in sides if s != program and re.fullmatch(r"\w+", s)), "")
    return ""
