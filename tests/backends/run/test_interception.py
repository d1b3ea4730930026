"""Triton launches on CPU tensors: aliases, strides, descriptors, autotuning, failures."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from backends.run.devices import DeviceOptions, open_device
from backends.run.interception import LaunchError, LaunchRecord, launches_on
from backends.run.outcome import Status
from backends.run.script import run_script
from ir.diagnostics import UserError

SOURCES = Path(__file__).parent / "sources"
SCRIPT = SOURCES / "add_script.py"
OPTIONS = DeviceOptions(checks=("none",), engine="numpy", instruction_budget=1_000_000)


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launched_kernels", SOURCES / "launched.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def launches() -> Iterator[list[LaunchRecord]]:
    with launches_on(open_device(options=OPTIONS), "sm_90") as records:
        yield records


def test_results_come_back(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    x, y = torch.arange(100.0), torch.ones(100)
    kernels.add_into[(1,)](x, y, 100, 1, BLOCK=128)
    assert torch.equal(y, torch.arange(100.0) + 1)
    (record,) = launches
    assert (record.kernel, record.grid, record.status) == ("add_into", (1, 1, 1), Status.PASSED)
    assert record.shapes == {"x_ptr": (100,), "y_ptr": (100,)}


@pytest.mark.usefixtures("launches")
def test_streams_and_events_are_types_that_libraries_can_name() -> None:
    assert isinstance(torch.cuda.current_stream(), torch.cuda.Stream)
    assert torch.cuda.Stream | None
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    with torch.cuda.device(0), torch.cuda.stream(torch.cuda.Stream(priority=-1)):
        start.record(torch.cuda.current_stream())
        end.record()
    assert start.elapsed_time(end) > 0


def test_views_of_one_storage_share_memory(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    """x and y are interleaved in one storage, at an offset that no vector load could take."""
    storage = torch.arange(41.0)
    x, y = storage[1::2], storage[2::2]
    wanted = storage.clone()
    wanted[2::2] += wanted[1::2]
    kernels.add_strided[(1,)](x, y, 20, x.stride(0), y.stride(0), BLOCK=32)
    assert torch.equal(storage, wanted)


def test_storages_that_overlap_share_memory(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    """Two tensors over one NumPy array have storages of their own over the same bytes."""
    array = torch.arange(64.0).numpy()
    x, y = torch.from_numpy(array[:48]), torch.from_numpy(array[16:])
    assert x.untyped_storage().data_ptr() != y.untyped_storage().data_ptr()
    wanted = y[:48] + x
    before = x[:16].clone()
    kernels.add_into[(1,)](x, y, 48, 1, BLOCK=64)
    assert torch.equal(y, wanted) and torch.equal(x[:16], before) and torch.equal(x[16:], wanted[:32])


def test_a_view_is_no_bound_but_its_storage_is(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    storage = torch.ones(64)
    kernels.add_into[(1,)](torch.ones(64), storage[:32], 64, 1, BLOCK=64)
    assert torch.equal(storage, torch.full((64,), 2.0))
    with pytest.raises(LaunchError, match="out-of-bounds"):
        kernels.add_into[(1,)](torch.ones(64), torch.ones(32), 64, 1, BLOCK=64)


def test_a_failed_launch_leaves_the_tensors_alone(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    y = torch.ones(32)
    with pytest.raises(LaunchError) as caught:
        kernels.add_into[(1,)](torch.ones(64), y, 64, 1, BLOCK=64)
    assert torch.equal(y, torch.ones(32))
    assert launches == [caught.value.record]
    assert caught.value.record.status == Status.FAULT and caught.value.exit_code == 1


def test_alignment_is_that_of_the_device(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    """A tensor that starts 4 bytes into its storage must not be taken for aligned."""
    storage = torch.zeros(129)
    kernels.add_into[(1,)](torch.ones(128), storage[1:], 128, 1, BLOCK=128)
    assert torch.equal(storage[1:], torch.ones(128)) and storage[0] == 0


def test_tuples_descriptors_and_empty_tensors(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    from triton.tools.tensor_descriptor import TensorDescriptor

    x = torch.randn(64, 32, dtype=torch.float16)
    y = torch.zeros_like(x)
    kernels.copy_tiles[(2, 1)](
        TensorDescriptor.from_tensor(x, [32, 32]), (y, torch.empty(0)), x.stride(0), TILE=32
    )  # fmt: skip
    assert torch.equal(x, y)


def test_arguments_of_no_kind(kernels: ModuleType, launches: list[LaunchRecord]) -> None:
    with pytest.raises(UserError, match="no memory"):
        kernels.add_into[(1,)](torch.ones(4, device="meta"), torch.ones(4), 4, 1, BLOCK=16)
    with pytest.raises(UserError, match="bad-arguments"):
        kernels.add_into[(1,)](object(), torch.ones(4), 4, 1, BLOCK=16)
    assert [r.status for r in launches] == [Status.FAULT, Status.FAILED_COMPILE]


def test_nothing_is_left_replaced(kernels: ModuleType) -> None:
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.jit import JITFunction

    before = (Autotuner.run, JITFunction.run, torch.allclose)
    with launches_on(open_device(options=OPTIONS)):
        assert JITFunction.run is not before[1]
        assert not torch.allclose(torch.ones(1), torch.zeros(1))
    assert (Autotuner.run, JITFunction.run, torch.allclose) == before


def test_a_script_runs_unmodified() -> None:
    run = run_script(SCRIPT, ["--n", "300"], open_device(options=OPTIONS))
    assert run.error is None
    assert [(r.kernel, r.status) for r in run.launches] == [
        ("add_kernel", "passed"), ("scale_kernel", "passed"), ("scale_kernel", "passed"),
    ]  # fmt: skip


def test_every_configuration_can_be_run() -> None:
    run = run_script(SCRIPT, ["--n", "300"], open_device(options=OPTIONS), every_config=True)
    assert run.error is None
    assert [r.grid[0] for r in run.launches if r.kernel == "scale_kernel"] == [3, 5, 3, 5]


def test_a_script_ends_at_a_failed_launch() -> None:
    run = run_script(SCRIPT, ["--beyond", "1000"], open_device(options=OPTIONS))
    (launch,) = run.launches
    assert launch.status == Status.FAULT
    assert launch.fault is not None and launch.fault.site is not None and launch.fault.site.location is not None
    assert Path(launch.fault.site.location.file) == SCRIPT


@pytest.mark.parametrize(
    ("text", "rule"),
    [("print('nothing')", "no-launch"), ("1 / 0", "user-code-error"), ("def", "user-code-error")],
)
def test_scripts_that_launch_nothing(tmp_path: Path, text: str, rule: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(text)
    with pytest.raises(UserError, match=rule):
        run_script(script, [], open_device(options=OPTIONS))


def test_a_script_that_finds_its_result_wrong(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(SOURCES)!r})\n{_WRONG}")
    run = run_script(script, [], open_device(options=OPTIONS))
    assert [r.status for r in run.launches] == [Status.PASSED]
    assert run.error is not None and "AssertionError" in run.error.message
    assert run.error.location is not None and run.error.location.line == 5


_WRONG = """import torch, launched
y = torch.ones(16, device="cuda")
launched.add_into[(1,)](torch.ones(16), y, 16, 1, BLOCK=16)
assert torch.allclose(y, torch.ones(16))
"""
