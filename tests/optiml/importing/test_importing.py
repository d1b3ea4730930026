"""Problems in the style of KernelBench become tasks whose first kernels are right, or are refused with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backends.run.devices import DeviceOptions
from backends.run.outcome import Status
from backends.run.task import Case, run_case
from ir.diagnostics import UserError
from ir.expression import Expression
from ir.task import load_task
from optiml.cli.main import optiml
from optiml.evaluate.mutations import check_oracle
from optiml.importing.importer import traced
from optiml.importing.problem import read_problem
from optiml.importing.symbols import Family, UnscalableError, united
from optiml.importing.trace import trace_of
from optiml.importing.writing import Files, task_files
from optiml.isolate.client import ZygoteClient

PROBLEMS = Path(__file__).parent / "problems"
REFUSED = PROBLEMS / "refused"
ACCEPTED = {
    "relu": "elementwise", "gelu": "elementwise", "matrix_product": "product", "batched_product": "product",
    "row_softmax": "rows", "layer_norm": "rows", "sum_over_dim": "rows", "transposed_product": "product",
    "linear_relu": "product", "transpose": "elementwise", "rms_norm": "rows", "fixed_sizes": "elementwise",
    "largest_of_rows": "rows",
}  # fmt: skip
# One of each family is enough for every run of the tests.
SLOW = (
    "gelu",
    "batched_product",
    "transposed_product",
    "sum_over_dim",
    "rms_norm",
    "matrix_product",
    "transpose",
    "largest_of_rows",
)


@pytest.fixture(scope="module")
def child() -> Iterator[ZygoteClient]:
    """One child's parent for all: it imports PyTorch once."""
    with ZygoteClient("optiml.importing.tracing:answer", 1, ("torch", "torch._decomp")) as client:
        yield client


def files_of(path: Path, child: ZygoteClient) -> Files:
    problem = read_problem(path)
    return task_files(problem.name, path.name, traced(problem, child))


def written(files: Files, folder: Path) -> Path:
    for name, text in files.texts.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in ACCEPTED])
def test_a_problem_becomes_a_task_that_tells_right_from_wrong_and_a_right_kernel(
    name: str, child: ZygoteClient, tmp_path: Path
) -> None:
    files = files_of(PROBLEMS / f"{name}.py", child)
    assert files.family == ACCEPTED[name]
    task = load_task(written(files, tmp_path))
    findings = list(check_oracle(task))
    assert findings and all(f.passed for f in findings), findings
    for sizes in task.sizes["verify"]:
        outcome = run_case(Case(task, "sm_80", sizes), "emulator", DeviceOptions(time_limit_s=200.0))
        assert outcome.status == Status.PASSED, (dict(sizes), outcome.comparisons, outcome.findings, outcome.fault)


def test_sizes_are_the_files_own_for_the_report_and_smaller_ones_before(child: ZygoteClient, tmp_path: Path) -> None:
    task = load_task(written(files_of(PROBLEMS / "linear_relu.py", child), tmp_path))
    own = {"BATCH_SIZE": 1024, "SEQUENCE": 8, "IN_FEATURES": 512, "OUT_FEATURES": 1024}
    assert task.sizes["report"] == (own,)
    for sizes in (*task.sizes["search"], *task.sizes["verify"]):
        assert all(sizes[name] <= own[name] for name in own) and sizes != own
    shapes = {a.name: tuple(map(str, a.shape)) for a in task.arguments if a.kind != "scalar"}
    assert shapes["x"] == ("BATCH_SIZE", "SEQUENCE", "IN_FEATURES")
    assert shapes["linear_weight"] == ("OUT_FEATURES", "IN_FEATURES") and shapes["linear_bias"] == ("OUT_FEATURES",)


def test_an_axis_is_no_size(child: ZygoteClient, tmp_path: Path) -> None:
    task = load_task(written(files_of(PROBLEMS / "sum_over_dim.py", child), tmp_path))
    assert set(task.sizes["report"][0]) == {"BATCH_SIZE", "DIM1", "DIM2"}
    (out,) = task.outputs
    assert tuple(map(str, out.shape)) == ("BATCH_SIZE", "1", "DIM2")


def test_a_file_without_constants_has_its_own_sizes_alone_and_says_so(child: ZygoteClient) -> None:
    files = files_of(PROBLEMS / "fixed_sizes.py", child)
    assert any("own sizes alone" in w for w in files.warnings) and "# Note:" in files.texts["task.toml"]


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("convolution_3d", "unsupported-operation", "aten.convolution.default"),
        ("scan", "unsupported-operation", "aten.cumsum.default"),
        ("no_model", "no-model", "defines no `Model`"),
        ("no_inputs", "no-inputs", "defines no `get_inputs`"),
        ("branch_on_data", "data-dependent", "take the branch on data out of the model"),
        ("dropout", "forbidden-operation", "draws numbers"),
        ("hostile", "model-fails", "done: [False, False, False, False]"),
        ("ends_the_process", "child-died", "ended with status 3"),
    ],
)
def test_what_cannot_be_a_task_is_refused_with_its_reason(
    name: str, rule: str, says: str, child: ZygoteClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError) as raised:
        files_of(REFUSED / f"{name}.py", child)
    (found,) = raised.value.diagnostics
    assert found.rule == rule and says in found.render(), found.render()


