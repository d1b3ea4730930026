"""A first task file for a kernel: what its source tells, and guesses where it does not, marked to be looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail
from optiml.store.toml import toml_text

# C++ type -> the task file's name of it.
_DTYPES = {
    "float": "fp32", "double": "fp64", "half": "fp16", "__half": "fp16", "nv_bfloat16": "bf16", "__nv_bfloat16": "bf16",
    "int": "i32", "unsigned": "i32", "unsigned int": "i32", "size_t": "i64", "long": "i64", "long long": "i64",
    "int64_t": "i64", "int32_t": "i32", "uint32_t": "i32", "uint8_t": "u8", "unsigned char": "u8", "char": "i8",
    "bool": "i1", "short": "i16",
}  # fmt: skip
_TARGETS = ["sm_80", "sm_90"]
_BLOCK = 256


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: a role for a tensor, empty for a scalar; constant: a value of the compiler's."""

    name: str
    dtype: str
    role: str = ""
    constant: bool = False


def scaffold(source: Path, entry: str = "") -> dict[str, str]:
    """File name -> text: the task file and a reference to be written.

    Raises UserError: missing-file, no-kernel, several-kernels, unsupported-source.
    """
    if not source.is_file():
        raise fail("missing-file", f"there is no file {source}")
    readers = {".cu": _cuda_kernels, ".py": _triton_kernels}
    if source.suffix not in readers:
        raise fail("unsupported-source", f"a kernel is in a .cu or .py file, not {source.suffix or 'this'}")
    found = dict(readers[source.suffix](source.read_text(encoding="utf-8")))
    name = _chosen(found, entry, source)
    return {"task.toml": _task_text(source, name, found[name]), "reference.py": _reference_text(name, found[name])}


def _chosen(found: dict[str, list[Parameter]], entry: str, source: Path) -> str:
    if not found or (entry and entry not in found):
        what = f"no kernel `{entry}`" if entry else "no kernel"
        raise fail(
            "no-kernel", f"there is {what} here", Location(str(source)), f"kernels: {', '.join(found) or 'none'}"
        )
    if not entry and len(found) > 1:
        raise fail("several-kernels", f"{len(found)} kernels here", Location(str(source)), f"--entry {'|'.join(found)}")
    return entry or next(iter(found))


def _cuda_kernels(text: str) -> Iterator[tuple[str, list[Parameter]]]:
    from optiml.cuda_source import Source, walk

    source = Source.parse(text)
    for function in walk(source.root, "function_definition"):
        if "__global__" not in source.of(function).partition("(")[0]:
            continue
        declarator = next(walk(function, "function_declarator"))
        body = source.of(function.child_by_field_name("body"))
        parameters = [source.of(n) for n in walk(declarator, "parameter_declaration")]
        yield source.of(declarator.child_by_field_name("declarator")), [_cuda_parameter(p, body) for p in parameters]


def _cuda_parameter(text: str, body: str) -> Parameter:
    words = re.sub(r"\b(__restrict__|restrict|const|volatile)\b|[&*]", " ", text).split()
    name, dtype = words[-1], _DTYPES.get(" ".join(words[:-1]), "fp32")
    if "*" not in text:
        return Parameter(name, dtype)
    place = rf"\b{re.escape(name)}\s*\[(?:[^\[\]]|\[[^\]]*\])*\]\s*"
    is_written = "const" not in text.split("*")[0]
    is_read = bool(re.search(rf"{place}(?:[-+*/|&^]=|\+\+|--|(?!\s*=[^=]))", body)) or f"Add(&{name}" in body
    return Parameter(name, dtype, "in" if not is_written else "inout" if is_read else "out")


def _triton_kernels(text: str) -> Iterator[tuple[str, list[Parameter]]]:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise fail("user-code-error", f"invalid syntax: {error.msg}") from None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any("jit" in ast.unparse(d) for d in node.decorator_list):
            body = ast.unparse(ast.Module(node.body, []))
            yield node.name, [_triton_parameter(a, body) for a in node.args.args]


def _triton_parameter(argument: ast.arg, body: str) -> Parameter:
    name = argument.arg
    if argument.annotation is not None and "constexpr" in ast.unparse(argument.annotation):
        return Parameter(name, "i32", constant=True)
    if not (name.endswith("_ptr") or re.search(rf"(load|store|atomic_\w+)\(\s*{name}\b", body)):
        return Parameter(name, "i32")
    stored = bool(re.search(rf"(store|atomic_\w+)\(\s*{name}\b", body))
    loaded = bool(re.search(rf"(load|atomic_\w+)\(\s*{name}\b", body))
    return Parameter(name, "fp32", "inout" if stored and loaded else "out" if stored else "in")


def _task_text(source: Path, entry: str, parameters: list[Parameter]) -> str:
    symbols = [_symbol(p) for p in parameters if not p.role and not p.constant and p.dtype.startswith("i")] or ["N"]
    constants = {p.name: 128 if "BLOCK" in p.name.upper() else 1 for p in parameters if p.constant}
    is_cuda = source.suffix == ".cu"
    block = next((n for n in constants if "BLOCK" in n.upper()), str(_BLOCK))
    data: dict[str, Any] = {
        "name": entry,
        "source": source.name,
        "entry": entry,
        "reference": "reference.py:reference",
        "targets": _TARGETS,
        "argument": [_argument(p, symbols) for p in parameters if not p.constant],
        **({"constants": constants} if constants else {}),
        "launch": {"grid": [f"cdiv({symbols[0]}, {block})"], **({"block": [_BLOCK]} if is_cuda else {"num_warps": 4})},
        "sizes": {
            "search": [dict.fromkeys(symbols, 256)],
            "verify": [dict.fromkeys(symbols, 1), {s: 33 + 34 * n for n, s in enumerate(symbols)}],
            "report": [dict.fromkeys(symbols, 4096)],
        },
    }
    head = (
        f"# The task of `{entry}`, begun by `optiml init`. Look at: roles, shapes and dtypes of the arguments,\n"
        "# values of the scalars, the launch, and the sizes; then write the reference, and prove\n"
        "# the task: optiml check TASK.\n"
    )
    return head + toml_text(data)


def _argument(p: Parameter, symbols: list[str]) -> dict[str, Any]:
    if p.role:
        name = p.name.removesuffix("_ptr")
        told = {"name": name} | ({"parameter": p.name} if name != p.name else {})
        return {**told, "role": p.role, "dtype": p.dtype, "shape": symbols[:2]}
    value: Any = _symbol(p) if p.dtype.startswith("i") else 1.0
    return {"name": p.name, "kind": "scalar", "dtype": p.dtype, "value": value}


def _symbol(p: Parameter) -> str:
    return p.name.upper()


def _reference_text(entry: str, parameters: list[Parameter]) -> str:
    inputs = [p.name.removesuffix("_ptr") for p in parameters if p.role in ("in", "inout")]
    outputs = [p.name.removesuffix("_ptr") for p in parameters if p.role in ("out", "inout")]
    arguments = ", ".join(f"{name}: torch.Tensor" for name in inputs)
    returned = ", ".join(f'"{name}": ...' for name in outputs)
    return (
        f'"""What `{entry}` computes, in PyTorch."""\n\nimport torch\n\n\n'
        f"def reference({arguments}) -> dict[str, torch.Tensor]:\n"
        f'    """Return {{{returned}}} in the precision of what is given; it is called in fp64 too."""\n'
        f'    raise NotImplementedError("write what the kernel computes")\n'
    )
