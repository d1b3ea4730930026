"""Shared and tensor memory at every slot, and the register file on average: what holds whatever the groups are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ortools.sat.python import cp_model

from twill.problem.problem import Family
from twill.solve.joint_frame import Frame
from twill.solve.joint_instance import Value
from twill.solve.joint_overlap import Holding, add_counts
from twill.solve.joint_paths import NEVER
from twill.solve.joint_storage import Chain, Storage, chains_of, tenure_bounds


def add_memories(frame: Frame, storage: Storage) -> None:
    """Shared and tensor memory hold what is live at every slot."""
    machine, invariants = frame.instance.problem.machine, frame.instance.problem.graph.invariants
    memories = (
        (Family.SMEM, machine.smem_bytes, sum(i.smem_bytes for i in invariants), "smem_bytes"),
        (Family.TMEM, machine.tmem_columns, sum(i.tmem_columns for i in invariants), "tmem_columns"),
    )
    for family, limit, held, attribute in memories:
        if limit is not None and frame.instance.holds(family):
            sizes = {value: getattr(value, attribute) for value in frame.instance.values}
            _add_memory(frame, storage, {value: size for value, size in sizes.items() if size}, limit - held)


def _add_memory(frame: Frame, storage: Storage, sizes: Mapping[Value, int], room: int) -> None:
    chains = chains_of(frame, sizes)
    room -= sum(x.distance * x.size for x in chains if x.closed)
    tenancies = [x for x in chains if not x.closed]
    if room < 0 or sum(x.size * tenure_bounds(frame, x)[0] for x in tenancies) > room * frame.ii:
        frame.refute()
        return
    if sum(x.size * -(-tenure_bounds(frame, x)[1] // frame.ii) for x in tenancies) <= room:
        _limit_lifetimes(frame, sizes)
        return
    arcs = [(storage.arc(x, room * frame.ii // x.size), x.size) for x in tenancies]
    pieces = [piece for arc, size in arcs for piece in storage.occupy(arc, size)]
    frame.model.add_cumulative([i for i, _ in pieces], [d for _, d in pieces], room)
    holdings = [Holding(x.values[0].op, size, arc) for x, (arc, size) in zip(tenancies, arcs, strict=True)]
    add_counts(frame, holdings, lambda _: room, lambda _one, _other: None)
    # Implied: the average over the ring. It bounds lifetimes long before the arcs are placed.
    frame.model.add(sum(size * arc.live for arc, size in arcs) <= room * frame.ii)


def _limit_lifetimes(frame: Frame, values: Iterable[Value]) -> None:
    """What `tenure_bounds` took for granted: the frame's paths have limits that follow from this memory alone."""
    for value in values:
        for reader in value.readers:
            least = int(frame.paths[reader.op, value.op])
            if reader.op != value.op and least > NEVER:
                frame.model.add(frame.times[value.op] - frame.times[reader.op] >= least)


def register_use(frame: Frame, storage: Storage) -> cp_model.LinearExprT:
    """Registers x cycles x warps of all values, each on its own."""
    ops = frame.instance.problem.graph.ops
    chains = [Chain((v,), 0, False, v.registers) for v in frame.instance.values if v.registers]
    arcs = [(x, storage.arc(x, tenure_bounds(frame, x)[1])) for x in chains]
    return sum(ops[x.values[0].op].warps * x.size * arc.live for x, arc in arcs)


def add_register_energy(frame: Frame, storage: Storage) -> None:
    """Implied by all groups together: registers x cycles x warps of the values fit the register file's average."""
    if not frame.instance.has_registers:
        return
    machine, ops = frame.instance.problem.machine, frame.instance.problem.graph.ops
    most = machine.max_registers_per_thread - machine.reserved_registers
    held = [v for v in frame.instance.values if v.registers]
    if any(v.registers > most for v in held):
        frame.refute()
        return
    arcs = {v: storage.arc(Chain((v,), 0, False, v.registers), most * frame.ii // v.registers) for v in held}
    terms = [ops[v.op].warps * v.registers * arc.live for v, arc in arcs.items()]
    total = (machine.registers_per_sm or 0) // machine.threads_per_warp
    frame.model.add(sum(terms) <= total * frame.ii)
