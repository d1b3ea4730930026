"""Captured launches: what Triton's launcher would find, without a GPU, and back from the file to a kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ir.diagnostics import UserError
from twill.frontend.capture import Launch, capture, read_launches, save_launches
from twill.frontend.load import load_kernel

SCRIPT = """\
import sys

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

DEVICE = triton.runtime.driver.active.get_active_torch_device()


@triton.jit
def relu(x):
    return tl.maximum(x, 0.0)


@triton.autotune(
    configs=[triton.Config({"BLOCK": 64}, num_warps=2, num_stages=5), triton.Config({"BLOCK": 128}, num_warps=8)],
    key=["n"],
)
@triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit(do_not_specialize=["seed"])
def tuned(x_ptr, y_ptr, n, one, seed, bias,
          BLOCK: tl.constexpr, EVEN: tl.constexpr, DT: tl.constexpr, ACT: tl.constexpr):
    for i in range(0, n, BLOCK):
        at = i + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + at, mask=at < n).to(DT)
        tl.store(y_ptr + at, ACT(x) + one + seed, mask=at < n)


def set_block(arguments):
    arguments["desc"].block_shape = [arguments["BLOCK"], 16]


@triton.autotune(configs=[triton.Config({"BLOCK": 64}, pre_hook=set_block)], key=["n"])
@triton.jit
def described(desc, n, BLOCK: tl.constexpr):
    acc = tl.zeros([BLOCK, 16], tl.float16)
    for i in range(0, n, BLOCK):
        acc += desc.load([i, 0])
    desc.store([0, 0], acc)


def main():
    torch.manual_seed(0)
    x = torch.rand(1000, device=DEVICE)
    y = torch.empty_like(x)
    assert x.is_cuda and x.device == DEVICE and torch.cuda.is_available()
    grid = lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)
    for n in (1000, 1024, 1024):
        tuned[grid](x, y, n, 1, 16, None, DT=tl.float32, ACT=relu)
    tuned[(2, 3)](x[1:], y, 2**40, 7, 16, 2.5, DT=tl.float16, ACT=relu)
    z = torch.zeros(64, 16, device="cuda", dtype=torch.float16)
    described[(1,)](TensorDescriptor.from_tensor(z, [1, 1]), 64)
    print("argv", sys.argv[1:], torch.cuda.get_device_capability())
    torch.testing.assert_close(x, y)
    model = torch.nn.Linear(4, 4).to("cuda")
    print(model(torch.ones(2, 4).cuda()).shape, triton.testing.do_bench(lambda: None))


if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def launches(script: Path) -> list[Launch]:
    return capture(script, ["--size", "3"])


def test_every_launch_is_recorded_once(launches: list[Launch]) -> None:
    found = [(launch.kernel, launch.grid, launch.count) for launch in launches]
    assert found == [("tuned", (16,), 1), ("tuned", (16,), 2), ("tuned", (2, 3), 1), ("described", (1,), 1)]
    first = launches[0]
    assert (first.num_warps, first.num_stages) == (2, 5)
    assert SCRIPT.splitlines()[first.line - 1].startswith("@triton.autotune")
    assert first.summary.startswith(f"tuned at {first.file}:{first.line}, grid (16,), x_ptr=1000, y_ptr=1000; one=1")


def test_arguments_are_specialised_as_tritons_launcher_does(launches: list[Launch]) -> None:
    first, second, third, described = launches
    assert first.types == {"x_ptr": "*fp32", "y_ptr": "*fp32", "n": "i32", "seed": "i32"}
    assert first.constants == {
        "one": 1, "bias": None, "BLOCK": 64, "EVEN": False, "DT": "tl.fp32", "ACT": "@relu",
    }  # fmt: skip
    assert first.divisible == ("x_ptr", "y_ptr") and second.divisible == ("x_ptr", "y_ptr", "n")
    assert second.constants["EVEN"] is True
    # A view that starts at element 1 is not aligned; 2**40 needs 64 bits; 7 is no constant; 2.5 is a float.
    assert third.types == {"x_ptr": "*fp32", "y_ptr": "*fp32", "n": "i64", "one": "i32", "seed": "i32", "bias": "fp32"}
    assert third.divisible == ("y_ptr", "n")
    assert described.types == {"desc": "tensordesc<fp16[64, 16]>", "n": "i32"}
    assert described.shapes == {"desc": (64, 16)}


