"""Triton's own software pipeliner as a source of pins: the stage that it gave to each operation.

The pipeliner runs in steps: latencies, then a schedule written on the operations as `loop.stage` and `loop.cluster`,
then the expansion. Compilation is stopped between the last two, so nothing of Triton's pass list is repeated here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backends.compilers.triton_adaptor import FIXED_OPTIONS, Request, backend, generic_text, new_context
from ir.diagnostics import Location
from ir.graph import DependenceGraph, Op
from ir.loop import Kernel, Loop, Operation
from twill.problem.problem import Pins

# Passes that take the schedule off the operations again: the expansion, and warp specialization before it.
_EXPANSIONS = ("add_pipeline", "add_warp_specialize")
STAGE = "loop.stage"


class _ScheduledError(Exception):
    """Not an error: unwinds Triton's compiler once the schedule is on the module."""


def compile_pipelined(function: Any, request: Request) -> str:
    """Compile a `triton.JITFunction` to TTGIR with the pipeliner's schedule; the module in generic form."""
    from triton.compiler.compiler import ASTSource

    cuda = backend(request.capability)
    chosen = {"num_warps": request.num_warps, "num_stages": request.num_stages, **FIXED_OPTIONS}
    options = cuda.parse_options(chosen)
    context = new_context(request.capability)
    source = ASTSource(function, dict(request.signature), dict(request.constants), dict(request.attributes))
    module = source.make_ir(
        cuda.target, options, cuda.get_codegen_implementation(options), cuda.get_module_map(), context
    )
    module = cuda.make_ttir(module, {}, options, request.capability)
    with _stopping_before_expansion(module):
        cuda.make_ttgir(module, {}, options, request.capability)
    return generic_text(module, context)


@contextmanager
def _stopping_before_expansion(module: Any) -> Iterator[None]:
    """Within the block the passes that expand a schedule run the passes before them, and stop."""
    from triton._C.libtriton import passes

    def stop(manager: Any, *_arguments: Any) -> None:
        manager.run(module, "scheduled") if _takes_a_name(manager) else manager.run(module)
        raise _ScheduledError

    saved = {name: getattr(passes.ttgpuir, name) for name in _EXPANSIONS if hasattr(passes.ttgpuir, name)}
    for name in saved:
        setattr(passes.ttgpuir, name, stop)
    try:
        yield
    except _ScheduledError:
        pass
    finally:
        for name, original in saved.items():
            setattr(passes.ttgpuir, name, original)


def _takes_a_name(manager: Any) -> bool:
    """Triton 3.6 and later name the run; the binding's signature tells."""
    return "arg1" in (manager.run.__doc__ or "") or "str" in (manager.run.__doc__ or "")


def stage_pins(scheduled: Kernel, loop: Loop, graph: DependenceGraph) -> Pins:
    """Pins with Triton's stage for each op of `graph`, matched by source location; stages count from the first in use.

    An op is left free where Triton gave its location no stage, or several that its name cannot tell apart.
    """
    candidates = _scheduled_operations(scheduled, loop.location)
    found = {op.name: _stages(op, candidates) for op in graph.ops}
    pinned = {name: stages.pop() for name, stages in found.items() if len(stages) == 1}
    first = min(pinned.values(), default=0)
    return Pins(name="Triton's own pipeliner", stages={op: stage - first for op, stage in pinned.items()})


def _scheduled_operations(kernel: Kernel, place: Location | None) -> list[Operation]:
    loops = [loop for loop in kernel.loops() if loop.location == place]
    return [item for loop in loops for item in loop.body if isinstance(item, Operation) and STAGE in item.attributes]


def _stages(op: Op, candidates: list[Operation]) -> set[int]:
    """Stages of the operations that `op` may be: same place, then same kind of operation, then same variable."""
    for matches in (_same_place, _same_kind, _same_variable):
        candidates = [item for item in candidates if matches(op, item)] or candidates
    same_place = [item for item in candidates if _same_place(op, item)]
    return {int(str(item.attributes[STAGE])) for item in same_place}


def _same_place(op: Op, item: Operation) -> bool:
    return op.location is not None and item.location == op.location


def _same_kind(op: Op, item: Operation) -> bool:
    """`qk.tmem_load[0]` is a ttng.tmem_load."""
    return item.opcode.rpartition(".")[2] == op.name.partition("[")[0].partition(".")[2]


def _same_variable(op: Op, item: Operation) -> bool:
    return op.name.partition("[")[0].partition(".")[0] in {value.name.partition(".")[0] for value in item.results}
