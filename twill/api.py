"""The public call: from a kernel or a graph to a verified schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from ir.machine import Machine
from ir.schedule import Schedule
from twill.pipeline import Options, run
from twill.solve.protocol import Limits


def schedule(
    kernel_or_graph: Any,
    target: Machine | str | None = None,
    *,
    arguments: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    num_warps: int | None = None,
    loop: str | None = None,
    subtile: int | Literal["auto"] = 1,
    joint: bool | None = None,
    max_groups: int | None = None,
    max_stages: int | None = None,
    max_ii: int | None = None,
    forbid_register_handoff: bool = False,
    pins: str | Path | None = None,
    solver: str = "cpsat",
    normalize: int | None = None,
    certify: bool = False,
    time_limit_s: float = 60.0,
    workers: int = 2,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Schedule:
    """Find the best schedule of a kernel's loop, prove it as far as time allows, and verify it.

    kernel_or_graph: `file.py[:kernel]`, `package.module:kernel`, a `.ttir`, `.ttgir`, `.mlir`, `.ptx` or graph `.json`
    file, a folder with a task file, a Triton function, an `ir.loop.Kernel` or an `ir.graph.DependenceGraph`.
    target: machine name, path of a machine file, or a Machine; by default the graph's own machine, else h100.
    arguments, constants: Triton argument types (`{"Q": "*fp16"}`) and constexprs. loop: path in the loop tree, by
    default the innermost loop with the most matrix products. subtile: copies of the body along its rows; "auto" tries
    every legal number. joint: False for one instruction stream with no memories, registers or groups; None decides by
    the kind of source (instruction-level PTX is not joint). normalize: solve over small integer costs of at most this
    sum instead of raw cycles. certify: re-prove every negative claim with the SMT solver.
    pins: a pin file, or "triton" for the stages of Triton's own pipeliner.

    Returns a Schedule whose status is optimal, feasible, infeasible or timeout. Raises ir.diagnostics.UserError for
    input that cannot be used, with place and remedy.
    """
    options = Options(
        target=target,
        arguments=arguments or {},
        constants=constants or {},
        num_warps=num_warps,
        loop=loop,
        subtile=subtile,
        joint=joint,
        max_groups=max_groups,
        max_stages=max_stages,
        max_ii=max_ii,
        forbid_register_handoff=forbid_register_handoff,
        pins=pins,
        solver=solver,
        normalize=normalize,
        certify=certify,
    )
    limits = Limits(time_s=time_limit_s, workers=workers, seed=seed, progress=progress or _silent)
    return run(kernel_or_graph, options, limits).schedule


def _silent(_line: str) -> None:
    """Drop a progress line."""
