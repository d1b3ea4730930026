"""Microbenchmarks: what their machine code has, that they run, what fits return, and the file that they write."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from backends.machines import load_machine  # noqa: E402
from backends.run.task import cases, run_cases  # noqa: E402
from bench.micro.claims import Claim, faults  # noqa: E402
from bench.micro.fit import fit_line, run_cost, step_cost  # noqa: E402
from bench.micro.listing import read_listing  # noqa: E402
from bench.micro.machine_file import write_machine  # noqa: E402
from bench.micro.measure import Measurement, claim_faults, measure  # noqa: E402
from bench.micro.probe import KERNELS, Probe, intercept, per_cycle, slope  # noqa: E402
from bench.micro.probes import PROBES  # noqa: E402
from bench.micro.timer import ModelTimer  # noqa: E402
from ir.diagnostics import UserError  # noqa: E402
from ir.task import Sizes, Task, load_task, task_files  # noqa: E402

pytest.importorskip("cuda.bindings.nvrtc")
ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
TASKS = {f"{file.parent.name}/{file.stem}": load_task(file) for file in task_files(KERNELS)}
# Parameter -> how far the modelled device may be from its own file, where that is more than 2 %.
TOLERANCES = {
    "lsu_address_interval_cycles": 0.11,  # the sums of what is loaded take issue slots of the sub-core as well
    "lsu_accept_interval_cycles": 0.08,
    "l1_tags_per_cycle": 0.1,  # some of the loads reach into a 33rd line
    "ptx_fp64_latency_cycles": 0.21,  # 5 cycles for DADD; the assembler leaves 6 from one DFMA to the next
    "mma_latency_cycles": 0.05,  # 24.6 cycles, of which the file has 25, and the assembler leaves 24
    "ptx_l1_latency_cycles": 0.05,  # the file has a pointer chase, the model Huerta's latency of the load
}
# Numbers for PTX as a whole, of which the model takes the machine instructions one by one.
OF_PTX = (
    "ptx_div_u32_latency_cycles", "ptx_div_u64_latency_cycles", "ptx_div_f32_latency_cycles",
    "ptx_div_f64_latency_cycles", "ptx_rcp_f32_latency_cycles", "named_barrier_cycles", "register_handoff_cycles",
    "register_handoff_cycles_per_kib",
)  # fmt: skip


def probe_id(probe: Probe) -> str:
    return probe.parameter


# Machine code.


@pytest.mark.parametrize("index,probe", list(enumerate(PROBES)), ids=[p.parameter for p in PROBES])
def test_machine_code_is_what_the_probe_claims(index: int, probe: Probe) -> None:
    """One architecture each, in turn; all of them in the slow test."""
    able = [a for a in ARCHITECTURES if probe.applies_to(a)]
    assert list(claim_faults(probe, able[index % len(able)])) == []


@pytest.mark.slow
@pytest.mark.parametrize("probe", PROBES, ids=probe_id)
def test_machine_code_is_what_the_probe_claims_everywhere(probe: Probe) -> None:
    assert [f for a in ARCHITECTURES if probe.applies_to(a) for f in claim_faults(probe, a)] == []


def listing_of(source: str, entry: str, tmp_path: Path):
    from backends.compilers.nvrtc import compile_file

    (tmp_path / "kernel.cu").write_text(source)
    return read_listing(compile_file(tmp_path / "kernel.cu", entry, "sm_90"))


FOLDED = """extern "C" __global__ void folded(int* out, int n) {
    int x = threadIdx.x;
#pragma unroll 1
    for (int r = 0; r < n; ++r)
#pragma unroll
        for (int i = 0; i < 32; ++i) x ^= n;
    out[threadIdx.x] = x;
}"""
APART = """extern "C" __global__ void apart(float* out, int n) {
    float x[32];
    for (int i = 0; i < 32; ++i) x[i] = threadIdx.x + i;
#pragma unroll 1
    for (int r = 0; r < n; ++r)
#pragma unroll
        for (int i = 0; i < 32; ++i) x[i] = x[i] * 0.5f + 1.0f;
    for (int i = 0; i < 32; ++i) out[threadIdx.x + i] = x[i];
}"""


def test_instructions_that_were_optimised_away_are_found(tmp_path: Path) -> None:
    [fault] = faults(listing_of(FOLDED, "folded", tmp_path), Claim("LOP3"), 32)
    assert fault.endswith("LOP3 in a loop, and not 32")


def test_instructions_that_do_not_wait_for_each_other_are_no_chain(tmp_path: Path) -> None:
    listing = listing_of(APART, "apart", tmp_path)
    assert faults(listing, Claim("FFMA"), 32) == []
    assert faults(listing, Claim("FFMA", chained=True), 32) == ["31 of 32 FFMA do not wait for the one before"]


WAITING = """extern "C" __global__ void waiting(const float* in, float* out, int n) {
    __shared__ float x[32];
    x[threadIdx.x] = in[threadIdx.x];
#pragma unroll 1
    for (int r = 0; r < n; ++r)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            x[threadIdx.x ^ 1 + i] *= 0.5f;
            __syncthreads();
        }
    out[threadIdx.x] = x[threadIdx.x];
}"""


def test_what_may_stand_once_in_a_loop_is_counted(tmp_path: Path) -> None:
    listing = listing_of(WAITING, "waiting", tmp_path)
    assert faults(listing, Claim("FMUL", rare="EXIT"), 4) == []
    assert faults(listing, Claim("FMUL", rare="BAR"), 4) == ["4 BAR in a loop, and not 1"]


def test_a_kernel_without_a_loop_has_nothing_to_claim(tmp_path: Path) -> None:
    source = 'extern "C" __global__ void none(float* out) { out[0] = 1.0f; }'
    assert faults(listing_of(source, "none", tmp_path), Claim("FFMA"), 1) == ["0 FFMA in a loop, and not 1"]


# Results.


@pytest.mark.parametrize("name", sorted(TASKS))
def test_kernels_are_right_on_the_emulated_device(name: str) -> None:
    """The variants too in the slow test."""
    assert statuses((TASKS[name],)) == {"passed"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for name, task in TASKS.items() if task.variants))
def test_variants_are_right_on_the_emulated_device(name: str) -> None:
    assert statuses(TASKS[name].all_variants()[1:]) == {"passed"}


def statuses(tasks: tuple[Task, ...]) -> set[str]:
    return {str(o.status) for o in run_cases(list(cases(tasks, "verify", tasks[0].targets[-2:-1])))}


def test_every_task_is_used_by_a_probe() -> None:
    assert {f"{name}.toml" for name in TASKS} == {p.task for p in PROBES}


# Fits.


def test_a_line_through_noisy_points() -> None:
    line = fit_line([(w, 21 + 2 * w + noise) for w, noise in ((2, 0.3), (8, -0.3), (16, 0.2), (32, -0.2))])
    assert line.slope == pytest.approx(2, abs=0.03) and line.intercept == pytest.approx(21, abs=0.5)
    assert 0 < line.residual < 0.01


def test_overheads_go_out_of_the_cost_of_a_step() -> None:
    times = {(s, r): 5000.0 + r * (23.0 + 4.5 * s) for s in (8, 16) for r in (4, 12)}
    assert step_cost(times) == pytest.approx(4.5)
    assert run_cost(times, 8) == pytest.approx(23 + 36)


@dataclass
class Synthetic:
    """Times of a device whose truth is known: a start, and for each run of the loop an overhead and its steps."""

    truth: Mapping[str, float]
    architecture: str = "sm_86"
    description: str = "a device of this test"
    noise: float = 0.0

    def cycles(self, task: Task, sizes: Sizes) -> float:
        values = task.values(sizes)
        step = self.truth["step"] + sum(self.truth.get(f"per {name}", 0) * value for name, value in values.items())
        exact = 1000 + values["REPEATS"] * (19 + step * values["UNROLL"])
        return exact * (1 + self.noise * ((values["UNROLL"] + values["REPEATS"]) % 3 - 1))

    def facts(self) -> dict[str, float]:
        return {}


def probed(probe: Probe, timer: Synthetic) -> float:
    [found] = measure([probe], timer, {})
    assert found.value is not None, found.failure
    return found.value


def test_a_latency_is_returned() -> None:
    probe = Probe("latency", "pipes/task.toml", constants={"CHAINS": 1})
    assert probed(probe, Synthetic({"step": 4.0})) == pytest.approx(4.0)
    assert probed(probe, Synthetic({"step": 4.0}, noise=1e-4)) == pytest.approx(4.0, rel=0.01)


def test_a_rate_is_returned() -> None:
    probe = Probe("rate", "pipes/task.toml", per_cycle, constants={"CHAINS": 8, "BLOCK": 512}, work=4096)
    assert probed(probe, Synthetic({"step": 32.0})) == pytest.approx(128.0)


def test_both_parts_of_a_line_are_returned() -> None:
    sweep = tuple({"BLOCK": 32 * w} for w in (2, 8, 32))
    truth = Synthetic({"step": 21.0, "per BLOCK": 2 / 32})
    assert probed(
        Probe("fixed", "sync/task.toml", intercept, sweep=sweep, axis="BLOCK", unit=32), truth
    ) == pytest.approx(21)
    assert probed(Probe("each", "sync/task.toml", slope, sweep=sweep, axis="BLOCK", unit=32), truth) == pytest.approx(2)


def test_rates_of_the_machine_are_in_a_fit() -> None:
    probes = {p.parameter: p for p in PROBES}
    read, store = probes["dram_achieved_gbyte_per_s"], probes["smem_store_to_load_cycles"]
    rates = {"sm_count": 100, "clock_mhz": 2000, "lds_latency_cycles": 23}
    assert store.fit(store, [({}, 27.0)], rates) == 4
    assert read.fit(read, [({}, read.work / 15)], rates) == pytest.approx(3000)


def test_work_that_takes_no_time_is_a_failure_and_no_number() -> None:
    [found] = measure([Probe("latency", "pipes/task.toml")], Synthetic({"step": 0.0}), {})
    assert (found.value, found.failure) == (None, "more work took no more time")


def test_a_probe_whose_claim_is_broken_gives_no_number() -> None:
    [found] = measure([Probe("latency", "pipes/task.toml", claim=Claim("DFMA"))], Synthetic({"step": 4.0}), {})
    assert found.value is None and "DFMA in a loop" in found.failure


# The machine file.


def written(tmp_path: Path, name: str, found: list[Measurement]):
    write_machine("a6000", found, "GPU of this test", name, tmp_path / "new.toml", {"sm_count": 10})
    return load_machine(tmp_path / "new.toml")


def test_measured_values_are_written_with_their_source(tmp_path: Path) -> None:
    found = [
        Measurement("alu_latency_cycles", "pipes/task CHAINS=1", 4.00001),
        Measurement("new_rate", "probe", 0.123456),
    ]
    machine = written(tmp_path, "a6000", [*found, Measurement("sfu_latency_cycles", "probe", None, failure="broken")])
    assert (machine.rates["alu_latency_cycles"], machine.rates["new_rate"], machine.rates["sm_count"]) == (
        4,
        0.12346,
        10,
    )
    source = machine.sources["rates.alu_latency_cycles"]
    assert source == "measured by bench.micro on GPU of this test: pipes/task CHAINS=1"
    shipped = load_machine("a6000")
    assert machine.rates["sfu_latency_cycles"] == shipped.rates["sfu_latency_cycles"]
    assert machine.sources["rates.sfu_latency_cycles"] == shipped.sources["rates.sfu_latency_cycles"]
    assert (machine.description, machine.units) == ("GPU of this test", shipped.units)


def test_what_another_machine_did_not_measure_is_marked(tmp_path: Path) -> None:
    machine = written(tmp_path, "mygpu", [Measurement("alu_latency_cycles", "probe", 5.0)])
    assert machine.name == "mygpu"
    unmarked = {
        name for name in machine.rates
        if not machine.sources[f"rates.{name}"].startswith(("assumed: ", "measured by bench.micro", "stated by "))
    }  # fmt: skip
    assert unmarked == set()


def test_a_base_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no machine file"):
        write_machine("none", [], "", "x", tmp_path / "x.toml", {})


def test_no_gpu_is_a_missing_part(capsys: pytest.CaptureFixture[str]) -> None:
    from bench.micro.__main__ import main
    from bench.micro.cuda import CudaTimer

    try:
        CudaTimer()
    except UserError:
        assert main(["--machine", "a6000", "--device", "cuda"]) == 4
        assert "a GPU with its driver" in capsys.readouterr().err
    else:
        pytest.skip("there is a GPU here")


# The modelled device returns the numbers of its own file.

QUICK = ("alu_latency_cycles", "lds_latency_cycles", "fp32_lanes_per_cycle", "barrier_cycles_per_warp")


def returned(machine_name: str, parameters: tuple[str, ...]) -> dict[str, tuple[float | None, float]]:
    machine = load_machine(machine_name)
    chosen = [p for p in PROBES if p.parameter in parameters]
    found = measure(chosen, ModelTimer(machine), machine.rates)
    return {m.parameter: (m.value, machine.rates[m.parameter]) for m in found if m.parameter in machine.rates}


@pytest.mark.parametrize("parameter", QUICK)
def test_the_model_returns_its_own_parameter(parameter: str) -> None:
    [(value, stated)] = returned("a6000", (parameter,)).values()
    assert value == pytest.approx(stated, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["a100", "a6000", "rtx4090"])
def test_the_model_returns_all_of_its_own_parameters(machine: str) -> None:
    modelled = tuple(p.parameter for p in PROBES if not p.is_inside and p.parameter not in OF_PTX)
    found = returned(machine, modelled)
    off = {
        name: (value, stated)
        for name, (value, stated) in found.items()
        if value != pytest.approx(stated, rel=TOLERANCES.get(name, 0.02))
    }
    assert off == {}
