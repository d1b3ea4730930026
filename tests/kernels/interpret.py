"""Run tasks in Triton's interpreter on the CPU and compare with their references: one JSON line for each case.

Used by test_interpret.py in a child process, because TRITON_INTERPRET must be set before Triton is imported.
Every tensor lies between guard bands: of NaN around what is read, so that a stray read spoils the result, and of
a fixed pattern around what is written, so that a stray write is seen. Outputs start as NaN.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from backends.run.inputs import DTYPES, draw
from ir.argument import Argument
from ir.task import Sizes, Task, load_task

# Largest error allowed, relative to the largest magnitude of the output: about four units in the last place of a
# 16-bit output; for fp32, what a sum of a few hundred terms and exp2 leave.
TOLERANCES = {"fp32": 2e-5, "fp16": 4e-3, "bf16": 3e-2}
GUARD_BYTES = 4096


@dataclass(frozen=True)
class Guarded:
    """A tensor in the middle of a larger buffer."""

    tensor: torch.Tensor
    buffer: torch.Tensor
    before: torch.Tensor

    @staticmethod
    def around(values: torch.Tensor) -> Guarded:
        pad = GUARD_BYTES // values.element_size()
        buffer = torch.full((values.numel() + 2 * pad,), _poison(values.dtype), dtype=torch.float64).to(values.dtype)
        inner = buffer[pad : pad + values.numel()].view(values.shape)
        inner.copy_(values)
        return Guarded(inner, buffer, buffer.clone())

    def stray_writes(self) -> bool:
        """Whether anything outside the tensor has changed."""
        now, then = _bits(self.buffer), _bits(self.before)
        bands = slice(None, GUARD_BYTES), slice(-GUARD_BYTES, None)
        return not all(torch.equal(now[band], then[band]) for band in bands)

    def changed(self) -> bool:
        return not torch.equal(_bits(self.buffer), _bits(self.before))


def _poison(dtype: torch.dtype) -> float:
    return float("nan") if dtype.is_floating_point else 1.0


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(torch.uint8)


def load_module(path: Path) -> ModuleType:
    """A Python file as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call_by_name(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    """Call with those of the values that the function's parameters name."""
    return function(**{name: values[name] for name in inspect.signature(function).parameters if name in values})


def expected_outputs(task: Task, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The reference's outputs in fp64."""
    wide = {n: t.double() if t.is_floating_point() else t for n, t in tensors.items()}
    reference = getattr(load_module(task.reference_file), task.reference_function)
    result: dict[str, torch.Tensor] = call_by_name(reference, {**values, **wide})
    return result


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest error over the largest magnitude; infinite where one is finite and the other is not, or differs."""
    if actual.shape != expected.shape:
        return float("inf")
    finite = expected.isfinite()
    if not torch.equal(actual[~finite].double(), expected[~finite]) or not actual[finite].isfinite().all():
        return float("inf")
    if not finite.any():
        return 0.0
    error = (actual.double() - expected)[finite].abs().max()
    return float(error / expected[finite].abs().max().clamp_min(1e-30))


def launch(task: Task, sizes: Sizes, tensors: dict[str, torch.Tensor]) -> None:
    """Run the kernel as the task file says."""
    from triton.tools.tensor_descriptor import TensorDescriptor

    values = task.values(sizes)

    def bind(argument: Argument) -> Any:
        if argument.kind == "scalar":
            return argument.value_at(values)
        tensor = tensors[argument.name]
        block = [e.evaluate(values) for e in argument.block]
        return TensorDescriptor.from_tensor(tensor, block) if argument.kind == "descriptor" else tensor

    kernel = getattr(load_module(task.source), task.entry)
    kernel[task.grid(sizes)](**{a.parameter: bind(a) for a in task.arguments}, **task.constants)


def run_case(task: Task, sizes: Sizes, seed: int) -> dict[str, Any]:
    """One size set, launched once: errors of the outputs, stray writes, inputs that were changed."""
    generator = torch.Generator().manual_seed(seed)
    values = task.values(sizes)
    scalars = {a.name: a.value_at(values) for a in task.arguments if a.kind == "scalar"}
    guarded = {a.name: Guarded.around(draw(a, values, generator)) for a in task.inputs}
    inputs = {n: g.tensor.clone() for n, g in guarded.items()}
    expected = expected_outputs(task, inputs, {**scalars, **task.constants})
    for a in task.outputs:
        blank = torch.full(a.shape_at(values), float("nan")).to(DTYPES[a.dtype])
        guarded.setdefault(a.name, Guarded.around(blank))
    launch(task, sizes, {n: g.tensor for n, g in guarded.items()})
    outputs = {a.name: (guarded[a.name].tensor, TOLERANCES[a.dtype]) for a in task.outputs}
    return {
        "file": str(task.document.path),
        "variant": task.variant_name,
        "sizes": dict(sizes),
        "errors": {n: relative_error(t, expected[n]) for n, (t, _) in outputs.items()},
        "tolerances": {n: task.tolerance or tolerance for n, (_, tolerance) in outputs.items()},
        "stray_writes": sorted(n for n, g in guarded.items() if g.stray_writes()),
        "changed_inputs": sorted(a.name for a in task.inputs if a.role == "in" and guarded[a.name].changed()),
    }


def run_wrapper(task: Task, sizes: Sizes, seed: int) -> dict[str, float]:
    """The same through the kernel file's own host function, which has the name of the task."""
    generator = torch.Generator().manual_seed(seed)
    values = task.values(sizes)
    scalars = {a.name: a.value_at(values) for a in task.arguments if a.kind == "scalar"}
    inputs = {a.name: draw(a, values, generator) for a in task.inputs}
    named = {**scalars, **task.constants}
    expected = expected_outputs(task, inputs, named)
    result = call_by_name(getattr(load_module(task.source), task.name), {**named, **inputs})
    outputs = dict(zip(expected, result if isinstance(result, tuple) else (result,), strict=True))
    return {n: relative_error(t, expected[n]) for n, t in outputs.items()}


def cases(files: list[Path]) -> Iterator[tuple[Task, Sizes]]:
    for file in files:
        for task in load_task(file).all_variants():
            yield from ((task, sizes) for sizes in task.sizes["verify"])


def has_wrapper(task: Task) -> bool:
    """Whether the file's host function takes the task's inputs; that of a backward pass wants the forward's results."""
    return task.name != "attention_backward" and hasattr(load_module(task.source), task.name)


def uninterpretable(task: Task) -> bool:
    """The interpreter stores bf16 as 16-bit integers, and its tl.dot multiplies those integers."""
    return any(a.dtype == "bf16" for a in task.arguments) and "tl.dot" in task.source.read_text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    for seed, (task, sizes) in enumerate(cases(options.files)):
        if uninterpretable(task):
            continue
        case = run_case(task, sizes, seed)
        # The wrapper allocates its own outputs, with no guard bands around them.
        if has_wrapper(task) and not case["stray_writes"]:
            case["wrapper_errors"] = run_wrapper(task, sizes, seed)
        print(json.dumps(case), flush=True)


if __name__ == "__main__":
    main()
