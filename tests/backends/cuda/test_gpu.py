"""The GPU as a device, where there is one: right results, faults as values, times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.cuda.device import CudaDevice
from backends.cuda.driver import Driver
from backends.cuda.timing import Stopwatch
from backends.device import LaunchConfig
from backends.run.devices import DeviceOptions, open_device, own_targets
from backends.run.gpu import GpuProcess
from backends.run.outcome import Status
from backends.run.task import Case, run_cases
from ir.diagnostics import ExitCode, UserError
from ir.task import load_task

KERNELS = Path(__file__).parents[3] / "kernels"
_HEAD = ".version 7.0\n.target sm_80\n.address_size 64\n"
# Stores `value` at out[index * 4].
STORE = (
    _HEAD
    + """
.visible .entry put(.param .u64 out, .param .u64 index, .param .f32 value) {
    .reg .u64 %d<4>;
    .reg .f32 %f;
    ld.param.u64 %d0, [out];
    ld.param.u64 %d1, [index];
    ld.param.f32 %f, [value];
    cvta.to.global.u64 %d0, %d0;
    shl.b64 %d1, %d1, 2;
    add.u64 %d2, %d0, %d1;
    st.global.f32 [%d2], %f;
    ret;
}
"""
)
ENDLESS = (
    _HEAD
    + """
.visible .entry forever(.param .u64 out) {
    .reg .u64 %d<2>;
    .reg .u32 %r;
    .reg .pred %p;
    ld.param.u64 %d0, [out];
    cvta.to.global.u64 %d0, %d0;
again:
    ld.volatile.global.u32 %r, [%d0];
    setp.ne.u32 %p, %r, 0;
    @%p bra again;
    ret;
}
"""
)
ONE = LaunchConfig((1, 1, 1), (1, 1, 1))


def test_no_gpu_is_a_missing_part() -> None:
    try:
        open_device("cuda")
    except UserError as error:
        assert error.exit_code == ExitCode.MISSING
        assert error.diagnostics[0].rule == "missing-part"
        assert "--device emulator" in error.diagnostics[0].message
    else:
        pytest.skip("there is a GPU")


def test_the_child_says_what_is_missing() -> None:
    task = load_task(KERNELS / "vector_add")
    case = Case(task, "sm_90", task.sizes["verify"][0])
    with GpuProcess() as process:
        try:
            assert process.run(case, DeviceOptions()).status != Status.FAULT
        except UserError as error:
            assert error.exit_code == ExitCode.MISSING
        child, _ = process._started()
        # Compilers run in children of it.
        assert child.is_alive() and not child.daemon
    assert not child.is_alive()


def test_a_child_that_dies_is_a_fault() -> None:
    task = load_task(KERNELS / "vector_add")
    case = Case(task, "sm_90", task.sizes["verify"][0])
    with GpuProcess() as process:
        child, _ = process._started()
        child.kill()
        outcome = process.run(case, DeviceOptions())
    assert outcome.status == Status.FAULT and outcome.fault is not None
    assert outcome.fault.rule == "launch-failed" and "status -9" in outcome.fault.message


def test_a_value_is_stored_and_read_back(gpu: CudaDevice) -> None:
    kernel = gpu.load(STORE)
    buffer = gpu.allocate(16, "out")
    assert gpu.read(buffer, np.uint8, (16,)).tolist() == [0xFF] * 16
    result = gpu.launch(kernel, ONE, (buffer, 2, 1.5))
    assert result.is_clean and gpu.read(buffer, np.float32, (4,))[2] == 1.5
    gpu.free(buffer)


def test_a_store_beside_a_buffer_is_found(gpu: CudaDevice) -> None:
    kernel = gpu.load(STORE)
    buffer = gpu.allocate(16, "out")
    result = gpu.launch(kernel, ONE, (buffer, 5, 1.5))
    gpu.free(buffer)
    assert result.fault is None and not result.is_clean
    assert "byte 20 of buffer `out`" in result.findings[0].message


def test_a_launch_that_is_too_wide_is_refused(gpu: CudaDevice) -> None:
    kernel = gpu.load(STORE)
    buffer = gpu.allocate(16, "out")
    with pytest.raises(UserError, match="CUDA_ERROR_INVALID_VALUE"):
        gpu.launch(kernel, LaunchConfig((1, 1, 1), (2048, 1, 1)), (buffer, 0, 1.0))
    gpu.free(buffer)


def test_a_time_is_more_than_that_of_nothing(gpu: CudaDevice) -> None:
    stopwatch = Stopwatch(gpu)
    buffer = gpu.allocate(16, "out")
    measured = stopwatch.measure(gpu.load(STORE), ONE, (buffer, 0, 1.0))
    gpu.free(buffer)
    assert len(measured.times_us) >= 9
    assert 0 < measured.empty_us <= 1.5 * measured.median_us < 1000
    assert 200 < measured.clock_mhz < 5000


def _child(ptx: str, *arguments: int | float) -> None:
    """In a process of its own: launch, and say by the exit status what became of it."""
    device = CudaDevice(1.0)
    buffer = device.allocate(16, "out")
    result = device.launch(device.load(ptx), ONE, (buffer, *arguments))
    assert result.fault is not None and device.is_lost
    with pytest.raises(UserError, match="lost-device"):
        device.allocate(16)
    print(result.fault.rule, flush=True)
    import os

    os._exit(0)


@pytest.mark.parametrize(
    ("ptx", "arguments", "rule"),
    [(STORE, (1 << 50, 1.0), "out-of-bounds"), (ENDLESS, (), "time-limit")],
)
def test_a_fault_costs_its_process_alone(
    driver: Driver, ptx: str, arguments: tuple[int | float, ...], rule: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from multiprocessing import get_context

    child = get_context("spawn").Process(target=_child, args=(ptx, *arguments))
    child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
    assert rule in capfd.readouterr().out


@pytest.mark.parametrize("name", ["softmax", "gemm_warp_specialized", "grid_sync", "attention_forward_descriptor"])
def test_shipped_kernels_pass_and_are_timed(driver: Driver, name: str) -> None:
    task = load_task(KERNELS / name)
    if driver.architecture not in task.targets:
        pytest.skip(f"{name} is not for {driver.architecture}")
    outcomes = run_cases([Case(task, driver.architecture, s) for s in task.sizes["verify"]], "cuda")
    assert {o.status for o in outcomes} == {Status.PASSED}
    assert any(o.timing.measured for o in outcomes)


def test_a_gpu_runs_its_own_architecture(gpu: CudaDevice) -> None:
    assert own_targets("cuda") == [gpu.driver.architecture] and own_targets("emulator") == []
