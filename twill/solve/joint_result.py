"""From issue times and groups to a full schedule: roles, register budgets, buffers, levels and certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ir.schedule import Buffer, Certificate, Level, Placement, Schedule, Status, WarpGroup
from twill.problem.problem import Family
from twill.solve.joint_instance import Instance, Value, make_instance
from twill.solve.joint_layout import Layout
from twill.solve.joint_model import Solution
from twill.solve.joint_search import Findings, Search

LevelName = Literal["ii", "length", "groups", "crossings"]
_TENSOR_UNIT = "tensor"


def compact(instance: Instance, solution: Solution) -> Solution:
    """The same solution with the groups in use numbered from 0: the load group first, then by their first op."""
    loads = instance.problem.has_load_group
    order = dict.fromkeys([*([0] if loads and 0 in solution.groups else []), *solution.groups])
    number = {g: i for i, g in enumerate(order)}
    return Solution(solution.ii, solution.times, tuple(number[g] for g in solution.groups))


def make_schedule(search: Search, solver: str) -> Schedule:
    """The answer that a finished search gives."""
    problem, known = search.problem, search.known
    timing = {f"{level}_s": seconds for level, seconds in known.seconds.items()}
    bounds = tuple(b for b in search.bounds if known.solution is None or b.ii_cycles <= known.solution.ii)
    certificate = Certificate(bounds, tuple(known.rejections), assumptions=_assumptions(search))
    lower = known.bounds.get("ii", search.minimum)
    if known.solution is None:
        status = Status.INFEASIBLE if known.conflict else Status.TIMEOUT
        message = known.conflict.message if known.conflict else _interruption(known, "no schedule found")
        return Schedule(
            status, problem.graph, problem.machine, solver, problem.joint, certificate=certificate,
            conflict=known.conflict, lower_bound_cycles=lower, message=message, timing=timing,
        )  # fmt: skip
    layout = Layout(make_instance(problem), compact(search.instance, known.solution))
    levels = _levels(layout, known)
    proven = all(level.proven for level in levels)
    return Schedule(
        status=Status.OPTIMAL if proven else Status.FEASIBLE,
        graph=problem.graph,
        machine=problem.machine,
        solver=solver,
        joint=problem.joint,
        ii_cycles=layout.solution.ii,
        length_cycles=layout.solution.length(layout.instance.spans),
        placements=_placements(layout),
        groups=_groups(layout),
        buffers=_buffers(layout),
        certificate=Certificate(bounds, tuple(known.rejections), levels, _assumptions(search)),
        lower_bound_cycles=lower,
        message="" if proven else _interruption(known, "the best so far is not proven optimal"),
        timing=timing,
    )


def _interruption(known: Findings, what: str) -> str:
    return f"interrupted: {what}" if known.interrupted else f"time limit: {what}"


# What a certificate owes to the derived cap on stages, by the first of these methods that refuted an interval.
_CAP_EFFECTS = {
    "CP-SAT": "refuted intervals rest on it",
    "SMT": "no refuted interval rests on it: the SMT solver refutes for any number",
}
_CAP_UNUSED = "no proof rests on it: the II meets a bound"


def _assumptions(search: Search) -> tuple[str, ...]:
    if search.instance.max_stages is not None:
        return (f"at most {search.stages} stages, as asked for",)
    methods = {rejection.method for rejection in search.known.rejections}
    effect = next((text for method, text in _CAP_EFFECTS.items() if method in methods), _CAP_UNUSED)
    derived = f"longest chain {search.chain} cycles over II bound {search.minimum}, and 2 more"
    return (f"at most {search.stages} stages ({derived}); {effect}",)


def _placements(layout: Layout) -> tuple[Placement, ...]:
    ops, solution = layout.instance.problem.graph.ops, layout.solution
    return tuple(map(Placement, (op.name for op in ops), solution.times, solution.groups))


def _levels(layout: Layout, known: Findings) -> tuple[Level, ...]:
    """The four levels; a bound of a level counts only where all levels before are proven."""
    solution = layout.solution
    crossing = sum(solution.groups[e.source] != solution.groups[e.target] for e in layout.instance.edges)
    length = solution.length(layout.instance.spans)
    values: dict[LevelName, int] = {
        "ii": solution.ii, "length": length, "groups": len(layout.members), "crossings": crossing
    }  # fmt: skip
    levels, proven = list[Level](), True
    for name, value in values.items():
        bound = known.bounds.get(name, 0) if proven else 0
        levels.append(Level(name, value, min(bound, value), known.methods.get(name, "CP-SAT")))
        proven = proven and bound >= value
    return tuple(levels)


def _groups(layout: Layout) -> tuple[WarpGroup, ...]:
    roles, budgets = _roles(layout), _budgets(layout)
    return tuple(WarpGroup(g, roles[g], layout.warps(g), budgets.get(g)) for g in layout.members)


def _roles(layout: Layout) -> Mapping[int, str]:
    """The pinned label where there is one, else what the group does."""
    problem = layout.instance.problem
    labels = problem.pins.groups if problem.has(Family.PINS) else {}
    kinds = {g: _kind(layout, g, members) for g, members in layout.members.items()}
    roles = dict[int, str]()
    for g, members in layout.members.items():
        pinned = [labels[problem.graph.ops[v].name] for v in members if problem.graph.ops[v].name in labels]
        same = [other for other, kind in kinds.items() if kind == kinds[g]]
        alone = kinds[g] == "load" or (kinds[g] == "mma" and len(same) == 1)
        roles[g] = pinned[0] if pinned else (kinds[g] if alone else f"{kinds[g]}{same.index(g)}")
    return roles


def _kind(layout: Layout, group: int, members: Sequence[int]) -> str:
    ops = layout.instance.problem.graph.ops
    if group == 0 and layout.instance.problem.has_load_group:
        return "load"
    return "mma" if all(ops[v].unit == _TENSOR_UNIT for v in members) else "compute"


def _budgets(layout: Layout) -> Mapping[int, int]:
    """Least budgets; what is left of the register file goes, a step at a time, to the group with the least to spare.

    Groups that hold no values (loads, tensor-core issue) keep the least.
    """
    if not layout.instance.has_registers:
        return {}
    machine = layout.instance.problem.machine
    step, highest = machine.register_granularity, machine.max_registers_per_thread
    needed, budgets = layout.needs, dict(layout.least_budgets)
    left = (machine.registers_per_sm or 0) // machine.threads_per_warp - sum(
        layout.warps(g) * budget for g, budget in budgets.items()
    )
    holders = {v.op for v in layout.instance.values if v.registers}
    growing = [g for g in budgets if holders.intersection(layout.members[g])]
    while growing:
        g = min(growing, key=lambda g: (budgets[g] - needed[g], g))
        if budgets[g] + step > highest or step * layout.warps(g) > left:
            growing.remove(g)
        else:
            budgets[g] += step
            left -= step * layout.warps(g)
    return budgets


def _buffers(layout: Layout) -> tuple[Buffer, ...]:
    return (
        *_memory_buffers(layout, "smem", Family.SMEM, layout.instance.problem.machine.smem_bytes),
        *_memory_buffers(layout, "tmem", Family.TMEM, layout.instance.problem.machine.tmem_columns),
        *(_buffer(layout, v, "registers", v.registers, 0) for v in layout.instance.values if v.registers),
    )


def _memory_buffers(
    layout: Layout, memory: Literal["smem", "tmem"], family: Family, limit: int | None
) -> tuple[Buffer, ...]:
    """Needed depths, and for streaming ops as many more copies as hide their latency, while there is room."""
    attribute = {"smem": "smem_bytes", "tmem": "tmem_columns"}[memory]
    sizes = {value: getattr(value, attribute) for value in layout.instance.values}
    sizes = {value: size for value, size in sizes.items() if size}
    held = sum(getattr(i, attribute) for i in layout.instance.problem.graph.invariants)
    limited = limit is not None and layout.instance.holds(family)
    room = (limit or 0) - held - layout.peak(sizes) if limited else None
    spare = _spare_copies(layout, sizes, room)
    return tuple(_buffer(layout, value, memory, size, spare.get(value, 0)) for value, size in sizes.items())


def _spare_copies(layout: Layout, sizes: Mapping[Value, int], room: int | None) -> Mapping[Value, int]:
    """Copies beyond the needed depth: depth ceil((latency + one hand-off) / II) + 1 for streaming ops, in turns."""
    ii, ops = layout.solution.ii, layout.instance.problem.graph.ops
    wanted = {
        value: -(-(ops[value.op].latency_cycles + ops[value.op].handoff_cycles) // ii)
        + 1
        - -(-layout.lives[value] // ii)
        for value in sizes
        if ops[value.op].streaming
    }
    spare = dict.fromkeys(wanted, 0)
    for _ in range(max([0, *wanted.values()])):
        for value, most in wanted.items():
            if spare[value] < most and (room is None or sizes[value] <= room):
                spare[value] += 1
                room = None if room is None else room - sizes[value]
    return spare


def _buffer(
    layout: Layout, value: Value, memory: Literal["smem", "tmem", "registers"], size: int, spare: int
) -> Buffer:
    live = layout.lives[value]
    needed = -(-live // layout.solution.ii)
    return Buffer(layout.instance.problem.graph.ops[value.op].name, memory, size, live, needed, needed + spare)
