"""Every reference runs on the CPU in fp64: shapes and dtypes as declared, finite values, inputs left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir.task import Sizes, Task, load_task, task_files

torch = pytest.importorskip("torch")
interpret = pytest.importorskip("interpret")

KERNELS = Path(__file__).parents[2] / "kernels"
CASES = [
    (task, sizes)
    for file in task_files(KERNELS)
    for task in load_task(file).all_variants()
    for sizes in task.sizes["verify"]
    if task.language != "triton"  # those are run beside their kernels
]


def case_id(case: tuple[Task, Sizes]) -> str:
    task, sizes = case
    return "-".join([task.name, task.variant_name or "default", *map(str, sizes.values())])


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_reference(case: tuple[Task, Sizes]) -> None:
    task, sizes = case
    values = task.values(sizes)
    generator = torch.Generator().manual_seed(0)
    tensors = {a.name: interpret.draw(a, values, generator) for a in task.inputs}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    scalars = {a.name: a.value_at(values) for a in task.arguments if a.kind == "scalar"}
    outputs = interpret.expected_outputs(task, tensors, {**scalars, **task.constants})

    assert set(outputs) == {a.name for a in task.outputs}
    for argument in task.outputs:
        output, declared = outputs[argument.name], interpret.DTYPES[argument.dtype]
        assert tuple(output.shape) == argument.shape_at(values)
        assert output.dtype == (torch.float64 if declared.is_floating_point else declared)
        assert torch.isfinite(output).all()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())
