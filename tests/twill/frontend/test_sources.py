"""Python sources: which kernel a spec names, what the user's file does on import, what Triton refuses."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ir.diagnostics import Diagnostic, Location, UserError
from ir.loop import Kernel
from twill.frontend.load import FrontendOptions, load_kernel

HEADER = "import triton\nimport triton.language as tl\n\n\n"
COPY = """\
@triton.jit
def copy(x_ptr, n, BLOCK: tl.constexpr):
    for i in range(0, n, BLOCK):
        tl.store(x_ptr + i + tl.arange(0, BLOCK), tl.load(x_ptr + tl.arange(0, BLOCK)))
"""
OPTIONS = FrontendOptions(arguments={"x_ptr": "*fp32", "n": "i32"}, constants={"BLOCK": 64})


def write(tmp_path: Path, body: str, name: str = "mine.py", header: str = HEADER) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + body)
    return path


def load(spec: str | Path) -> Kernel:
    return load_kernel(spec, OPTIONS)


def refused(spec: str | Path) -> Diagnostic:
    with pytest.raises(UserError) as raised:
        load(spec)
    return raised.value.diagnostics[0]


def test_the_only_kernel_needs_no_name(tmp_path: Path) -> None:
    body = "@triton.jit\ndef helper(x):\n    return x\n\n\n" + COPY.replace("x_ptr + i", "helper(x_ptr) + i")
    path = write(tmp_path, body)
    assert load(path).name == "copy" and load(f"{path}:copy").name == "copy"
    assert load(path).source == str(path)


def test_a_decorated_name_and_an_imported_kernel(tmp_path: Path) -> None:
    write(tmp_path, COPY, "library.py")
    tuned = "tuned = triton.autotune([triton.Config({'BLOCK': 32}, num_warps=2)], key=['n'])(copy)\n"
    path = write(tmp_path, f"from library import copy\n{tuned}")
    kernel = load_kernel(f"{path}:tuned", FrontendOptions(arguments=OPTIONS.arguments))
    assert (kernel.name, kernel.warps) == ("copy", 2)
    assert load(f"{path}:copy").warps == 4


def test_a_module_by_its_dotted_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "", "my_package/__init__.py", header="")
    write(tmp_path, "BLOCK = 64\n", "my_package/sizes.py", header="")
    path = write(tmp_path, "from .sizes import BLOCK\n\n\n" + COPY, "my_package/kernels.py")
    monkeypatch.chdir(tmp_path)
    assert load("my_package.kernels:copy").name == "copy"
    # The file of a package is imported as part of it, so that its relative imports work.
    assert load(f"{path}:copy").name == "copy"
    missing = refused("my_package.kernel:copy")
    assert missing.rule == "unknown-module" and "`my_package.kernel`" in missing.message
    assert refused("my_package.kernels.deeper:copy").rule == "unknown-module"


def test_packages_with_a_fault_and_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = write(tmp_path, "x = 1 / 0\n", "broken_package/__init__.py", header="")
    path = write(tmp_path, COPY, "broken_package/kernels.py")
    for spec in (f"{path}:copy", "broken_package.kernels:copy"):
        monkeypatch.chdir(tmp_path)
        diagnostic = refused(spec)
        assert (diagnostic.rule, diagnostic.location) == ("user-code-error", Location(str(broken), 1, 5))
    write(tmp_path, COPY, "bare_package/inner/kernels.py")
    assert load("bare_package.inner.kernels:copy").name == "copy"


def test_a_missing_file_and_an_unknown_kind_of_source(tmp_path: Path) -> None:
    write(tmp_path, COPY)
    missing = refused(tmp_path / "mime.py")
    assert missing.rule == "missing-file" and missing.remedy == f"did you mean {tmp_path / 'mine.py'}?"
    unknown = refused("kernel.cpp")
    assert unknown.rule == "unknown-source" and "file.py[:kernel]" in unknown.remedy


def test_an_unknown_kernel_names_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, COPY + "\n\nnumber = 3\n")
    unknown = refused(f"{path}:cpoy")
    assert (unknown.rule, unknown.location) == ("unknown-kernel", Location(str(path)))
    assert unknown.remedy == "did you mean `copy`? kernels here: copy"
    assert "is no Triton kernel" in refused(f"{path}:number").message


def test_no_kernel_and_several_kernels(tmp_path: Path) -> None:
    assert refused(write(tmp_path, "x = 3\n")).rule == "no-kernel"
    path = write(tmp_path, COPY + "\n\n" + COPY.replace("copy", "other"))
    several = refused(path)
    assert several.rule == "several-kernels" and several.remedy == f"choose one: {path}:copy, {path}:other"


@pytest.mark.parametrize(
    ("body", "line", "column", "message"),
    [
        ("def f(:\n", 5, 7, "invalid syntax"),
        ("x = 1\ny = 1 / 0\n", 6, 5, "ZeroDivisionError: division by zero"),
        ("import not_there_at_all\n", 5, 1, "ModuleNotFoundError"),
        ("import sys\nsys.exit(7)\n", 6, 1, "the file calls exit(7)"),
        ("class E(BaseException):\n    pass\n\n\nraise E('own')\n", 9, 1, "E: own"),
        ("int('x')\n", 5, 1, "ValueError: invalid literal"),
    ],
)
def test_what_the_users_file_raises_is_told_at_its_line(
    tmp_path: Path, body: str, line: int, column: int, message: str
) -> None:
    path = write(tmp_path, body)
    diagnostic = refused(path)
    assert diagnostic.rule == "user-code-error" and message in diagnostic.message
    assert diagnostic.location == Location(str(path), line, column)


def test_what_the_users_file_prints_is_not_in_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    static = COPY.replace("    for", "    tl.static_print('static', BLOCK)\n    for")
    load(write(tmp_path, "print('hello')\n" + static))
    out, err = capsys.readouterr()
    assert out == "" and "hello" in err and "static" in err


def test_a_launch_on_import_is_harmless(tmp_path: Path) -> None:
    body = f"""\
