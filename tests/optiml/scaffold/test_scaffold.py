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


_AT = "int i = blockIdx.x * blockDim.x + threadIdx.x;"
_ROW = "int r = blockIdx.y * 8 + threadIdx.y; int c = blockIdx.x * 32 + threadIdx.x;"
# What is not told -> parameters and body of a kernel that leaves just that open.
UNTOLD = {
    "shape of `x`": ("float* y, const float* x, const int* at, int n", f"{_AT} if (i < n) y[i] = x[at[i]];"),
    "shape of `z`": ("float* z, const float* x, int n", f"{_AT} if (i < n) z[2 * i + 1] = x[i];"),
    "shape of `halves`": ("float* y, const float* halves, int n", f"{_AT} if (i < n) y[i] = halves[i + n];"),
    "shape of `ends`": ("int* y, const int* ends, int n", f"{_AT} if (i < n) y[i] = ends[i + 1] - ends[i];"),
    "shape of `valid`": ("float* valid, const float* w, int n, int k", f"{_AT} if (i < n - k + 1) valid[i] = w[0];"),
    "shape of `bias`": ("float* y, const float* bias, int n, int m", f"{_AT} if (i < n) y[i] = bias[i % m];"),
    "shape of `group`": ("float* y, const float* group, int n, int m", f"{_AT} if (i < n) y[i] = group[i / m];"),
    "shape of `two`": (
        "float* y, const float* two, const float* z, int n, int m",
        f"{_AT} if (i < n) {{ for (int j = 0; j < n; ++j) y[i] += z[j]; for (int j = 0; j < m; ++j) y[i] += two[j]; }}",
    ),
    "shape of `rim`": (
        "float* v, const float* rim, int h, int w",
        f"{_ROW} if (r < h && c < w) v[r * w + c] = rim[(r + 1) * (w + 2) + c + 1];",
    ),
    "shape of `small`": ("float* small, int h, int w", f"{_ROW} if (r < h / 2 && c < w) small[r * w + c] = 1;"),
    "shape of `named`": (
        "float* y, const float* named, int n",
        f"{_AT} const float* p = named + n; if (i < n) y[i] = p[i] + named[i];",
    ),
    "value of `ld`": ("float* a, int h, int w, int ld", f"{_ROW} if (r < h && c < w) a[r * ld + c] = 1;"),
    "value of `m`": ("float* y, int n, int m", f"{_AT} if (i < n) y[i] = m;"),
    "launch.block: `c` must go up to W": (
        "float* y, int h, int w",
        "int r = blockIdx.x, c = threadIdx.x; if (r < h && c < w) y[r * w + c] = 1;",
    ),
    "launch.grid": (
        "float* y, int h, int w",
        "int t = (w + 31) / 32; int r = blockIdx.x / t * 8 + threadIdx.y; int c = blockIdx.x % t * 32 + threadIdx.x;"
        " if (r < h && c < w) y[r * w + c] = 1;",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNTOLD)
def test_nothing_is_guessed_in_silence(what: str, tmp_path: Path) -> None:
    parameters, body = UNTOLD[what]
    file = tmp_path / "kernel.cu"
    file.write_text(f"__global__ void f({parameters}) {{ {body} }}")
    text = scaffold(file)["task.toml"]
    assert f"# TODO {what}" in text, text


def test_distances_of_rows_are_taken_for_those_without_gaps(tmp_path: Path) -> None:
    parameters, body = UNTOLD["value of `ld`"]
    (tmp_path / "source").mkdir()
    file = tmp_path / "source" / "kernel.cu"
    file.write_text(f"__global__ void f({parameters}) {{ {body} }}")
    task = begun(file, tmp_path)
    assert facts(task) == {"a": ("out", ("H", "W"))}
    assert [str(a.value) for a in task.arguments if a.kind == "scalar"] == ["H", "W", "W"]


def test_a_size_of_its_own_is_named_unlike_a_parameter(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    file = tmp_path / "source" / "kernel.cu"
    body = "int row = blockIdx.x; for (int c = threadIdx.x; c < cols; c += blockDim.x) y[row * cols + c] = rows;"
    file.write_text(f"__global__ void f(float* y, int rows, int cols) {{ {body} }}")
    assert facts(begun(file, tmp_path))["y"][1] == ("ROW_COUNT", "COLS")
