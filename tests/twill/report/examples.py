"""Hand-made schedules for the report and explanation tests: attention on Hopper, edge sizes, negative answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from ir.diagnostics import Location
from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.machine import Machine
from ir.schedule import (
    Bound,
    Buffer,
    Certificate,
    Conflict,
    Level,
    Placement,
    Rejection,
    Schedule,
    Status,
    WarpGroup,
)
from twill.explain.steady import lifetimes

HOPPER = Machine(
    name="hopper-like",
    architecture="sm_90",
    units={"tensor": 1, "sfu": 1, "alu": 1, "tma": 1},
    smem_bytes=232_448,
    registers_per_sm=65_536,
    max_registers_per_thread=240,
    reserved_registers=24,
    max_warps=16,
    max_groups=4,
    description="Hand-made numbers in the range of a Hopper SM",
)
SOURCE = "kernels/attention_forward/kernel.py"
TILE_BYTES = 128 * 128 * 2


def _at(line: int) -> Location:
    return Location(SOURCE, line, 9)


def _subtile_ops(j: int) -> list[tuple[Op, int]]:
    """Ops of one 64-row sub-tile with their issue times, for the first sub-tile."""

    def alu(name: str, cycles: int, registers: int, line: int, detail: str) -> Op:
        return Op(f"{name}[{j}]", "alu", cycles, cycles, cycles, registers=registers, warps=4,
                  handoff_cycles=400, opcode="arith", detail=detail, location=_at(line))  # fmt: skip

    def sfu(name: str, cycles: int, registers: int, line: int) -> Op:
        return Op(f"{name}[{j}]", "sfu", cycles, cycles, cycles, registers=registers, warps=4,
                  handoff_cycles=400, opcode="math.exp2", detail="exp2", location=_at(line))  # fmt: skip

    def gemm(name: str, line: int, detail: str) -> Op:
        return Op(f"{name}[{j}]", "tensor", 576, 512, 1, registers=64, warps=4,
                  handoff_cycles=400, opcode="tt.dot", detail=detail, location=_at(line))  # fmt: skip

    return [
        (gemm("qk", 59, "wgmma 64x128x128"), 100),
        (alu("tile_max", 64, 1, 66, "max over 64x128"), 676),
        (alu("new_max", 1, 1, 66, "max"), 740),
        (sfu("alpha", 8, 1, 68), 741),
        (alu("shifted", 64, 64, 67, "fma 64x128"), 749),
        (sfu("p", 512, 64, 67), 813),
        (alu("tile_sum", 64, 1, 69, "sum over 64x128"), 1325),
        (alu("row_sum", 1, 1, 69, "fma"), 1389),
        (alu("scaled", 64, 64, 70, "mul 64x128"), 1391),
        (alu("p_half", 64, 32, 73, "convert to fp16"), 1455),
        (gemm("acc", 73, "wgmma 64x128x128"), 2660),
    ]


def _subtile_edges(j: int) -> list[Edge]:
    def edge(source: str, target: str, **more: object) -> Edge:
        names = (n if n in "kv" else f"{n}[{j}]" for n in (source, target))
        return Edge(*names, **more)  # type: ignore[arg-type]

    return [
        edge("k", "qk", blocking=True),
        edge("qk", "tile_max", blocking=True),
        edge("tile_max", "new_max"),
        edge("new_max", "new_max", distance=1),
        edge("new_max", "alpha"),
        edge("new_max", "alpha", distance=1),
        edge("new_max", "shifted"),
        edge("qk", "shifted", in_place=True),
        edge("shifted", "p", in_place=True),
        edge("p", "tile_sum"),
        edge("tile_sum", "row_sum"),
        edge("alpha", "row_sum"),
        edge("row_sum", "row_sum", distance=1, in_place=True),
        edge("alpha", "scaled"),
        edge("acc", "scaled", distance=1, blocking=True, in_place=True),
        edge("p", "p_half"),
        edge("p_half", "acc"),
        edge("scaled", "acc", in_place=True),
        edge("v", "acc", blocking=True),
    ]


def attention_graph() -> DependenceGraph:
    """Attention forward with two 64-row sub-tiles: 24 tile ops."""

    def load(name: str, line: int) -> Op:
        return Op(name, "tma", 752, 512, 1, smem_bytes=TILE_BYTES, variable_latency=True, streaming=True,
                  handoff_cycles=92, opcode="tt.load", detail="TMA load 128x128 fp16", location=_at(line))  # fmt: skip

    ops = [load("k", 58), load("v", 72)]
    ops += [op for j in (0, 1) for op, _ in _subtile_ops(j)]
    edges = [edge for j in (0, 1) for edge in _subtile_edges(j)]
    edges.append(Edge("k", "v", 0, kind="order", assumed=True, reason="k_ptrs and v_ptrs may alias"))
    invariants = (Invariant("q", smem_bytes=TILE_BYTES, readers=("qk[0]", "qk[1]")),)
    return DependenceGraph("attention_forward_kernel/0", tuple(ops), tuple(edges), invariants, 2, None, _at(56))


def attention() -> Schedule:
    """The three-group pipeline of attention on Hopper: QK and softmax at stage 0, PV at stage 1; II is 2048."""
    graph = attention_graph()
    times = {"k": (0, 0), "v": (2560, 0)}
    times |= {op.name: (t + 1024 * j, 1 + j) for j in (0, 1) for op, t in _subtile_ops(j)}
    placements = tuple(Placement(op.name, *times[op.name]) for op in graph.ops)
    tensor = ("qk[0]", "acc[0]", "qk[1]", "acc[1]")
    certificate = Certificate(
        bounds=(
            Bound("unit", 2048, "tensor", tensor, "4 x 512 cycles on 1 tensor unit"),
            Bound("unit", 1040, "sfu", ("alpha[0]", "p[0]", "alpha[1]", "p[1]")),
            Bound("recurrence", 640, "acc[0] -> scaled[0]", ("acc[0]", "scaled[0]"), "576 + 64 cycles, distance 1"),
        ),
        rejections=(Rejection(2047, "bound", "tensor needs 2048 cycles an iteration"),),
        levels=(
            Level("ii", 2048, 2048, "bound"),
            Level("length", 4260, 4132, "cp-sat, stopped at the time limit"),
            Level("groups", 3, 3, "cp-sat"),
            Level("crossings", 4, 4, "cp-sat"),
        ),
        assumptions=("at most 3 stages",),
        cross_checks=("checker: every constraint of the problem holds",),
    )
    groups = (WarpGroup(0, "load", 1, 24), WarpGroup(1, "consumer", 4, 240), WarpGroup(2, "consumer", 4, 240))
    bare = Schedule(
        Status.FEASIBLE, graph, HOPPER, "cp-sat", True, 2048, 4260, placements, groups, (), certificate,
        lower_bound_cycles=2048, message="length not proven within 60 s",
    )  # fmt: skip
    # One tile more than the lifetimes need, for the latency of the loads.
    deep = (replace(b, depth=b.needed_depth + 1) if b.memory == "smem" else b for b in _buffers(bare))
    return replace(bare, buffers=tuple(deep))


def infeasible() -> Schedule:
    """An answer without placements: shared memory is too small."""
    conflict = Conflict(("smem",), "k needs 64 KiB of shared memory, 48 KiB allowed", ("48 KiB more shared memory",))
    small = replace(HOPPER, smem_bytes=49_152)
    return Schedule(Status.INFEASIBLE, attention_graph(), small, "cp-sat", conflict=conflict, lower_bound_cycles=2048)


def timeout() -> Schedule:
    """No answer within the limit."""
    rejections = Certificate(rejections=(Rejection(2100, "cp-sat", "no schedule of at most 3 stages"),))
    return Schedule(
        Status.TIMEOUT, attention_graph(), HOPPER, "cp-sat", certificate=rejections, lower_bound_cycles=2101,
        message="no schedule within 60 s",
    )  # fmt: skip


def modulo() -> Schedule:
    """Toy attention as a pure modulo schedule: the second GEMM runs one iteration late."""
    machine = Machine("toy", units={"tensor": 1, "sfu": 1})
    ops = (Op("s", "tensor", 1, 1), Op("p", "sfu", 1, 1), Op("o", "tensor", 1, 1))
    edges = (Edge("s", "p"), Edge("p", "o"), Edge("o", "o", distance=1))
    placements = (Placement("s", 0), Placement("p", 1), Placement("o", 3))
    certificate = Certificate(
        bounds=(Bound("unit", 2, "tensor", ("s", "o")), Bound("recurrence", 1, "o", ("o",))),
        rejections=(Rejection(1, "bound", "tensor needs 2 cycles an iteration"),),
        levels=(Level("ii", 2, 2, "bound"), Level("length", 4, 4, "exhaustive")),
    )
    return Schedule(
        Status.OPTIMAL, DependenceGraph("toy", ops, edges), machine, "brute-force", False, 2, 4, placements,
        (WarpGroup(0, "all", 1),), (), certificate, lower_bound_cycles=2,
    )  # fmt: skip


def single(ii_cycles: int = 1) -> Schedule:
    """One op that holds one unit all the time."""
    graph = DependenceGraph("one", (Op("only", "alu", ii_cycles, ii_cycles, ii_cycles),))
    machine = Machine("tiny", units={"alu": 1})
    bounds = (Bound("unit", ii_cycles, "alu", ("only",)),)
    levels = (Level("ii", ii_cycles, ii_cycles, "bound"), Level("length", ii_cycles, ii_cycles, "bound"))
    return Schedule(
        Status.OPTIMAL, graph, machine, "ims", False, ii_cycles, ii_cycles, (Placement("only", 0),),
        (WarpGroup(0, "all", 1),), (), Certificate(bounds=bounds, levels=levels), lower_bound_cycles=ii_cycles,
    )  # fmt: skip


def wide(count: int = 80, ii_cycles: int = 100_000, seed: int = 1) -> Schedule:
    """Many ops of mixed lengths: a chain with carried edges over two units, three groups."""
    rng = random.Random(seed)
    return random_schedule(rng, count, ii_cycles)


def random_schedule(rng: random.Random, count: int, ii_cycles: int, groups: int = 3, span: int = 3) -> Schedule:
    """A schedule that satisfies the dependences (with hand-off) of a random graph; units are unlimited enough."""
    ops, edges, placements = [], [], []
    longest = max(1, ii_cycles // 8)
    for i in range(count):
        latency = rng.randint(0, longest)
        ops.append(
            Op(
                f"op{i}",
                rng.choice(("alu", "sfu", None)),
                latency,
                rng.randint(0, latency),
                rng.choice((1, latency or 1)),
                smem_bytes=rng.choice((0, 0, 1024)),
                registers=rng.choice((0, 4)),
                handoff_cycles=rng.randint(0, 3),
            )
        )
        group, earliest = rng.randrange(groups), 0
        for _ in range(rng.randint(0, 2)):
            if not i:
                break
            source = rng.randrange(i)
            distance = rng.choice((0, 0, 0, 1, 2))
            edges.append(
                Edge(f"op{source}", f"op{i}", None, distance, rng.random() < 0.3, rng.choice(("data", "data", "order")))
            )
            apart = placements[source].group != group
            delay = ops[source].latency_cycles + (ops[source].handoff_cycles if apart else 0)
            earliest = max(earliest, placements[source].time_cycles + delay - distance * ii_cycles)
        placements.append(Placement(f"op{i}", earliest + rng.randint(0, ii_cycles // span), group))
    first = min(p.time_cycles for p in placements)
    placed = tuple(Placement(p.op, p.time_cycles - first, p.group) for p in placements)
    graph = DependenceGraph("random", tuple(ops), tuple(edges))
    length = max(p.time_cycles + op.span_cycles for p, op in zip(placed, ops, strict=True))
    machine = Machine("wide", units={"alu": count * 4, "sfu": count * 4}, wait_cycles=0)
    bare = Schedule(
        Status.FEASIBLE, graph, machine, "random", True, ii_cycles,
        length, placed, tuple(WarpGroup(g, "load" if not g else "consumer", 4, 120) for g in range(groups)),
        lower_bound_cycles=1,
    )  # fmt: skip
    return replace(bare, buffers=tuple(_buffers(bare)))


def _buffers(schedule: Schedule) -> Iterator[Buffer]:
    for row in lifetimes(schedule):
        live = row.end_cycles - row.start_cycles
        depth = -(-live // (schedule.ii_cycles or 1))
        yield Buffer(row.op, row.memory, row.size, live, depth, depth)


CASES = {
    "attention": attention,
    "infeasible": infeasible,
    "timeout": timeout,
    "modulo": modulo,
    "one_cycle": single,
    "one_long": lambda: single(100_000),
    "wide": wide,
}
