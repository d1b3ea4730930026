"""No shipped kernel carries a value for the bounds of inner loops alone, which Triton before 3.8 miscompiles."""

from __future__ import annotations

from pathlib import Path

import pytest
from carried import only_bounding

from ir.task import Task, load_task, task_files
from twill.frontend.generic import Node, read_generic

pytest.importorskip("triton")
pytest.importorskip("torch")

KERNELS = Path(__file__).parents[2] / "kernels"
TASKS = [task for task in map(load_task, task_files(KERNELS)) if task.language == "triton"]
SOURCE = """\
import triton
import triton.language as tl


@triton.jit
def kernel(out, ends, groups):
    at, count = 0, 0
    for group in tl.range(0, groups):
        end = tl.load(ends + group)
        for i in tl.range({bounds}):
            tl.store(out + {place}, i)
        at += end
        count += 1
"""


def module_of(task: Task) -> Node:
    from backends.compilers.triton import load_task_kernel

    signature, constants = task.triton_signature(), dict(task.constants)
    return compiled(load_task_kernel(task), signature, constants, int(task.targets[0].removeprefix("sm_")))


def compiled(kernel: object, signature: dict[str, str], constants: dict[str, object], capability: int) -> Node:
    from backends.compilers.triton_adaptor import Request, compile_ttir
    from backends.compilers.triton_function import constant_value, unwrap

    found = unwrap(kernel)
    assert found is not None
    values = {name: constant_value(found, value) for name, value in constants.items()}
    return read_generic(compile_ttir(found.function, Request(signature, values, {}, capability, 4, 3)))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_value_is_carried_for_bounds_alone(task: Task) -> None:
    assert only_bounding(module_of(task)) == []


@pytest.mark.parametrize(
    ("bounds", "place", "count"),
    [
        ("at, end", "i", 1), ("0, at", "i", 1), ("0, end, at + 1", "i", 1),
        ("at, end", "i + at", 0), ("0, end", "i + at", 0), ("0, end", "i", 0), ("at, end, count + 1", "i", 2),
        ("at, end", "i + count", 1),
    ],
)  # fmt: skip
def test_such_a_value_is_found(tmp_path: Path, bounds: str, place: str, count: int) -> None:
    from backends.compilers.python_source import import_file

    source = tmp_path / "kernel.py"
    source.write_text(SOURCE.format(bounds=bounds, place=place))
    signature = {"out": "*i32", "ends": "*i32", "groups": "i32"}
    assert len(only_bounding(compiled(import_file(source).kernel, signature, {}, 80))) == count
