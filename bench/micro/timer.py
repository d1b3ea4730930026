"""Where times come from: a GPU, or the performance model of a machine that is not here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ir.machine import Machine
from ir.task import Sizes, Task


class Timer(Protocol):
    """Runs a task and says how long it took."""

    architecture: str
    description: str

    def cycles(self, task: Task, sizes: Sizes) -> float:
        """Cycles of an SM's clock that the launch, or the timed part of it, took. Raises UserError."""

    def facts(self) -> dict[str, float]:
        """Rates that the device states of itself; none where it is a model."""


def open_timer(device: str, machine: Machine) -> Timer:
    """`cuda`: the first GPU; `emulator`: the model of `machine`. Raises UserError (missing-part)."""
    if device == "cuda":
        from bench.micro.cuda import CudaTimer

        return CudaTimer()
    return ModelTimer(machine)


@dataclass(frozen=True)
class ModelTimer:
    """The performance model of a machine: counts of the emulated device, and the machine code in between."""

    machine: Machine

    @property
    def architecture(self) -> str:
        """Of the machine."""
        return self.machine.architecture

    @property
    def description(self) -> str:
        """What a reader of the results must know of them."""
        return f"the performance model of {self.machine.description} (modelled, not measured)"

    def cycles(self, task: Task, sizes: Sizes) -> float:
        """See `Timer.cycles`: from the first CTA's start to the last one's end."""
        from backends.model.profiling import ProfileOptions, profile_task

        return profile_task(task, sizes, self.machine, ProfileOptions(with_interval=False)).time.cycles

    def facts(self) -> dict[str, float]:
        """None."""
        return {}