def test_what_is_no_python_is_refused_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import torch\n\nclass Model(:\n    pass\n")
    with pytest.raises(UserError, match="syntax-error") as raised:
        read_problem(file)
    assert f"{file}:3" in str(raised.value)


def test_a_kernel_of_ones_own_is_paired_with_the_models_tensors(child: ZygoteClient, tmp_path: Path) -> None:
    kernel = tmp_path / "scan.cu"
    kernel.write_text(
        "__global__ void scan(const float* x, float* out, int length) {\n"
        "    float sum = 0.0f;\n"
        "    for (int i = 0; i < length; ++i) out[i] = sum += x[i];\n"
        "}\n"
    )
    problem = read_problem(REFUSED / "scan.py")
    task = load_task(written(task_files("scan", "scan.py", traced(problem, child), kernel), tmp_path))
    assert [(a.name, a.role) for a in task.arguments] == [("x", "in"), ("out", "out"), ("length", "in")]
    assert "TODO launch.grid" in (tmp_path / "task.toml").read_text()  # one thread alone: the source does not tell
    kernel.write_text("__global__ void scan(float* x) { x[0] = 1; }")
    with pytest.raises(UserError, match="kernel-mismatch"):
        task_files("scan", "scan.py", traced(problem, child), kernel)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(optiml, list(arguments), standalone_mode=False)


def test_the_command_writes_the_task_and_never_over_one(tmp_path: Path) -> None:
    out = tmp_path / "task"
    first = run("import", f"kernelbench:{PROBLEMS / 'relu.py'}", "--out", str(out))
    assert first.exit_code == 0 and sorted(p.name for p in out.iterdir()) == ["reference.py", "relu.py", "task.toml"]
    again = run("import", f"kernelbench:{PROBLEMS / 'relu.py'}", "--out", str(out))
    assert isinstance(again.exception, UserError) and "file-exists" in str(again.exception)


@pytest.mark.parametrize("spec", ["relu.py", "other:relu.py", "kernelbench:"])
def test_another_spec_is_refused(spec: str) -> None:
    with pytest.raises(UserError, match="unknown-collection"):
        raise run("import", spec).exception  # type: ignore[misc]


FORGERIES = [
    {},
    {"inputs": 3},
    {"inputs": [], "parameters": [], "nodes": [{"name": "x", "op": "os.system"}], "outputs": []},
    {
        "inputs": [{"name": "x); import os", "dtype": "float32", "shape": [1]}],
        "parameters": [],
        "nodes": [],
        "outputs": [],
    },
    {"inputs": [{"name": "x", "dtype": "float32\n", "shape": [1]}], "parameters": [], "nodes": [], "outputs": []},
    {"inputs": [], "parameters": [], "nodes": [], "outputs": ["a b"]},
]


@pytest.mark.parametrize("forged", FORGERIES, ids=lambda f: json.dumps(f)[:30])
def test_a_forged_trace_is_refused(forged: object) -> None:
    with pytest.raises(UserError, match="bad-trace"):
        trace_of(forged)


@pytest.mark.parametrize("argument", [{"text": "'); import os #"}, {"code": "x"}, {"ref": "1"}, {"dtype": "int"}])
def test_a_forged_argument_is_refused(argument: dict[str, str]) -> None:
    node = {"name": "y", "op": "aten.relu.default", "args": [argument], "kwargs": {}, "dtype": "float32", "shape": [1]}
    with pytest.raises(UserError, match="bad-trace"):
        trace_of({"inputs": [], "parameters": [], "nodes": [node], "outputs": ["y"]})


ROWS = Family(({"A": 12, "B": 5}, {"A": 4, "B": 7}, {"A": 6, "B": 2}))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3, 3, 3], "3"), ([12, 4, 6], "A"), ([60, 28, 12], "A * B"), ([24, 8, 12], "A * 2"), ([6, 2, 3], "A // 2"),
        ([17, 11, 8], "A + B"), ([10, 2, 4], "A - 2"), ([6, 8, 3], "B + 1"),
    ],
)  # fmt: skip
def test_numbers_become_expressions_of_the_sizes(numbers: list[int], text: str) -> None:
    found = ROWS.expression(numbers)
    assert found == Expression.parse(text)


def test_what_differs_otherwise_does_not_scale() -> None:
    for values in ([1, 2, 4], ["a", "b", "a"], [(1,), (1, 2), (1,)], [1, 1.0, 1]):
        with pytest.raises(UnscalableError):
            united(ROWS, values)
    assert united(ROWS, [(12.0, "x"), (4.0, "x"), (6.0, "x")]) == (Expression.parse("A"), "x")


def test_the_childs_environment_has_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "sesame")
    assert "SECRET_KEY" in os.environ
    file = tmp_path / "peeks.py"
    file.write_text(
        "import os\nfrom torch import nn\nsize = 8\n"
        "class Model(nn.Module):\n    def forward(self, x):\n        raise RuntimeError(sorted(os.environ))\n"
        "def get_inputs():\n    import torch\n    return [torch.rand(size)]\n"
    )
    with ZygoteClient("optiml.importing.tracing:answer", 1) as client, pytest.raises(UserError) as raised:
        files_of(file, client)
    assert "PYTHONPATH" in str(raised.value) and "SECRET_KEY" not in str(raised.value)
