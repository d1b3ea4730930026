"""The kernels that the sanitizer is measured on: task files, targets and sizes that take part of a second each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backends.compilers.artifact import Compiled
from backends.compilers.task import compile_task
from backends.run.devices import DeviceOptions, open_device
from backends.run.inputs import draw_inputs
from backends.run.outcome import Outcome
from backends.run.task import Case
from backends.run.task import TaskRun as Launch
from ir.task import load_task

ROOT = Path(__file__).resolve().parent.parent / "kernels"
_ATTENTION = {"BATCH": 1, "HEADS": 1, "SEQ_Q": 128, "SEQ_K": 640}
_GEMM = {"M": 128, "N": 128, "K": 448}


@dataclass(frozen=True)
class Subject:
    """A kernel at one size for one target; `task` is a path below `kernels/`."""

    task: str
    target: str
    sizes: Mapping[str, int]
    variant: str = ""

    def __str__(self) -> str:
        name = self.task.removesuffix("/task.toml").removesuffix(".toml")
        return " ".join(x for x in (name, self.variant, self.target) if x)

    def case(self) -> Case:
        """What `backends.run` runs."""
        task = load_task(ROOT / self.task)
        return Case(task.variant(self.variant) if self.variant else task, self.target, self.sizes)


SUBJECTS = (
    Subject("gemm/task.toml", "sm_80", _GEMM),
    Subject("gemm/task.toml", "sm_90", _GEMM),
    Subject("gemm/task.toml", "sm_100", _GEMM),
    Subject("attention_forward/task.toml", "sm_80", _ATTENTION),
    Subject("attention_forward/task.toml", "sm_90", {**_ATTENTION, "SEQ_K": 512}),
    Subject("attention_forward/task.toml", "sm_100", _ATTENTION),
    Subject("gemm_warp_specialized/task.toml", "sm_90", {"M": 256, "N": 128, "K": 640}),
    Subject("gemm_warp_specialized/blackwell.toml", "sm_100", {"M": 256, "N": 128, "K": 640}),
    Subject("attention_warp_specialized/task.toml", "sm_90", {"HEADS": 1, "SEQ_Q": 131, "SEQ_K": 643}),
    Subject("gemm_cp_async/task.toml", "sm_80", {"M": 128, "N": 192, "K": 96}),
    Subject("gemm_split_k/task.toml", "sm_80", {"M": 100, "N": 130, "K": 768}),
    Subject("layer_norm/task.toml", "sm_80", {"ROWS": 9, "COLS": 500}),
    Subject("reduction/task.toml", "sm_80", {"N": 10007}),
    Subject("scan/task.toml", "sm_80", {"N": 5003}),
    Subject("softmax_cuda/task.toml", "sm_80", {"ROWS": 9, "COLS": 700}),
    Subject("softmax_cuda/task.toml", "sm_80", {"ROWS": 9, "COLS": 700}, "persistent"),
    Subject("transpose/task.toml", "sm_80", {"ROWS": 100, "COLS": 130}),
    Subject("sgemm/task.toml", "sm_80", {"M": 64, "N": 64, "K": 64}, "shared"),
    Subject("grid_sync/task.toml", "sm_80", {"N": 4096}),
    Subject("histogram/task.toml", "sm_80", {"N": 10007}),
)


@dataclass(frozen=True)
class Prepared:
    """A subject, compiled."""

    subject: Subject
    case: Case
    compiled: Compiled

    def run(
        self, ptx: str, checks: tuple[str, ...] = ("all",), completion: str = "late", limit_s: float = 60.0
    ) -> Outcome:
        """Run the kernel with this PTX in place of its own."""
        options = DeviceOptions(checks=checks, completion=completion, engine="numpy", time_limit_s=limit_s)
        launch = Launch(self.case, open_device("emulator", options), draw_inputs(self.case.task, self.case.sizes, 0))
        return launch.launched(replace(self.compiled, ptx=ptx))


def prepare(subject: Subject) -> Prepared:
    """Compile a subject; UserError where it cannot be."""
    case = subject.case()
    return Prepared(subject, case, compile_task(case.task, case.sizes, case.target))
