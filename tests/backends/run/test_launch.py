"""Arguments of a launch by name, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.compilers.artifact import Compiled
from backends.compilers.launch import Descriptor
from backends.compilers.task import compile_task
from backends.device import TensorMap
from backends.run.devices import DeviceOptions, architecture_of_target, chosen_checks, open_device
from backends.run.launch import device_arguments, run_compiled
from ir.diagnostics import UserError
from ir.task import load_task

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def double() -> Compiled:
    return compile_task(load_task(Path(__file__).parent / "sources"), {"N": 100}, "sm_80")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"x_ptr": 0, "y_ptr": 0}, "missing-argument"),
        ({"x_ptr": 4, "y_ptr": 0, "n": 100}, "wrong-specialisation"),
        ({"x_ptr": 0, "y_ptr": 0, "n": 100, "BLOCK": 256}, "wrong-specialisation"),
    ],
)
def test_wrong_arguments(double: Compiled, arguments: dict[str, int], rule: str) -> None:
    with pytest.raises(UserError) as caught:
        device_arguments(double, arguments)
    assert caught.value.diagnostics[0].rule == rule


def test_no_programs_are_no_launch(double: Compiled) -> None:
    device = open_device()
    kernel = device.load(double.ptx, double.entry)
    result = run_compiled(device, kernel, double, {"x_ptr": 0, "y_ptr": 0, "n": 0}, (0, 1, 1))
    assert result.is_clean and not result.counters


def test_too_large_a_grid_is_refused(double: Compiled) -> None:
    device = open_device()
    kernel = device.load(double.ptx, double.entry)
    with pytest.raises(UserError, match="grid"):
        run_compiled(device, kernel, double, {"x_ptr": 0, "y_ptr": 0, "n": 0}, (1, 65536, 1))


def test_a_tensor_map_counts_from_the_innermost_dimension() -> None:
    task = load_task(ROOT / "kernels" / "gemm_persistent")
    compiled = compile_task(task, task.sizes["verify"][0], "sm_90")
    arguments = {
        a.parameter: Descriptor(4096, (300, 200), (200, 1))
        if a.kind == "descriptor"
        else a.value_at(task.values(sizes))
        for sizes in task.sizes["verify"][:1]
        for a in task.arguments
    }
    maps = [a for a in device_arguments(compiled, arguments) if isinstance(a, TensorMap)]
    assert maps and all((m.extents, m.strides_bytes, m.dtype) == ((200, 300), (400,), "FLOAT16") for m in maps)
    assert {len(m.box) for m in maps} == {2}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("none",), ()),
        (("race", "memory"), ("memory", "race")),
        (("all",), ("memory", "race", "sync", "async", "init")),
    ],
)
def test_checks_by_name(names: tuple[str, ...], found: tuple[str, ...]) -> None:
    assert chosen_checks(names) == found


@pytest.mark.parametrize(("names", "hint"), [(("rice",), "race"), (("all", "race"), "all"), (("",), "none")])
def test_unknown_checks(names: tuple[str, ...], hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        open_device(options=DeviceOptions(checks=names))


def test_unknown_devices_and_targets() -> None:
    with pytest.raises(UserError, match="emulator"):
        open_device("gpu")
    with pytest.raises(UserError, match="h100"):
        architecture_of_target("h10")
    with pytest.raises(UserError, match="unknown-architecture"):
        architecture_of_target("sm_x")
