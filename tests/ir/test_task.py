"""Task files: what is read from a good one, and what is said, with line and column, of each kind of fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir.diagnostics import Diagnostic, UserError
from ir.expression import Expression, ExpressionError
from ir.task import Task, load_task, task_files

GOOD = """\
name = "scale"
source = "kernel.py"
entry = "scale_kernel"
reference = "reference.py:scale"
targets = ["sm_90"]
tolerance = 1e-3

[[argument]]
name = "x"
parameter = "x_ptr"
role = "in"
dtype = "fp16"
shape = ["ROWS", "COLS"]
distribution = { kind = "uniform", low = -1, high = "COLS" }

[[argument]]
name = "y"
kind = "descriptor"
role = "out"
dtype = "bf16"
shape = ["ROWS", "COLS"]
block = ["1", "BLOCK"]

[[argument]]
name = "cols"
kind = "scalar"
dtype = "i32"
value = "COLS"

[[argument]]
name = "factor"
kind = "scalar"
dtype = "fp32"
value = 0.5

[constants]
BLOCK = 64
FAST = true

[launch]
grid = ["cdiv(ROWS * COLS, BLOCK)", 2]
num_warps = 8

[sizes]
search = [{ ROWS = 2, COLS = 64 }]
verify = [{ ROWS = 0, COLS = 3 }]

[variant.wide]
constants = { BLOCK = 256 }

[variant.wide.argument]
factor = { value = 2.0 }
x = { dtype = "fp32" }

