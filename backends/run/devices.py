"""Devices by name, with the settings that a user gives for them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Any, cast

from backends.compilers.architecture import capability_of
from backends.device import CHECKS, Device
from backends.machines import load_machine, machine_names
from ir.diagnostics import fail

DEVICES = ("emulator", "cuda")


@dataclass(frozen=True)
class DeviceOptions:
    """How launches are run. `checks` is `all`, `none` or names of `backends.device.CHECKS`; the rest as in Settings.

    counters: a profile of each launch, where otherwise its instructions alone are counted.
    """

    checks: tuple[str, ...] = ("all",)
    completion: str = "late"
    engine: str = "auto"
    seed: int = 0
    instruction_budget: int = 1 << 40
    cost_limit_s: float = float("inf")
    time_limit_s: float = 600.0
    counters: bool = False


DEFAULTS = DeviceOptions()


def open_device(name: str = "emulator", options: DeviceOptions = DEFAULTS) -> Device:
    """The device of that name. Raises UserError: unknown-device, unknown-check, missing-part where there is no GPU."""
    if name not in DEVICES:
        raise fail("unknown-device", f"there is no device `{name}`", remedy=f"devices: {', '.join(DEVICES)}")
    if name == "cuda":
        from backends.cuda.device import CudaDevice

        gpu: Any = CudaDevice(options.time_limit_s)
        return cast(Device, gpu)
    from backends.emulator.batch import Settings
    from backends.emulator.device import Emulator

    profile: dict[str, Any] = {"counters": True} if options.counters else {}
    settings = Settings(
        seed=options.seed,
        completion=options.completion,
        engine=options.engine,
        instruction_budget=options.instruction_budget,
        cost_limit_s=options.cost_limit_s,
        time_limit_s=options.time_limit_s,
        checks=frozenset(chosen_checks(options.checks)),
        **profile,
    )
    device: Any = Emulator(settings)
    return cast(Device, device)


def own_targets(name: str) -> list[str]:
    """The architecture that a device runs; none for the emulated one, which runs what a task names.

    Raises UserError (missing-part) where there is no GPU.
    """
    if name != "cuda":
        return []
    from backends.cuda.driver import open_driver

    return [open_driver().architecture]


def rescheduled(device: Device, seed: int) -> None:
    """From now on an emulated device takes other turns: copies happen early, not late, threads go in another order.

    No checker watches.
    """
    emulator: Any = device
    emulator.settings = replace(emulator.settings, seed=seed, completion="early", engine="numpy", checks=frozenset())


def chosen_checks(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """`all`, `none` or names, as names in order. Raises UserError `unknown-check`.

    >>> chosen_checks(("none",))
    ()
    """
    if wanted == ("all",):
        return CHECKS
    if wanted == ("none",):
        return ()
    for name in wanted:
        if name not in CHECKS:
            near = difflib.get_close_matches(name, CHECKS, 1)
            guess = f"did you mean {near[0]}? " if near else ""
            remedy = f"{guess}checks: all, none{''.join(f', {c}' for c in CHECKS)}"
            raise fail("unknown-check", f"there is no check `{name}`", remedy=remedy)
    return tuple(name for name in CHECKS if name in wanted)


def architecture_of_target(target: str) -> str:
    """`sm_90` for `sm_90` or `sm_90a`, and for a machine's name or file such as `h100`. Raises UserError.

    >>> architecture_of_target("h100"), architecture_of_target("sm_100a")
    ('sm_90', 'sm_100')
    """
    if target in machine_names() or target.endswith(".toml"):
        return load_machine(target).architecture
    if target[:2] in ("sm", "co") or target[:1].isdigit():
        return f"sm_{capability_of(target)}"
    return load_machine(target).architecture
