"""What is known of a kernel, as text for a model: the task, the machine, the profile, what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from optiml.propose.llm.fences import fenced
from optiml.propose.protocol import Attempt, Context, Unit
from optiml.verdict import HotLine, Metrics

if TYPE_CHECKING:
    from ir.argument import Argument
    from ir.machine import Machine

# A rate of the machine -> how it is said; those that a machine lacks are left out.
_RATES = {
    "sm_count": "{:.0f} SMs",
    "clock_mhz": "{:.0f} MHz",
    "dram_gbyte_per_s": "DRAM {:.0f} GB/s",
    "l2_bytes": "L2 cache {:.0f} bytes",
    "l1_bytes": "L1 and shared memory of an SM {:.0f} bytes",
    "max_threads_per_sm": "{:.0f} threads of an SM",
    "fp32_lanes_per_cycle": "{:.0f} fp32 FMA a cycle and SM",
    "tensor_fp16_flop_per_cycle": "tensor cores {:.0f} fp16 operations a cycle and SM",
    "tensor_tf32_flop_per_cycle": "tensor cores {:.0f} tf32 operations a cycle and SM",
    "sfu_results_per_cycle": "{:.0f} special functions a cycle and SM",
}
_SIZES_SHOWN = 8
_SHARES_SHOWN = 6
_EVIDENCE_CHARACTERS = 600


def task_text(context: Context) -> str:
    """Arguments, sizes, launch, constants and tolerance."""
    task, unit = context.task, Unit(context.candidate, context.task)
    report = task.sizes["report"]
    tolerance = "from the output's format and the reference's own error" if task.tolerance is None else task.tolerance
    return "\n".join(
        [
            f"kernel: {unit.entry} ({context.language})",
            "arguments in launch order:",
            *(f"- {_argument(a)}" for a in task.arguments),
            f"launch: {_pairs(unit.launch)}",
            f"constants that may change: {_pairs(unit.tunable) or 'none'}",
            *_fixed(unit),
            f"timed at: {'; '.join(_pairs(s) for s in report)}",
            f"checked at: {'; '.join(_pairs(s) for s in task.sizes['verify'][:_SIZES_SHOWN])}",
            f"largest error allowed, relative to the output's scale: {tolerance}",
        ]
    )


def _fixed(unit: Unit) -> list[str]:
    fixed = {k: v for k, v in unit.constants.items() if k not in unit.tunable}
    return [f"constants of the problem: {_pairs(fixed)}"] if fixed else []


def _argument(argument: Argument) -> str:
    if argument.kind == "scalar":
        return f"{argument.parameter}: {argument.dtype} = {argument.value}"
    shape = ", ".join(map(str, argument.shape))
    return f"{argument.parameter}: {argument.role} {argument.kind} of {argument.dtype}, shape ({shape})"


def machine_text(machine: Machine | None, architecture: str) -> str:
    """The target with its rates."""
    if machine is None:
        return f"architecture {architecture}"
    rates = [text.format(machine.rates[name]) for name, text in _RATES.items() if name in machine.rates]
    smem = [f"at most {machine.smem_bytes} bytes of shared memory a block"] if machine.smem_bytes else []
    return f"{machine.description or machine.name} ({architecture}): " + "; ".join([*rates, *smem])


def profile_text(metrics: Metrics | None, source: str) -> str:
    """Time, limiter, stalls, resources, counters and the hot lines that stand in the source."""
    if metrics is None:
        return "not profiled"
    times = [f"- {time.time_us:.4g} us at {_pairs(time.sizes)}" for time in metrics.times]
    return "\n".join(
        [
            f"{metrics.kind} time of a launch:",
            *times,
            f"limited by: {metrics.limiter}",
            f"share of the time that each unit is busy: {_shares(metrics.busy)}",
            f"what warps wait for: {_shares(metrics.stalls)}",
            f"registers of a thread {metrics.registers}, spilled bytes {metrics.spill_bytes}, shared memory of a block "
            f"{metrics.smem_bytes} bytes, occupancy {metrics.occupancy:.0%}",
            f"totals of the launch: {', '.join(f'{k} {v:.6g}' for k, v in metrics.counters.items())}",
            *_hot(metrics.hot, source),
        ]
    )


def _hot(hot: Sequence[HotLine], source: str) -> Iterator[str]:
    numbers = {text.strip(): number for number, text in reversed(list(enumerate(source.splitlines(), 1)))}
    here = [line for line in hot if line.text in numbers]
    if here:
        yield "lines that warps wait at most:"
        yield fenced("\n".join(_hot_line(line, numbers[line.text]) for line in here), "text")


def _hot_line(line: HotLine, number: int) -> str:
    pairs = [
        ("sectors", line.sectors_per_request, line.ideal_sectors_per_request),
        ("shared wavefronts", line.wavefronts_per_request, line.ideal_wavefronts_per_request),
    ]
    costs = [f"{got:.3g} {what} an access, {ideal or 0:.3g} at best" for what, got, ideal in pairs if got]
    state = f", mostly {line.stall}" if line.stall else ""
    shares = f"{line.stall_share:.0%} of stalls{state}, {line.instruction_share:.0%} of instructions"
    return f"line {number}: {'; '.join([shares, *costs])}: {line.text}"


def history_text(history: Sequence[Attempt]) -> str:
    """What was tried on the path to this kernel, in order, with what came of it."""
    if not history:
        return "nothing yet: this is the kernel that the search began with"
    return "\n".join(_attempt(a) for a in history)


def _attempt(attempt: Attempt) -> str:
    if attempt.speedup is None:
        evidence = attempt.evidence.strip()[:_EVIDENCE_CHARACTERS]
        return f"- {attempt.tag}: {attempt.status}\n" + fenced(evidence, "text")
    kept = "kept on this path" if attempt.is_on_path else "tried beside it, in a version that this one does not contain"
    came_to = f"{attempt.speedup:.2f}x the speed of the first kernel, then limited by {attempt.limiter}"
    return f"- {attempt.tag}: {kept}; {came_to} (reward {attempt.reward:.3f})"


def _pairs(values: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_plain(value)}" for name, value in values.items())


def _plain(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:_SHARES_SHOWN]) or "unknown"