def test_launches_survive_the_file_and_compile(launches: list[Launch], tmp_path: Path) -> None:
    path = tmp_path / "launches.json"
    save_launches(launches, path)
    assert read_launches(path) == launches
    kernels = [load_kernel(f"{path}#{i}") for i in range(len(launches))]
    assert [(k.name, k.warps) for k in kernels] == [("tuned", 2), ("tuned", 2), ("tuned", 2), ("described", 4)]
    assert [len(list(k.loops())) for k in kernels] == [1, 1, 1, 1]
    assert set(kernels[2].argument_attributes) == {"y_ptr", "n"}


def test_the_scripts_output_goes_to_stderr_and_the_process_is_left_as_it_was(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    import torch
    import triton
    from triton.runtime.jit import JITFunction

    before = (JITFunction.run, triton.runtime.driver._active, torch.cuda.is_available, list(sys.argv), list(sys.path))
    capture(script, ["a", "b"])
    after = (JITFunction.run, triton.runtime.driver._active, torch.cuda.is_available, list(sys.argv), list(sys.path))
    assert before == after and torch.zeros(1).device.type == "cpu"
    out, err = capsys.readouterr()
    assert out == "" and "argv ['a', 'b'] (9, 0)" in err and "torch.Size([2, 4]) 1.0" in err


def test_a_script_may_fail_after_its_launches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fails.py"
    path.write_text(
        SCRIPT.replace("    z = torch.zeros", "    assert not len(y), 'nothing there'\n    z = torch.zeros")
    )
    assert len(capture(path)) == 3
    assert "AssertionError: nothing there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "rule", "message"),
    [
        ("x = 1 / 0\n", "user-code-error", "ZeroDivisionError"),
        ("import sys\nsys.exit(2)\n", "user-code-error", r"exit\(2\)"),
        ("import sys\nsys.exit()\n", "no-launch", "launches no Triton kernel"),
        ("print('no launch')\n", "no-launch", "launches no Triton kernel"),
    ],
)
def test_a_script_without_a_launch_is_refused(tmp_path: Path, text: str, rule: str, message: str) -> None:
    path = tmp_path / "script.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        capture(path)
    assert raised.value.diagnostics[0].rule == rule


def test_a_missing_script_and_an_unwritable_file_are_refused(tmp_path: Path, launches: list[Launch]) -> None:
    with pytest.raises(UserError, match="missing-file"):
        capture(tmp_path / "none.py")
    with pytest.raises(UserError, match="unwritable-file"):
        save_launches(launches, tmp_path / "no" / "folder.json")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("{", ":1:2"),
        ("[]", ""),
        ('{"launches": [{}]}', ""),
        ('{"launches": [{"kernel": 3}]}', ""),
        ('{"launches": 7}', ""),
        ("\ufeff\x00", ":1"),
    ],
)
def test_a_file_that_holds_no_launches_is_refused(tmp_path: Path, document: str, place: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(document)
    with pytest.raises(UserError, match="bad-capture") as raised:
        load_kernel(f"{path}#0")
    assert str(raised.value.diagnostics[0].location).startswith(f"{path}{place}")


@pytest.mark.parametrize("index", ["4", "-1", "x", ""])
def test_an_unknown_launch_is_refused(tmp_path: Path, launches: list[Launch], index: str) -> None:
    path = tmp_path / "launches.json"
    save_launches(launches, path)
    with pytest.raises(UserError, match="unknown-launch") as raised:
        load_kernel(f"{path}#{index}")
    assert raised.value.diagnostics[0].remedy == f"write {path}#0 to {path}#3"


def test_the_file_has_plain_json(tmp_path: Path, launches: list[Launch]) -> None:
    path = tmp_path / "launches.json"
    save_launches(launches, path)
    document: Any = json.loads(path.read_text())
    assert document["schema_version"] == 1
    assert document["launches"][0]["constants"]["DT"] == "tl.fp32"
