"""Runs one CTA of a launch, or the cluster that it is in, and watches its asynchronous instructions."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from math import inf

import numpy as np
from threadpoolctl import ThreadpoolController

from backends.emulator.batch import Batch, Settings
from backends.emulator.faults import LaunchFault
from backends.emulator.launch import workspace_of_grid
from backends.emulator.translate.block import Block
from backends.emulator.translate.table import translate
from backends.model.asynchronous.observed import Observed
from backends.model.asynchronous.watch import Watch
from backends.model.counts.launch import Launch
from ir.diagnostics import Diagnostic, UserError

# A tile of a large product takes some 100 thousand warp instructions. A nominal second takes some twenty when watched.
COST_LIMIT_S = 1.0
INSTRUCTION_BUDGET = 2_000_000
# Rules under which what was seen so far is all that can be seen: the budget is spent, or other CTAs are waited for.
_CUT_OFF = ("time-limit", "budget-spent", "deadlock")


def observe(launch: Launch, cta: int = 0, cost_limit_s: float = COST_LIMIT_S) -> Observed:
    """Run the CTA with this linear index, with its cluster and no other CTA, until it ends or the budget is spent:
    warp instructions and nominal seconds, so that what is seen depends on no clock.

    Asynchronous operations complete when they are issued. Raises UserError where the CTA does something that stops it.
    """
    program, size = launch.loaded.program, launch.geometry.cluster_ctas
    sites = tuple(program.site(i) for i in range(len(program.instructions)))
    order = launch.geometry.cluster_order()
    place = int(np.flatnonzero(order == cta)[0])
    ctas = order[place - place % size :][:size].tolist()
    launch.restore()
    watch, stopped = _run(launch, ctas, place % size, cost_limit_s)
    shapes = {site: tuple(sorted(found, key=lambda s: (s.m, s.n))) for site, found in watch.shapes.items()}
    joined = {site: frozenset(warps) for site, warps in watch.joined.items()}
    late = tuple(i for block in sorted(watch.ways.late()) for i in program.blocks[block])
    acts, completed, remote = tuple(watch.acts), tuple(watch.completed), tuple(sorted(watch.remote))
    return Observed(sites, acts, completed, watch.executions, watch.touching, joined, late, shapes, remote, stopped)


def _run(launch: Launch, ctas: list[int], rank: int, cost_limit_s: float) -> tuple[Watch, str]:
    loaded, parameters = launch.loaded, launch.parameters
    loaded.arena.bytes(loaded.parameters.address, len(parameters))[:] = np.frombuffer(parameters, np.uint8)
    blocks: tuple[Block, ...] = translate(loaded.program, loaded.addresses)
    settings = Settings(
        completion="early",
        engine="numpy",
        cost_limit_s=cost_limit_s,
        time_limit_s=inf,
        instruction_budget=INSTRUCTION_BUDGET,
    )
    with (
        np.errstate(all="ignore"),
        _blas().limit(limits=1, user_api="blas"),
        workspace_of_grid(loaded.arena, launch.cooperative) as workspace,
    ):
        geometry = replace(launch.geometry, workspace=workspace)
        batch = Batch(loaded.program, geometry, ctas, loaded.arena, geometry.shared_bytes, settings)
        batch.externals.output = []
        batch.kernel_addresses, batch.parameters_address = loaded.addresses, loaded.parameters.address
        watch = Watch(batch, rank)
        batch.observer = watch
        batch.scheduler.go_on(0, time.monotonic())
        batch.start()
        return watch, _outcome(batch, blocks)


def _outcome(batch: Batch, blocks: tuple[Block, ...]) -> str:
    try:
        batch.scheduler.run(blocks)
    except LaunchFault as error:
        finding = error.finding
        if finding.rule in _CUT_OFF:
            return finding.rule
        place = finding.site.location if finding.site else None
        raise UserError(Diagnostic(finding.rule, f"{finding.message} (watching one CTA)", place)) from error
    return ""


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
