"""A compiled kernel on the emulated device, sliced: runs any CTAs of a grid and counts what their warps execute."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import inf

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from backends.emulator.arena import Allocation, Arena
from backends.emulator.batch import Batch, Settings
from backends.emulator.geometry import Geometry
from backends.emulator.launch import laid_out, load_variables, workspace_of_grid
from backends.emulator.program import Program
from backends.emulator.schedule import STEP_S, WARP_INSTRUCTION_S
from backends.model.counts.blocks import Plan, SlicedBlocks
from backends.model.counts.slicing import Slice, slice_program
from backends.ptx import parse_ptx

Counts = NDArray[np.int32]
"""How often each warp executed each block, (CTAs, warps, blocks)."""


@dataclass(frozen=True)
class LoadedSlice:
    """An entry of a module, sliced. `addresses`: of all its symbols; `parameters` holds its parameter block."""

    program: Program
    sliced: Slice
    arena: Arena
    parameters: Allocation
    addresses: dict[str, int]

    @cached_property
    def blocks(self) -> SlicedBlocks:
        """Its blocks as functions."""
        return SlicedBlocks(self.sliced, self.addresses)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Instructions of each block."""
        return np.array([len(block) for block in self.program.blocks], np.int64)

    @cached_property
    def kept_lengths(self) -> NDArray[np.int64]:
        """Instructions of each block that the slice runs."""
        kept = self.sliced.kept
        return np.array([sum(i in kept for i in block) for block in self.program.blocks], np.int64)


def load_slice(ptx: str, entry: str, file: str = "<ptx>") -> LoadedSlice:
    """Parse and slice an entry. Raises UserError for what cannot be parsed or run."""
    module = parse_ptx(ptx, file)
    arena = Arena()
    variables = load_variables(module, arena)
    program = laid_out(module, entry)
    parameters = arena.allocate(max(program.parameter_bytes, 1), f"parameters of {entry}")
    places = {name: parameters.address + offset for name, (offset, _) in program.parameters.items()}
    return LoadedSlice(program, slice_program(program), arena, parameters, {**variables, **places})


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


@dataclass(frozen=True)
class Execution:
    """CTAs `numbers` of a launch have run; `counts` (CTAs, warps, blocks).

    cost_s: nominal seconds, from what was executed: how much more is run depends on it, and on no clock, so that the
    same launch gives the same counts everywhere.
    """

    numbers: NDArray[np.int64]
    counts: Counts
    cost_s: float


def run_ctas(
    loaded: LoadedSlice, geometry: Geometry, parameters: bytes, numbers: Sequence[int], plan: Plan | None = None,
    cost_limit_s: float = 600.0, streamed: bool = False, cooperative: bool = False,
    instruction_budget: int | None = None,
) -> Execution:  # fmt: skip
    """Run these CTAs of the grid together, whole clusters in rank order; without a plan nothing is watched.

    streamed: accesses to shared memory are not watched. cooperative: the CTAs are all of the grid. Raises LaunchFault
    when the CTAs do something that stops them, or need more than the limits,
    of which none is a clock's.
    """
    loaded.arena.bytes(loaded.parameters.address, len(parameters))[:] = np.frombuffer(parameters, np.uint8)
    settings = Settings(completion="early", engine="numpy", cost_limit_s=cost_limit_s, time_limit_s=inf)
    if instruction_budget is not None:
        settings = replace(settings, instruction_budget=instruction_budget)
    with (
        np.errstate(all="ignore"),
        _blas().limit(limits=1, user_api="blas"),
        workspace_of_grid(loaded.arena, cooperative) as workspace,
    ):
        geometry = replace(geometry, workspace=workspace)
        batch = Batch(loaded.program, geometry, numbers, loaded.arena, geometry.shared_bytes, settings)
        batch.externals.output = []
        # What bulk copies bring is taken to decide no address and no branch; moving it takes most of the time.
        batch.bulk.moves_data = False
        batch.kernel_addresses, batch.parameters_address = loaded.addresses, loaded.parameters.address
        counts: Counts = np.zeros((len(loaded.program.blocks), batch.instances), np.int32)
        batch.scheduler.warp_counts = counts
        batch.scheduler.go_on(0, time.monotonic())
        batch.start()
        batch.scheduler.run(loaded.blocks.light if plan is None else loaded.blocks.under(plan, streamed))
    by_cta = counts.reshape(len(counts), batch.warps_per_cta, batch.ctas).transpose(2, 1, 0)
    executed = float(counts.sum(axis=1) @ loaded.kept_lengths)
    cost_s = batch.scheduler.steps * STEP_S + executed * WARP_INSTRUCTION_S
    return Execution(batch.numbers, np.ascontiguousarray(by_cta), cost_s)