import torch
{COPY}
DEVICE = triton.runtime.driver.active.get_active_torch_device()
x = torch.zeros(64, device=DEVICE)
copy[(1,)](x, 64, BLOCK=64)
assert x.sum() == 1, "the script checks what the kernel did not compute"
"""
    assert load(write(tmp_path, body)).name == "copy"


@pytest.mark.parametrize(
    ("body", "line", "column", "message"),
    [
        ("    x = undefined", 4, 9, "undefined is not defined"),
        ("    tl.arange(0, 100)", 4, 5, "power of 2"),
        ("    tl.static_assert(BLOCK == 3, 'three')", 4, 5, "three"),
        ("    tl.max(tl.zeros([16], tl.float32), axis=7)", 4, 5, "invalid axis 7"),
        ("    with n:\n        pass", 4, 5, ""),
        ("    helper(x_ptr)", 9, 12, "nothing is not defined"),
    ],
)
def test_what_triton_refuses_is_told_at_the_users_line(
    tmp_path: Path, body: str, line: int, column: int, message: str
) -> None:
    head = "@triton.jit\n\ndef copy(x_ptr, n, BLOCK: tl.constexpr):\n"
    helper = "\n\n\n@triton.jit\ndef helper(x):\n    return nothing\n"
    path = write(tmp_path, head + body + helper)
    diagnostic = refused(f"{path}:copy")
    assert diagnostic.rule == "compile-error" and message in diagnostic.message
    assert diagnostic.location is not None and diagnostic.location.file == str(path)
    written = (HEADER + head + body + helper).splitlines()
    first = HEADER.count("\n")
    expected = next(i for i, text in enumerate(written, 1) if "return nothing" in text) if line == 9 else first + line
    assert (diagnostic.location.line, diagnostic.location.column) == (expected, column)


def test_options_that_triton_refuses(tmp_path: Path) -> None:
    path = write(tmp_path, COPY)
    with pytest.raises(UserError, match=re.escape("power of 2")) as raised:
        load_kernel(path, FrontendOptions(OPTIONS.arguments, OPTIONS.constants, num_warps=3))
    assert raised.value.diagnostics[0].rule == "compile-error"


def test_without_triton_the_user_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, COPY)
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(UserError, match="pip install") as raised:
        load(path)
    assert raised.value.diagnostics[0].rule == "missing-part" and raised.value.exit_code == 4


def test_a_gluon_kernel_is_refused(tmp_path: Path) -> None:
    header = "from triton.experimental import gluon\n\n\n"
    path = write(tmp_path, "@gluon.jit\ndef copy(x_ptr, n):\n    pass\n", header=header)
    diagnostic = refused(path)
    assert diagnostic.rule == "gluon-kernel" and diagnostic.location == Location(str(path), 4)
