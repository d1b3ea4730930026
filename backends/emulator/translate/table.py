"""Which translator handles which instruction, and the translation of a whole program."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backends.emulator.program import Program
from backends.emulator.translate import (
    atomic_updates,
    bulk,
    calls,
    cluster,
    control,
    lanes,
    loads,
    matrix,
    moves,
    synchronisation,
    tcgen05,
    tensor_maps,
    warpgroup,
    warps,
    wmma,
)
from backends.emulator.translate.block import Block
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Instruction, Register

Emitter = Callable[[BlockBuilder, Instruction], None]

# By the longest prefix of an opcode; all others are lane-wise.
EMITTERS: Mapping[str, Emitter] = {
    "mov": moves.emit_mov,
    "cvta": moves.emit_cvta,
    "isspacep": moves.emit_isspacep,
    "call": calls.emit_call,
    "bra": control.emit_branch,
    "brx": control.emit_indirect_branch,
    "ret": control.emit_exit,
    "exit": control.emit_exit,
    "trap": control.emit_trap,
    "brkpt": control.emit_trap,
    "nanosleep": control.emit_nanosleep,
    "ld": loads.emit_load,
    "ldu": loads.emit_load,
    "st": loads.emit_store,
    "prefetch": loads.emit_nothing,
    "prefetchu": loads.emit_nothing,
    "applypriority": loads.emit_nothing,
    "discard": loads.emit_nothing,
    "pragma": loads.emit_nothing,
    "setmaxnreg": synchronisation.emit_setmaxnreg,
    # Launches follow one another here: all that a grid depends on is complete and visible when it begins.
    "griddepcontrol": loads.emit_nothing,
    "createpolicy": loads.emit_policy,
    "mapa": cluster.emit_mapa,
    "getctarank": cluster.emit_getctarank,
    "st.async": cluster.emit_store_async,
    "red.async": cluster.emit_store_async,
    "clusterlaunchcontrol": cluster.emit_launch_control,
    "atom": atomic_updates.emit_atom,
    "red": atomic_updates.emit_red,
    "bar": synchronisation.emit_bar,
    "barrier": synchronisation.emit_bar,
    "mbarrier": synchronisation.emit_mbarrier,
    "fence": synchronisation.emit_fence,
    "membar": synchronisation.emit_fence,
    "cp.async": synchronisation.emit_cp_async,
    "cp.async.bulk": bulk.emit_bulk,
    "cp.reduce.async.bulk": bulk.emit_bulk,
    "wgmma": warpgroup.emit_wgmma,
    "tensormap": tensor_maps.emit_tensormap,
    "tcgen05": tcgen05.emit_tcgen05,
    "shfl": warps.emit_shuffle,
    "vote": warps.emit_vote,
    "match": warps.emit_match,
    "redux": warps.emit_redux,
    "elect": warps.emit_elect,
    "activemask": warps.emit_activemask,
    "mma": matrix.emit_mma,
    "wmma": wmma.emit_wmma,
    "ldmatrix": matrix.emit_ldmatrix,
    "stmatrix": matrix.emit_stmatrix,
}


_WAITS = (
    ("mbarrier", "try_wait"),
    ("mbarrier", "test_wait"),
    ("wgmma", "fence"),
    ("wgmma", "wait_group"),
    ("tcgen05", "alloc"),
)


def ends_block(instruction: Instruction) -> bool:
    """Whether threads may wait at an instruction that is no branch, so that a block has to end with it."""
    parts = instruction.parts
    if parts[0] in ("bar", "barrier"):
        return parts[1] != "warp" and "arrive" not in parts
    # The registers that wgmma reads and writes on its own must be in place before it, and are read anew after.
    return parts[:2] in _WAITS


def emitter_of(opcode: str) -> Emitter:
    """The translator of an opcode."""
    parts = opcode.split(".")
    for length in range(len(parts), 0, -1):
        emitter = EMITTERS.get(".".join(parts[:length]))
        if emitter is not None:
            return emitter
    return lanes.emit_lane_function


def translate(program: Program, addresses: Mapping[str, int], counts: bool = False) -> tuple[Block, ...]:
    """The blocks of a program as functions; raises UserError for an instruction that is not implemented.

    With `counts`, they tell the batch's observer of each guard.
    """
    return tuple(_translate_block(program, number, addresses, counts) for number in range(len(program.blocks)))


def _translate_block(program: Program, number: int, addresses: Mapping[str, int], counts: bool) -> Block:
    builder = BlockBuilder(program, number, addresses)
    warps.begin_meeting(builder)
    indices = iter(program.blocks[number])
    for index in indices:
        instruction = builder.begin(index)
        if program.reads_tensor_memory:
            _emit_operands(builder, instruction)
        run = matrix.run_from(program, number, index)
        if len(run) > 1:
            matrix.emit_run(builder, run)
            for _ in run[1:]:
                next(indices)
            continue
        if counts and instruction.guard is not None:
            builder.line(f"S.observer.guard(F, {index}, {builder.guard})")
        emitter_of(instruction.opcode)(builder, instruction)
    return builder.finish(len(program.blocks[number]))


def _emit_operands(builder: BlockBuilder, instruction: Instruction) -> None:
    """Tell the observer of the instruction, if it follows values now."""
    predicate = "None"
    if instruction.base == "selp" and isinstance(instruction.operands[3], Register):
        predicate = builder.read(instruction.operands[3], "pred")
    call = f"S.observer.operands(F, {builder.index}, {builder.guard}, {predicate})"
    builder.line(f"if S.observer is not None and S.observer.follows_values: {call}")
