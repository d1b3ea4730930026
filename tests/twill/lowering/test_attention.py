"""Attention forward and backward as shipped, lowered for each family: the numbers by hand."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from backends.machines import load_machine, machine_names
from ir.diagnostics import UserError
from ir.graph import DependenceGraph
from ir.loop import Kernel, Loop
from ir.task import load_task
from twill.frontend.load import FrontendOptions, load_kernel
from twill.lowering import legal_subtiles, lower
from twill.pipeline import choose_loop
from twill.problem.bounds import minimum_ii, recurrence_bound

KERNELS = Path(__file__).parents[3] / "kernels"


@cache
def kernel(task: str, machine: str, block_m: int = 0, variant: str = "") -> Kernel:
    constants = {"BLOCK_M": block_m} if block_m else {}
    options = FrontendOptions(architecture=load_machine(machine).architecture, constants=constants)
    return load_kernel(f"{KERNELS / task}:{variant}" if variant else KERNELS / task, options)


def graph(task: str, machine: str, subtile: int = 1, block_m: int = 0, variant: str = "") -> DependenceGraph:
    found = kernel(task, machine, block_m, variant)
    return lower(found, choose_loop(found, None), load_machine(machine), subtile)


def totals(g: DependenceGraph) -> Counter[str | None]:
    total: Counter[str | None] = Counter()
    for op in g.ops:
        total[op.unit] += op.occupancy_cycles
    return total


def path(g: DependenceGraph, *names: str) -> int:
    """Delay along a path of ops, by the latency of each edge."""
    edges = {(e.source, e.target): e for e in g.edges}
    return sum(g.delay_cycles(edges[pair]) for pair in pairwise(names))


class TestForwardOnHopper:
    """Two sub-tiles of 64 x 128 scores."""

    g = property(lambda self: graph("attention_forward", "h100", 2))

    def test_loads(self) -> None:
        for name in ("k", "v"):
            load = self.g.by_name[name]
            assert load.smem_bytes == 32 * 1024
            assert load.unit == "tma"
            assert load.streaming
            assert load.occupancy_cycles == 342  # 32 KiB at 96 bytes a cycle

    def test_products(self) -> None:
        products = [op for op in self.g.ops if op.unit == "tensor"]
        assert sorted(op.name for op in products) == ["acc[0]", "acc[1]", "qk[0]", "qk[1]"]
        assert all(op.occupancy_cycles == 512 for op in products)  # 2*64*128*128/4096
        assert "A from shared memory" in self.g.by_name["qk[0]"].detail
        assert "A from registers" in self.g.by_name["acc[1]"].detail

    def test_softmax(self) -> None:
        by_name = self.g.by_name
        assert (by_name["p[0]"].unit, by_name["p[0]"].occupancy_cycles) == ("sfu", 512)  # 64*128/16
        assert by_name["p.subf[0]"].occupancy_cycles == 64  # scale and subtract: one FMA, 64*128/128
        assert by_name["acc.truncf[0]"].occupancy_cycles == 128  # 64*128/64
        # 128 of max at 64 lanes; 2 steps between 4 lanes, each 256 values at 32 (shuffle) and 64 lanes (max).
        assert by_name["new_max.reduce[0]"].occupancy_cycles == 128 + 2 * (8 + 4)

    def test_registers(self) -> None:
        registers = {name: self.g.by_name[f"{name}[0]"].registers for name in ("acc", "qk", "p", "acc.truncf", "alpha")}
        assert registers == {"acc": 64, "qk": 64, "p": 64, "acc.truncf": 32, "alpha": 1}

    def test_query_is_held_in_shared_memory(self) -> None:
        assert [(i.name, i.smem_bytes) for i in self.g.invariants] == [("q[0]", 16384), ("q[1]", 16384)]

    def test_storage_is_taken_over_along_the_sum_and_the_scores(self) -> None:
        taken = {(e.source, e.target, e.distance) for e in self.g.edges if e.in_place}
        chain = {("acc[0]", "acc.mulf[0]", 1), ("acc.mulf[0]", "acc[0]", 0)}
        assert chain <= taken
        assert {("qk[0]", "p.subf[0]", 0), ("p.subf[0]", "p[0]", 0)} <= taken
        assert not any(source == "p[0]" for source, _, _ in taken)  # read by the sum and by the conversion

    def test_first_reader_waits(self) -> None:
        waits = {(e.source, e.target) for e in self.g.edges if e.blocking and "[1]" not in e.target}
        assert waits == {("k", "qk[0]"), ("qk[0]", "new_max.reduce[0]"), ("acc[0]", "acc.mulf[0]"), ("v", "acc[0]")}

    def test_bounds(self) -> None:
        total = totals(self.g)
        assert total["tensor"] == 2048
        assert total["alu"] < 1024
        assert minimum_ii(self.g, load_machine("h100")) == 2048
        bound = recurrence_bound(self.g)
        assert bound is not None
        assert bound.ii_cycles < 1024

    def test_one_tile_holds_128_registers(self) -> None:
        one = graph("attention_forward", "h100")
        assert one.by_name["acc"].registers == one.by_name["qk"].registers == 128
        assert totals(one)["tensor"] == 2048


class TestForwardOnBlackwell:
    """Two sub-tiles of 128 x 128 scores."""

    g = property(lambda self: graph("attention_forward", "b200", 2, block_m=256))

    def test_products(self) -> None:
        products = [op for op in self.g.ops if op.unit == "tensor"]
        assert len(products) == 4
        assert all((op.occupancy_cycles, op.latency_cycles, op.warps) == (512, 900, 1) for op in products)
        assert all(op.tmem_columns == 128 for op in products)

    def test_tensor_memory_is_explicit(self) -> None:
        by_name = self.g.by_name
        load, probabilities, sums = (
            by_name[n] for n in ("qk.tmem_load[0]", "acc.truncf.tmem_store[0]", "acc.mulf.tmem_store[0]")
        )
        assert (load.registers, load.latency_cycles, load.occupancy_cycles) == (128, 138 + 256, 256)
        assert (probabilities.tmem_columns, sums.tmem_columns) == (64, 128)
        assert "A from tensor memory" in by_name["acc[0]"].detail
        edges = {(e.source, e.target, e.distance) for e in self.g.edges}
        sequence = ["acc[0]", "acc.tmem_load[0]", "acc.mulf[0]", "acc.mulf.tmem_store[0]", "acc[0]"]
        distances = [1, 0, 0, 0]
        assert {(a, b, d) for (a, b), d in zip(pairwise(sequence), distances, strict=True)} <= edges

    def test_bounds(self) -> None:
        total = totals(self.g)
        assert total["tensor"] == 2048
        assert total["sfu"] == 2 * (1024 + 8)  # exp2 of 128*128 and of 128 numbers at 16 a cycle
        assert total["alu"] < 2048
        assert minimum_ii(self.g, load_machine("b200")) == 2064

    def test_recurrence_through_the_sum(self) -> None:
        # Product 900; the multiplication ends one strip of 32 after the load (138 + 256 - 128 + 32 before it starts),
        # the store starts after the first strip of 32 and 4 more, and takes 256 + 30.
        sequence = ("acc[0]", "acc.tmem_load[0]", "acc.mulf[0]", "acc.mulf.tmem_store[0]", "acc[0]")
        assert path(self.g, *sequence) == 900 + 298 + 36 + 286
        bound = recurrence_bound(self.g)
        assert bound is not None
        assert bound.ii_cycles == 1520

    def test_sums_fit_beside_scores_or_probabilities(self) -> None:
        columns = {op.name: op.tmem_columns for op in self.g.ops if op.tmem_columns}
        sums = columns["acc[0]"] + columns["acc[1]"]
        assert sums == 256
        assert sums + columns["qk[0]"] + 2 * columns["acc.truncf.tmem_store[0]"] <= 512


class TestBackward:
    def test_keys_and_values_on_hopper(self) -> None:
        # Tiles of 128 keys and 64 queries, 128 wide; 4 products of 2*128*64*128/4096 cycles.
        g = graph("attention_backward", "h100")
        assert totals(g)["tensor"] == 4 * 512
        held = {i.name: i for i in g.invariants}
        assert held["dk.accumulator"].registers == held["dv.accumulator"].registers == 128
        assert held["k"].smem_bytes == held["v"].smem_bytes == 32 * 1024
        assert {op.name for op in g.ops if op.streaming} == {"q", "do"}
        assert g.by_name["lse"].unit == "l2"

    def test_keys_and_values_on_blackwell(self) -> None:
        g = graph("attention_backward", "b200")
        # 128 x 64 scores: arithmetic 256, but 192 rows of 256 bytes at 128 bytes a cycle.
        assert g.by_name["s_t"].occupancy_cycles == 384
        assert g.by_name["dv"].occupancy_cycles == 256
        held = {i.name: i.tmem_columns for i in g.invariants}
        assert held["dk.accumulator"] == held["dv.accumulator"] == 128
        assert g.by_name["dv.truncf.tmem_store"].tmem_columns == 32

    @pytest.mark.parametrize("machine", ["a100", "h100", "b200"])
    def test_queries(self, machine: str) -> None:
        g = graph("attention_backward/dq.toml", machine)
        assert sum(op.unit == "tensor" for op in g.ops) == 3
        assert any(i.name == "dq.accumulator" for i in g.invariants)

    @pytest.mark.parametrize("machine", ["a100", "h100", "b200"])
    def test_sub_tiles_share_the_loads(self, machine: str) -> None:
        found = kernel("attention_backward", machine)
        assert 2 in legal_subtiles(found, choose_loop(found, None), load_machine(machine))
        g = graph("attention_backward", machine, 2)
        assert {"q", "do"} <= g.by_name.keys()
        assert {"dk[0]", "dk[1]"} <= g.by_name.keys()


@pytest.mark.parametrize("variant", ["causal", "ragged"])
def test_masked_forward_shares_the_loads(variant: str) -> None:
    g = graph("attention_forward", "h100", 2, variant=variant)
    assert totals(g)["tma"] == 2 * 342
    assert minimum_ii(g, load_machine("h100")) == 2048


def test_descriptors_and_pointers_give_the_same_graph() -> None:
    one, other = (totals(graph(task, "h100", 2)) for task in ("attention_forward", "attention_forward_descriptor"))
    assert one == other


def innermost(found: Kernel) -> list[Loop]:
    return [loop for loop in found.loops() if loop.is_innermost and loop.refusal is None]


TRITON_TASKS = [p for p in sorted(KERNELS.glob("*/*.toml")) if load_task(p).language == "triton"]
TARGETED = [
    (str(task.relative_to(KERNELS)), machine)
    for task in TRITON_TASKS
    for machine in ("a100", "h100", "b200")
    if load_machine(machine).architecture in load_task(task).targets
]


@pytest.mark.parametrize(("task", "machine"), TARGETED)
def test_every_shipped_loop_lowers_to_units_that_the_machine_has(task: str, machine: str) -> None:
    target = load_machine(machine)
    found = kernel(task, machine)
    for loop in innermost(found):
        for subtile in legal_subtiles(found, loop, target):
            check(lower(found, loop, target, subtile), target.units.keys())


def check(g: DependenceGraph, units: object) -> None:
    names = {op.name for op in g.ops}
    assert len(names) == len(g.ops) > 0
    assert all(op.unit is None or op.unit in units for op in g.ops)  # type: ignore[operator]
    assert all({e.source, e.target} <= names for e in g.edges)
    assert all(set(i.readers) <= names for i in g.invariants)
    assert all(op.occupancy_cycles <= op.latency_cycles for op in g.ops)
    taken = Counter(e.target for e in g.edges if e.in_place)
    assert all(count == 1 for count in taken.values())


def test_every_machine_lowers_attention() -> None:
    for machine in machine_names():
        check(graph("attention_forward", machine), load_machine(machine).units.keys())


def test_an_outer_loop_is_refused_by_name() -> None:
    found = kernel("gemm_persistent", "h100")
    outer = next(loop for loop in found.loops() if not loop.is_innermost)
    with pytest.raises(UserError, match=r"loop 0 has loops inside it \(0\.0\).*loop-not-innermost"):
        lower(found, outer, load_machine("h100"))
