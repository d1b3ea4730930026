"""Edits of a Triton kernel that follow from the scheduler: tile, warps, stages, roles, order of statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ir.schedule import Schedule
from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.propose.protocol import Unit
from optiml.propose.rules.triton import num_stages, num_warps
from optiml.propose.rules.triton.kernel import TritonKernel
from optiml.propose.twill.configurations import MOST_STAGES, Configuration, Study
from optiml.propose.twill.emission import emitted
from optiml.propose.twill.evidence import NAME, bounds_text, limiter_of, schedule_text
from optiml.propose.twill.order import reordered

_TILES = 3
# Architectures for which Triton partitions a loop among warp groups: 3.9, make_ttgir of its NVIDIA backend.
_PARTITIONED = ("sm_100", "sm_103")


def triton_edits(study: Study, unit: Unit) -> Iterator[Edit]:
    """Whole configurations first, then what the schedule of the kernel's own tiles says."""
    tiles = study.tiles(unit.candidate)
    own = next((c for c in tiles if c.candidate.key == unit.candidate.key), None)
    if own is None:
        return
    yield from _configured(study, unit, own, tiles)
    yield from _launched(unit, own, bounds_text(own.bounds))
    schedule = study.scheduler.whole(own.subject)
    if schedule is not None:
        yield from _scheduled(unit, own, schedule)


def _configured(study: Study, unit: Unit, own: Configuration, tiles: tuple[Configuration, ...]) -> Iterator[Edit]:
    """The best tiles that are better than the kernel's own, each with the warps and stages that suit it."""
    better = (c for c in tiles if (c.merit if own.subject.products else c.merit[:1]) > own.merit)
    for config in islice(better, _TILES):
        result = _with(config)
        changed = {k: v for k, v in result.overrides.items() if v != _now(unit, k)}
        tag = ",".join(f"{name.partition('.')[2]}={value}" for name, value in changed.items())
        yield _edit(f"tile:{tag}", config, _told(config, own, study), result)


def _told(config: Configuration, own: Configuration, study: Study) -> str:
    answer = study.scheduler.interval(config.subject)
    reached = "reached by a proven schedule" if answer else "whether it is reached is not proven"
    what = "flop" if config.subject.products else "loaded elements"
    told = (
        f"II at least {config.ii_cycles} cycles, {reached}: {bounds_text(config.bounds)}",
        f"{config.rate:.4g} {what} a cycle of an SM over whole waves, {own.rate:.4g} with the present tile",
    )
    return "; ".join(filter(None, (*told, _room(config))))


def _room(config: Configuration) -> str:
    subject = config.subject
    hidden = f"loads take {config.latency_cycles} cycles, {config.stages} copies of their tiles hide that"
    loads = f"{hidden}, {config.room} fit shared memory"
    taken = f"results of products take {subject.product_registers} registers"
    registers = f"{taken} of each thread of {subject.warps} warps"
    return "; ".join([loads] * bool(config.loads) + [registers] * bool(config.subject.products))


def _launched(unit: Unit, own: Configuration, why: str) -> Iterator[Edit]:
    """Stages, then warps, of the present tile."""
    if own.loads and own.stages != unit.launch.get("num_stages", num_stages.DEFAULT):
        yield _edit(f"stages:{own.stages}", own, f"{why}; {_room(own)}", _with(own, warps=False))
    if own.subject.products and own.subject.warps != unit.launch.get("num_warps", num_warps.DEFAULT):
        yield _edit(f"warps:{own.subject.warps}", own, f"{why}; {_room(own)}", _with(own, stages=False))


def _scheduled(unit: Unit, own: Configuration, schedule: Schedule) -> Iterator[Edit]:
    """What the joint schedule says: buffers, roles, order, and the kernel itself where it can be emitted."""
    why = schedule_text(schedule)
    kernel = TritonKernel.of(unit)
    whole = emitted(schedule, own.subject.kernel, unit.candidate)
    if whole is not None:
        yield _edit("emit", own, why, whole)
    depth = min(max((b.depth for b in schedule.buffers if b.memory == "smem"), default=0), MOST_STAGES)
    if depth and depth not in (own.stages, unit.launch.get("num_stages", num_stages.DEFAULT)):
        stages = unit.candidate.with_overrides({"launch.num_stages": depth})
        yield _edit(f"stages:{depth}", own, why, stages)
    if kernel is None:
        return
    for tag, text in (("specialize", _specialized(kernel, schedule)), ("order", _ordered(kernel, schedule))):
        if text is not None:
            yield _edit(tag, own, why, Candidate("triton", text, unit.candidate.overrides))


def _specialized(kernel: TritonKernel, schedule: Schedule) -> str | None:
    """The loop's own option, where the schedule has roles in several groups and Triton can partition."""
    loop = _loop(kernel, schedule)
    if loop is None or schedule.machine.architecture not in _PARTITIONED or len(schedule.groups) < 2:
        return None
    assert isinstance(loop.iter, ast.Call), "a loop over a range"
    if ast.unparse(loop.iter.func) != "tl.range" or any(k.arg == "warp_specialize" for k in loop.iter.keywords):
        return None
    end = kernel.span(loop.iter)[1] - 1
    return kernel.spliced((end, end, ", warp_specialize=True"))


def _ordered(kernel: TritonKernel, schedule: Schedule) -> str | None:
    loop = _loop(kernel, schedule)
    if loop is None:
        return None
    issued: dict[int, int] = {}
    for op in schedule.graph.ops:
        if op.location is not None:
            time = schedule.by_op[op.name].time_cycles
            issued[op.location.line] = min(time, issued.get(op.location.line, time))
    return reordered(kernel.text, loop, issued)


def _loop(kernel: TritonKernel, schedule: Schedule) -> ast.For | None:
    """The loop of the source that the schedule is about."""
    line = schedule.graph.location.line if schedule.graph.location is not None else 0
    return next((loop for loop in kernel.loops() if loop.lineno == line), None)


def _with(config: Configuration, warps: bool = True, stages: bool = True) -> Candidate:
    """The configuration's candidate with the warps and stages that suit it."""
    chosen: dict[str, Any] = {}
    if warps and config.subject.products:
        chosen["launch.num_warps"] = config.subject.warps
    if stages and config.loads:
        chosen["launch.num_stages"] = config.stages
    return config.candidate.with_overrides(chosen)


def _edit(tag: str, config: Configuration, why: str, result: Candidate) -> Edit:
    return Edit(tag, limiter_of(config.bounds[0]), f"{why} (modelled).", result, NAME)


def _now(unit: Unit, key: str) -> Any:
    """What the task file has under a dotted key, as the candidate overrides it."""
    table, _, name = key.partition(".")
    return dict(unit.settings.get(table, {})).get(name)
