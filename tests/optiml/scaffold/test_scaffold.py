"""A first task for kernels of all sorts: as complete as the source allows, with what it does not tell by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backends.run.devices import DeviceOptions
from backends.run.outcome import Status
from backends.run.task import Case, run_case
from ir.diagnostics import UserError
from ir.task import Task, load_task
from optiml.scaffold import scaffold

KERNELS = Path(__file__).parent / "kernels"
SHIPPED = Path(__file__).parents[3] / "kernels"
# What a user writes into each reference.
REFERENCES = {
    "saxpy.cu": 'return {"y": a * x + y}',
    "dot.cu": 'return {"result": result + (a * b).sum()}',
    "transpose_batched.cu": 'return {"out": in_.transpose(1, 2).contiguous()}',
    "jacobi.cu": (
        "v = u.clone()\n"
        "    s = u[1:-1, :-2] + u[1:-1, 2:] + u[:-2, 1:-1] + u[2:, 1:-1]\n"
        "    v[1:-1, 1:-1] = (1 - w) * u[1:-1, 1:-1] + w * 0.25 * s\n"
        '    return {"v": v}'
    ),
    "add_relu.py": 'return {"output": torch.relu(x + y)}',
}


def begun(source: Path, folder: Path, entry: str = "") -> Task:
    shutil.copy(source, folder)
    for name, text in scaffold(folder / source.name, entry).items():
        (folder / name).write_text(text)
    return load_task(folder)


@pytest.mark.parametrize("name", REFERENCES)
def test_only_the_reference_is_left_to_write_and_the_task_runs(name: str, tmp_path: Path) -> None:
    task = begun(KERNELS / name, tmp_path)
    todo = [line for line in (tmp_path / "task.toml").read_text().splitlines() if line.startswith("# TODO")]
    assert todo[-1] == "# TODO reference.py: what the kernel computes"
    assert all("dtype" in line for line in todo[:-1])
    file = tmp_path / "reference.py"
    raised = next(line for line in file.read_text().splitlines() if "raise NotImplementedError" in line)
    file.write_text(file.read_text().replace(raised, f"    {REFERENCES[name]}"))
    for sizes in task.sizes["verify"]:
        outcome = run_case(Case(task, "sm_80", sizes), "emulator", DeviceOptions(time_limit_s=200.0))
        assert outcome.status == Status.PASSED, (dict(sizes), outcome.comparisons, outcome.diagnostics, outcome.fault)


def facts(task: Task) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {a.name: (a.role, tuple(map(str, a.shape))) for a in task.arguments if a.kind != "scalar"}


def test_shapes_roles_and_launch_of_a_batched_transpose(tmp_path: Path) -> None:
    task = begun(KERNELS / "transpose_batched.cu", tmp_path)
    assert facts(task) == {"out": ("out", ("BATCH", "COLS", "ROWS")), "in_": ("in", ("BATCH", "ROWS", "COLS"))}
    assert tuple(map(str, task.launch.grid)) == ("cdiv(COLS, 32)", "cdiv(ROWS, 32)", "BATCH")
    assert tuple(map(str, task.launch.block)) == ("32", "32")


def test_template_arguments_become_constants(tmp_path: Path) -> None:
    task = begun(KERNELS / "jacobi.cu", tmp_path)
    assert task.entry == "jacobi2d<float, BX, BY>" and dict(task.constants) == {"BX": 32, "BY": 8}
    assert tuple(map(str, task.launch.block)) == ("BX", "BY")


def test_an_atomic_sum_is_one_element_that_is_read_and_written(tmp_path: Path) -> None:
    assert facts(begun(KERNELS / "dot.cu", tmp_path))["result"] == ("inout", ("1",))


def test_constants_and_warps_of_a_launch_in_the_file(tmp_path: Path) -> None:
    task = begun(KERNELS / "add_relu.py", tmp_path)
    assert dict(task.constants) == {"BLOCK_SIZE": 1024} and task.launch.num_warps == 8
    assert tuple(map(str, task.launch.grid)) == ("cdiv(N_ELEMENTS, BLOCK_SIZE)",)


@pytest.mark.parametrize(
    ("folder", "entry"),
    [("layer_norm", "layer_norm_kernel"), ("cross_entropy", "cross_entropy_kernel"), ("linear_attention", "")],
)
def test_shapes_of_shipped_kernels_are_those_of_their_tasks(folder: str, entry: str, tmp_path: Path) -> None:
    shipped = load_task(SHIPPED / folder)
    mine = begun(SHIPPED / folder / "kernel.py", tmp_path, entry or shipped.entry)
    assert [s for _, s in facts(mine).values()] == [s for _, s in facts(shipped).values()]


@pytest.mark.parametrize("name", ["stencil", "scan", "reduction", "gemm_cp_async", "spmv"])
def test_what_a_source_does_not_tell_is_a_todo(name: str, tmp_path: Path) -> None:
    shipped = load_task(SHIPPED / name)
    begun(SHIPPED / name / "kernel.cu", tmp_path, shipped.entry.partition("<")[0])
    assert "# TODO launch.grid" in (tmp_path / "task.toml").read_text()


@pytest.mark.parametrize(
    ("text", "suffix", "rule"),
    [
        ("#define P float* x\n__global__ void f(P) { x[0] = 1; }", ".cu", "macro-parameters"),
        ("int main() {}", ".cu", "no-kernel"),
        ("__global__ void f(int* x) {}\n__global__ void g(int* x) {}", ".cu", "several-kernels"),
        ("def f(:", ".py", "user-code-error"),
        ("", ".txt", "unsupported-source"),
    ],
)
def test_what_is_no_kernel_is_refused(text: str, suffix: str, rule: str, tmp_path: Path) -> None:
    file = tmp_path / f"kernel{suffix}"
    file.write_text(text)
    with pytest.raises(UserError, match=rule):
        scaffold(file)