[variant.wide.sizes]
search = [{ ROWS = 1, COLS = 512 }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kernel.py").write_text("def scale_kernel(): ...\n")
    (tmp_path / "reference.py").write_text("def scale(): ...\n")
    return tmp_path


def load(folder: Path, text: str = GOOD) -> Task:
    (folder / "task.toml").write_text(text)
    return load_task(folder)


def faults(folder: Path, text: str) -> list[Diagnostic]:
    with pytest.raises(UserError) as caught:
        load(folder, text)
    return list(caught.value.diagnostics)


def test_every_part_is_read(folder: Path) -> None:
    task = load(folder)
    assert (task.name, task.entry, task.targets, task.tolerance) == ("scale", "scale_kernel", ("sm_90",), 1e-3)
    assert (task.source, task.reference_file) == (folder / "kernel.py", folder / "reference.py")
    assert task.reference_function == "scale"
    assert [a.name for a in task.inputs] == ["x"]
    assert [a.name for a in task.outputs] == ["y"]
    assert task.constants == {"BLOCK": 64, "FAST": True}
    assert (task.launch.num_warps, task.launch.num_stages, task.launch.num_ctas) == (8, 3, 1)
    assert task.sizes == {"search": ({"ROWS": 2, "COLS": 64},), "verify": ({"ROWS": 0, "COLS": 3},), "report": ()}


def test_the_file_itself_is_a_path_too(folder: Path) -> None:
    task = load(folder)
    assert load_task(folder / "task.toml") == task
    assert task_files(folder) == (folder / "task.toml",)


def test_sizes_fill_in_the_expressions(folder: Path) -> None:
    task = load(folder)
    sizes = {"ROWS": 3, "COLS": 100}
    x, _, cols, factor = task.arguments
    values = task.values(sizes)
    assert task.grid(sizes) == (5, 2, 1)
    assert x.shape_at(values) == (3, 100)
    assert x.distribution.bounds(values) == (-1.0, 100)
    assert (cols.value_at(values), factor.value_at(values)) == (100, 0.5)
    assert x.element_bits == 16


def test_triton_signature_and_attributes(folder: Path) -> None:
    task = load(folder)
    assert task.triton_signature() == {
        "x_ptr": "*fp16", "y": "tensordesc<bf16[1, 64]>", "cols": "i32", "factor": "fp32",
        "BLOCK": "constexpr", "FAST": "constexpr",
    }  # fmt: skip
    assert list(task.triton_attributes({"ROWS": 1, "COLS": 32})) == [(0,), (2,)]
    assert task.triton_attributes({"ROWS": 1, "COLS": 33}) == {(0,): [["tt.divisibility", 16]]}


def test_a_variant_overrides_key_by_key(folder: Path) -> None:
    task = load(folder)
    wide = task.variant("wide")
    assert task.variants == ("wide",)
    assert (task.variant_name, wide.variant_name) == ("", "wide")
    assert wide.constants == {"BLOCK": 256, "FAST": True}
    assert wide.arguments[3].value == 2.0
    assert [a.dtype for a in wide.arguments] == ["fp32", "bf16", "i32", "fp32"]
    assert wide.sizes["search"] == ({"ROWS": 1, "COLS": 512},)
    assert wide.sizes["verify"] == task.sizes["verify"]
    assert wide.grid({"ROWS": 1, "COLS": 512}) == (2, 2, 1)
    assert task.all_variants() == (task, wide)


def test_an_unknown_variant_lists_the_known(folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(folder).variant("narrow")
    [fault] = caught.value.diagnostics
    assert (fault.rule, fault.remedy) == ("unknown-variant", "the variants are: wide")


CUDA = """\
name = "scale"
source = "kernel.cu"
entry = "scale<T, BLOCK, 2>"
reference = "reference.py:scale"
targets = ["sm_80", "sm_90a"]

[[argument]]
name = "x"
role = "inout"
dtype = "fp32"
shape = ["N"]

[[argument]]
name = "flags"
role = "scratch"
dtype = "i32"
shape = ["cdiv(N, BLOCK)"]
distribution = "zeros"

[constants]
T = "float"
BLOCK = 64

[compile]
defines = { WIDTH = "BLOCK", FAST = true, NAME = "name" }
std = "c++20"
include = ["headers"]

[launch]
grid = ["cdiv(N, BLOCK)", 2]
block = ["BLOCK", 2]
smem_bytes = "4 * BLOCK"
cluster = [2]
cooperative = true

[sizes]
verify = [{ N = 100 }]

[variant.hopper]
entry = "scale_hopper"
targets = ["sm_90a"]
compile = { fast_math = true }

[variant.hopper.launch]
cooperative = false
"""


@pytest.fixture
def cuda_folder(folder: Path) -> Path:
    (folder / "kernel.cu").touch()
    (folder / "headers").mkdir()
    return folder


def test_every_part_of_a_cuda_task_is_read(cuda_folder: Path) -> None:
    task = load(cuda_folder, CUDA)
    sizes = {"N": 100}
    assert (task.language, task.name_expression) == ("cuda", "scale<float, 64, 2>")
    assert (task.grid(sizes), task.block(sizes), task.cluster(sizes)) == ((2, 2, 1), (64, 2, 1), (2, 1, 1))
    assert (task.smem_bytes(sizes), task.launch.cooperative) == (256, True)
    assert task.compile.defines == {"WIDTH": "64", "FAST": "true", "NAME": "name"}
    assert (task.compile.std, task.compile.fast_math) == ("c++20", False)
    assert task.compile.include == (cuda_folder / "headers",)


def test_scratch_is_filled_and_is_no_output(cuda_folder: Path) -> None:
    task = load(cuda_folder, CUDA)
    assert [a.name for a in task.inputs] == ["x", "flags"]
    assert [a.name for a in task.outputs] == ["x"]


def test_a_variant_has_its_own_entry_targets_and_launch(cuda_folder: Path) -> None:
    task = load(cuda_folder, CUDA).variant("hopper")
    assert (task.name_expression, task.targets) == ("scale_hopper", ("sm_90a",))
    assert (task.compile.fast_math, task.compile.std, task.launch.cooperative) == (True, "c++20", False)


@pytest.mark.parametrize(
    "decorators,language",
    [
        ("@triton.jit", "triton"),
        ("@gluon.jit", "gluon"),
        ("@triton.autotune([], [])\n@gluon.jit(debug=True)", "gluon"),
        ("@gluon.jit\ndef other(): ...\n@triton.jit", "triton"),
        ("this is no Python\n", "triton"),
    ],
)
def test_the_decorator_tells_triton_from_gluon(folder: Path, decorators: str, language: str) -> None:
    (folder / "kernel.py").write_text(f"{decorators}\ndef scale_kernel(): ...\n")
    assert load(folder).language == language


@pytest.mark.parametrize(
    "old,new,line,message",
    [
        ('"scale<T, BLOCK, 2>"', '"scale<T, BLOCK, 2"', 3, "is no cuda kernel's name"),
        ('"scale<T, BLOCK, 2>"', '"scale; drop"', 3, "is no cuda kernel's name"),
        ('"sm_90a"]\n\n', '"hopper"]\n\n', 5, "`targets` has `hopper`"),
        ("cooperative = true", "cooperative = 1", 34, "must be true or false"),
        ("cluster = [2]", "num_warps = 8", 33, "unknown key `num_warps`"),
        ('block = ["BLOCK", 2]\n', "", 29, "`block` is missing in [launch]"),
        ('"c++20"', '"c++11"', 26, "`std` is `c++11`"),
        ('["headers"]', '["header"]', 27, "which is no folder"),
        ("FAST = true", "FAST = []", 25, "must be a number, a string"),
        ('role = "scratch"', 'role = "scrach"', 15, "`role` is `scrach`"),
    ],
)
def test_faults_in_cuda_tasks(cuda_folder: Path, old: str, new: str, line: int, message: str) -> None:
    assert CUDA.count(old) == 1
    found = faults(cuda_folder, CUDA.replace(old, new))
    assert (line, True) in [(f.location.line, message in f.message) for f in found if f.location]


def test_an_unknown_suffix_and_a_cuda_table_for_triton(folder: Path) -> None:
    (folder / "kernel.c").touch()
    [fault] = faults(folder, GOOD.replace("kernel.py", "kernel.c"))
    assert (fault.rule, fault.location and fault.location.line) == ("bad-value", 2)
    [fault] = faults(folder, GOOD.replace("[launch]", "[compile]\nfast_math = true\n\n[launch]"))
    assert (fault.rule, fault.message) == ("unknown-key", "unknown key `compile`")


def test_the_documented_cuda_keys_are_read(cuda_folder: Path) -> None:
    """The README's excerpt in place of the same keys and tables of a Triton task."""
    readme = (Path(__file__).parents[2] / "kernels" / "README.md").read_text()
    excerpt = readme.split("```toml\n")[2].split("```")[0]
    head, tables = excerpt.split("\n\n", 1)
    arguments = GOOD[GOOD.index("[[argument]]") : GOOD.index("[constants]")]
    rest = 'name = "scale"\nreference = "reference.py:scale"\ntargets = ["sm_90"]'
    sizes = "[sizes]\nverify = [{ ROWS = 3, COLS = 5 }]\n"
    task = load(cuda_folder, f"{rest}\n{head}\n\n{arguments}\n{tables}\n{sizes}")
    assert task.name_expression == "scale<float, 256>"
    assert task.compile.defines == {"UNROLL": "4", "WIDTH": "256"}


# Rule -> what to replace in the good file, by what, the place, a part of the message, a part of the remedy.
FAULTS: dict[str, tuple[str, str, tuple[int, int], str, str]] = {
    "toml-syntax": ("tolerance = 1e-3", "tolerance = ", (6, 13), "Invalid value", ""),
    "missing-file": ("kernel.py", "kernl.py", (2, 1), "kernl.py, which is no file", ""),
    "missing-key": ('grid = ["cdiv(ROWS * COLS, BLOCK)", 2]\n', "", (40, 2), "`grid` is missing in [launch]", "list"),
    "unknown-key": ("num_warps = 8", "num_warp = 8", (42, 1), "unknown key `num_warp`", "did you mean `num_warps`?"),
    "bad-type": ("num_warps = 8", "num_warps = true", (42, 1), "must be an integer, and is True", ""),
    "bad-value": ('dtype = "bf16"', 'dtype = "bf61"', (20, 1), "`dtype` is `bf61`", "did you mean `bf16`?"),
    "bad-expression": ('"cdiv(ROWS * COLS, BLOCK)"', '"ROWS ** 2"', (41, 1), "`ROWS ** 2` is not allowed", ""),
    "missing-symbol": ("ROWS = 0, COLS = 3", "ROWS = 0", (46, 1), "a size set lacks `COLS`", "every symbol"),
    "unknown-symbol": ('value = "COLS"', 'value = "COL"', (28, 1), "no size or constant `COL`", "did you mean `COLS`?"),
}


@pytest.mark.parametrize("rule", FAULTS)
def test_each_fault_is_placed(folder: Path, rule: str) -> None:
    old, new, place, message, remedy = FAULTS[rule]
    assert GOOD.count(old) == 1
    [fault] = faults(folder, GOOD.replace(old, new))
    assert fault.rule == rule
    assert fault.location is not None
    assert (fault.location.file, fault.location.line, fault.location.column) == (str(folder / "task.toml"), *place)
    assert message in fault.message
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    "old,new,line,message",
    [
        ("constants = { BLOCK = 256 }", "constants = { BLOK = 256 }", 49, "unknown constant `BLOK`"),
        ("constants = { BLOCK = 256 }", "constant = { BLOCK = 256 }", 49, "unknown key `constant`"),
        ("factor = { value = 2.0 }", "facto = { value = 2.0 }", 52, "no entry `facto`"),
        ('x = { dtype = "fp32" }', 'x = { dtype = "f32" }', 53, "`dtype` is `f32`"),
        ("num_warps = 8", "num_warps = 0", 42, "must be at least 1"),
        ('role = "out"', 'roll = "out"', 19, "unknown key `roll`"),
        ("COLS = 64 }", 'COLS = "64" }', 45, "must be an integer"),
    ],
)  # fmt: skip
def test_faults_in_variants_and_rows(folder: Path, old: str, new: str, line: int, message: str) -> None:
    assert GOOD.count(old) == 1
    found = faults(folder, GOOD.replace(old, new))
    assert (line, True) in [(f.location.line, message in f.message) for f in found if f.location]


def test_all_faults_are_reported_at_once_in_file_order(folder: Path) -> None:
    text = GOOD.replace("kernel.py", "kernl.py").replace("num_warps", "num_wraps").replace('"COLS"\n', '"COL"\n')
    lines = [f.location.line for f in faults(folder, text) if f.location]
    assert lines == sorted(lines)
    assert len(lines) == 3


def test_a_missing_task_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_task(tmp_path)
    assert [d.rule for d in caught.value.diagnostics] == ["missing-file"]


@pytest.mark.parametrize(
    "text", ["1.5", "a / b", "a if b else c", "__import__('os')", "cdiv(1)", "min(1)", "a.b", "x[0]", "f(2, 3)", "~a",
             "min(*a, 1)", "True", "", "1 +", "cdiv(a, b=2)", "lambda: 1", "'a'"],
)  # fmt: skip
def test_expressions_outside_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression.parse(text)


def test_an_expression_error_has_the_column() -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression.parse("a + b ** 2")
    assert caught.value.column == 5


def test_expressions_without_a_value() -> None:
    with pytest.raises(ExpressionError, match="needs a"):
        Expression.parse("a + 1").evaluate({})
    with pytest.raises(ExpressionError, match="divides by zero"):
        Expression.parse("1 // a").evaluate({"a": 0})


def _texts() -> Any:
    leaves = st.integers(0, 99).map(str) | st.sampled_from("ab")
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner)
            | st.builds("max({}, {})".format, inner, inner)
            | st.builds("-{}".format, inner)
        ),
        max_leaves=8,
    )


@given(_texts(), st.integers(-9, 9), st.integers(-9, 9))
def test_values_are_pythons(text: str, a: int, b: int) -> None:
    """The evaluator against Python itself, on texts made here."""
    values = {"a": a, "b": b}
    try:
        expected = eval(text, {"max": max}, values)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError):
            Expression.parse(text).evaluate(values)
        return
    assert Expression.parse(text).evaluate(values) == expected


def test_the_documented_example_loads(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "kernels" / "README.md").read_text()
    (tmp_path / "kernel.py").touch()
    (tmp_path / "reference.py").touch()
    task = load(tmp_path, readme.split("```toml\n")[1].split("```")[0])
    assert task.variant("narrow").arguments[0].dtype == "bf16"
    assert task.variant("narrow").constants == {"BLOCK": 128}
