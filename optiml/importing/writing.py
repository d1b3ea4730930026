"""A model to the files of a task: the task file, the reference, and a kernel, the user's own or a first one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import fail
from ir.expression import Expression
from optiml.importing.kernels import FirstKernel, first_kernel
from optiml.importing.operations import base_name
from optiml.importing.own_kernel import paired
from optiml.importing.reference import output_names, reference_text
from optiml.importing.sizing import Model
from optiml.importing.trace import DTYPES, Tensor
from optiml.store.toml import toml_text

_TARGETS = ["sm_80", "sm_86", "sm_89", "sm_90"]
# Operations that are not defined for all numbers: inputs of models with them stay as the problem has them.
_POSITIVE = ("log", "log2", "log1p", "sqrt", "rsqrt", "pow", "reciprocal")
# Names that the statements of kernels use.
_TAKEN = ("row", "rows", "cols", "acc", "ks", "kt", "inside", "offs", "start", "tl", "batch_index")


@dataclass(frozen=True)
class Files:
    """What is to be written: file name -> text, and what the user should know."""

    texts: Mapping[str, str]
    family: str
    warnings: tuple[str, ...]


def task_files(name: str, origin: str, model: Model, kernel: Path | None = None) -> Files:
    """Task, reference and kernel: a first one, or the user's. Raises UserError as `first_kernel` and `paired` do."""
    texts = {"reference.py": reference_text(name, model.plain)}
    if kernel is not None:
        tensors = [*(_argument(t, model) for t in model.plain.tensors), *_outputs(model)]
        data, todo = paired(kernel, tensors, list(model.sets["report"][0]))
        told = tuple(f"TODO {text}" for text in todo)
        if kernel.name in texts:
            raise fail("file-exists", f"the task has a {kernel.name} of its own", remedy="give the kernel another name")
        texts[kernel.name] = kernel.read_text(encoding="utf-8")
        family, warnings = "your own kernel", (*model.warnings, *told)
    else:
        data, texts[f"{name}.py"], family, unread = _first(name, model)
        warnings = (*model.warnings, *(f"no output depends on `{n}`, which the kernel does not read" for n in unread))
    head = {"name": name, "reference": "reference.py:reference", "targets": _TARGETS}
    sizes = {key: [dict(row) for row in rows] for key, rows in model.sets.items()}
    whole = _comment(origin, warnings) + toml_text({**head, **data, "sizes": sizes})
    return Files({"task.toml": whole, **texts}, family, warnings)


def _first(name: str, model: Model) -> tuple[dict[str, Any], str, str, list[str]]:
    """The tables for a first kernel, its text and family, and the tensors that it does not read."""
    out = output_names(model.plain)[0]
    taken = {f"{t.name}_ptr" for t in model.plain.tensors} | {*_symbols(model), f"{out}_ptr", *_TAKEN}
    kernel = first_kernel(model.core, taken, out)
    lines = list(kernel.lines)
    sizes = [s for s in _symbols(model) if any(re.search(rf"\b{s}\b", line) for line in lines)]
    tensors = [t for t in model.plain.tensors if any(re.search(rf"\b{t.name}_ptr\b", line) for line in lines)]
    data = {
        "source": f"{name}.py",
        "entry": f"{name}_kernel",
        "argument": [*(_argument(t, model) for t in tensors), *_outputs(model), *map(_scalar, sizes)],
        "constants": dict(kernel.constants),
        "launch": {"grid": [_task_text(g, model) for g in kernel.grid], "num_warps": 4},
    }
    text = _kernel_text(name, kernel, lines, [t.name for t in tensors], out, sizes)
    return data, text, kernel.family, [t.name for t in model.plain.inputs if t not in tensors]


def _comment(origin: str, warnings: tuple[str, ...]) -> str:
    told = [f"# Imported from {origin}; the model's parameters are inputs.", *(f"# Note: {w}." for w in warnings)]
    return "\n".join([*told, ""])


def _symbols(model: Model) -> list[str]:
    return [name.lower() for name in model.sets["report"][0]]


def _task_text(text: str, model: Model) -> str:
    """A text of the kernel's in the names of the task file."""
    names = {name.lower(): name for name in model.sets["report"][0]}
    return re.sub(r"[A-Za-z_]\w*", lambda m: names.get(m[0], m[0]), text)


def _shape(shape: tuple[int | Expression, ...]) -> list[str | int]:
    """A scalar is a tensor of one element."""
    return [n if isinstance(n, int) else str(n) for n in shape] or [1]


def _argument(tensor: Tensor, model: Model) -> dict[str, Any]:
    told = {"name": tensor.name, "parameter": f"{tensor.name}_ptr", "role": "in", "dtype": DTYPES[tensor.dtype]}
    fill = {"distribution": found} if (found := _distribution(tensor, model)) else {}
    return {**told, "shape": _shape(tensor.shape), **fill}


def _distribution(tensor: Tensor, model: Model) -> Any:
    """Normal, unless the problem has whole numbers, or ones from 0 to 1 that some operation needs to be positive.

    Numbers from 0 to 1 else tell too little: there a rectifier is the identity.
    """
    if tensor.fill == "rand" and any(base_name(n) in _POSITIVE for n in model.plain.nodes):
        return "uniform"
    if tensor.fill == "randint" and tensor.high > tensor.low:
        return {"kind": "integers", "low": tensor.low, "high": tensor.high}
    if tensor.name.endswith("running_var"):
        return {"kind": "uniform", "low": 0.5, "high": 1.5}
    return "normal" if tensor.dtype != "bool" else {"kind": "integers", "low": 0, "high": 2}


def _outputs(model: Model) -> list[dict[str, Any]]:
    by_name = {n.name: n for n in model.plain.nodes}
    found = []
    for name, result in zip(output_names(model.plain), model.plain.outputs, strict=True):
        node = by_name[result]
        told = {"name": name, "parameter": f"{name}_ptr", "role": "out", "dtype": DTYPES[node.dtype]}
        found.append({**told, "shape": _shape(node.shape)})
    return found


def _scalar(size: str) -> dict[str, Any]:
    return {"name": size, "kind": "scalar", "dtype": "i32", "value": size.upper()}


def _kernel_text(
    name: str, kernel: FirstKernel, lines: list[str], tensors: list[str], out: str, sizes: list[str]
) -> str:
    constants = [f"{c}: tl.constexpr" for c in kernel.constants]
    parameters = [*(f"{t}_ptr" for t in tensors), f"{out}_ptr", *sizes, *constants]
    return "\n".join(
        [
            f'"""{name}, {kernel.family}: a first kernel, written to be right; the search makes it fast."""',
            "",
            "import triton",
            "import triton.language as tl",
            "",
            "",
            "@triton.jit",
            f"def {name}_kernel({', '.join(parameters)}):",
            *lines,
            "",
        ]
    )
