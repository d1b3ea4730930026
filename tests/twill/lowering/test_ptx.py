"""The PTX lowering: recurrences and resources that are known by hand, memory dependences, synchronisation."""

import re
from pathlib import Path

import pytest

from backends.machines import load_machine, machine_names
from backends.ptx.opcodes import WITH_RESULT, WITHOUT_RESULT
from ir.diagnostics import UserError
from ir.graph import DependenceGraph
from tests.twill.frontend.ptx_text import counted, kernel
from tests.twill.lowering.ptx_graphs import edges_between, lower_file
from twill.frontend.ptx import load_ptx
from twill.lowering.ptx import instruction_machine, lower_ptx
from twill.lowering.ptx_costs import RULES
from twill.problem.bounds import all_bounds, recurrence_bound
from twill.problem.check import check
from twill.problem.problem import Problem

DATA = Path(__file__).parents[1] / "frontend" / "data"


@pytest.fixture
def lower(tmp_path: Path):
    def from_text(text: str, machine: str = "h100") -> DependenceGraph:
        path = tmp_path / "k.ptx"
        path.write_text(text)
        return lower_file(path, machine)[0]

    return from_text


def recurrence(graph: DependenceGraph) -> int:
    bound = recurrence_bound(graph)
    return 0 if bound is None else bound.ii_cycles


def chain(*registers: int) -> str:
    return "".join(f"fma.rn.f32 %f{r}, %f50, %f51, %f{r};\n" for r in registers)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # fma takes 4 cycles; the loop counter's add takes 4 too, and 2 cycles of its pipe.
        (chain(1), 4),
        (chain(1, 1, 1, 1), 16),
        (chain(1, 2, 3, 4), 4),
        (chain(1, 1, 2, 2), 8),
        # exp2 of a value that depends on itself.
        ("ex2.approx.f32 %f1, %f1;", 17),
        # A rotation of two registers: the new value comes back after two iterations, 2 x 4 cycles over 2.
        ("mov.f32 %f9, %f1; fma.rn.f32 %f1, %f2, %f2, %f50; mov.f32 %f2, %f9;", 4),
        ("fma.rn.f64 %d1, %d2, %d3, %d1;", 8),
        # A guarded move keeps the old value: a copy costs nothing, so the add alone is in the recurrence.
        ("add.f32 %f1, %f1, %f2; @%p1 mov.f32 %f1, 0f00000000;", 4),
        ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, {%r5,%r6}, "
         "{%f1,%f2,%f3,%f4};", 24),
    ],
)  # fmt: skip
def test_recurrences_known_by_hand(lower, body: str, expected: int) -> None:
    assert recurrence(lower(counted(body))) == expected


@pytest.mark.parametrize(("machine", "expected"), [("h100", 32), ("a100", 64)])
def test_independent_products_are_bound_by_the_fma_pipe(tmp_path: Path, machine: str, expected: int) -> None:
    path = tmp_path / "k.ptx"
    path.write_text(counted(chain(*range(1, 33))))
    graph, target = lower_file(path, machine)
    units = {b.name: b.ii_cycles for b in all_bounds(graph, target) if b.kind == "unit"}
    # On H100 an fma holds its pipe no longer than its issue slot, so 32 and the loop's own 3 bind together.
    assert units["issue"] == 35
    assert units.get("fma", 32) == expected


def test_instruction_machine() -> None:
    machine = instruction_machine(load_machine("b200"))
    assert machine.units["issue"] == 1 and machine.units["tensor"] == 1
    assert not machine.warp_specialization and machine.smem_bytes is None
    assert machine.rates == load_machine("b200").rates


def test_disjoint_offsets_of_one_base_are_independent(lower) -> None:
    graph = lower(counted("ld.shared.f32 %f1, [%r9]; st.shared.f32 [%r9+4], %f2; st.shared.f32 [%r9+2], %f3;"))
    assert not edges_between(graph, "f1", "st.shared")
    (overlap,) = edges_between(graph, "f1", "st.shared.2")
    assert overlap.distance == 0 and not overlap.assumed
    (back,) = edges_between(graph, "st.shared.2", "f1")
    assert back.distance == 1


def test_an_address_that_strides_past_itself_is_independent(lower) -> None:
    body = "ld.global.f32 %f1, [%rd1]; st.global.f32 [%rd1], %f2; add.s64 %rd1, %rd1, {};"
    assert not edges_between(lower(counted(body.format(4))), "st.global", "f1")
    (overlap,) = edges_between(lower(counted(body.format(2))), "st.global", "f1")
    assert (overlap.distance, overlap.assumed) == (1, False)


def test_a_write_that_is_read_some_iterations_later(lower) -> None:
    body = "ld.global.f32 %f1, [%rd1]; add.f32 %f2, %f1, %f1; st.global.f32 [%rd1+12], %f2; add.s64 %rd1, %rd1, 4;"
    graph = lower(counted(body))
    (edge,) = edges_between(graph, "st.global", "f1")
    assert (edge.distance, edge.assumed) == (3, False)
    # load 286, add 4, one cycle to the load, over three iterations
    assert recurrence(graph) == -(-(286 + 4 + 1) // 3)


def test_different_bases_may_alias_and_spaces_do_not(lower) -> None:
    graph = lower(counted("ld.global.f32 %f1, [%rd1]; st.global.f32 [%rd2], %f2; st.shared.f32 [%r9], %f2;"))
    (edge,) = edges_between(graph, "f1", "st.global")
    assert edge.assumed and "`rd1` and `rd2` may be the same place" in edge.reason
    assert not edges_between(graph, "f1", "st.shared")


def test_generic_addresses_alias_all_but_constants(lower) -> None:
    body = "st.f32 [%rd1], %f2; ld.shared.f32 %f1, [%r9]; ld.const.f32 %f3, [%rd3]; ld.global.nc.f32 %f4, [%rd4];"
    graph = lower(counted(body))
    assert edges_between(graph, "st.f32", "f1")[0].assumed
    assert not edges_between(graph, "st.f32", "f3") and not edges_between(graph, "st.f32", "f4")


def test_a_barrier_orders_memory_on_both_sides(lower) -> None:
    graph = lower(counted("st.shared.f32 [%r8], %f2; bar.sync 0; ld.shared.f32 %f1, [%r9]; add.f32 %f5, %f5, %f1;"))
    assert [e.distance for e in edges_between(graph, "st.shared", "bar.sync")] == [0]
    assert [e.distance for e in edges_between(graph, "bar.sync", "f1")] == [0]
    assert [e.distance for e in edges_between(graph, "f1", "bar.sync")] == [1]
    assert not edges_between(graph, "st.shared", "f1")
    assert not edges_between(graph, "f5", "bar.sync")


def test_a_wait_depends_on_the_groups_that_it_waits_for(lower) -> None:
    copy = "cp.async.cg.shared.global [%r1], [%rd1], 16; cp.async.commit_group; cp.async.wait_group {};"
    for pending in (0, 1, 2):
        edges = edges_between(lower(counted(copy.format(pending))), "cp.async", "cp.async.3")
        assert [(e.distance, e.latency_cycles) for e in edges if e.latency_cycles != 1] == [(pending, 311)]


def test_wgmma_results_are_read_after_their_wait(lower) -> None:
    product = "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f1,%f2,%f3,%f4}, %rd1, %rd2, %p1, 1, 1, 0, 0;"
    body = f"wgmma.fence.sync.aligned; {product} wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;"
    graph = lower(counted(f"{body} add.f32 %f9, %f9, %f1;"))
    assert edges_between(graph, "wgmma.wait_group", "f9")
    assert edges_between(graph, "f1", "wgmma.wait_group")[0].latency_cycles == 18
    chained = lower(counted(product))
    assert edges_between(chained, "f1", "f1")[0].latency_cycles == 4


def test_nothing_with_an_effect_passes_an_exit_that_depends_on_data(lower) -> None:
    body = "LOOP: ld.global.u32 %r1, [%rd1]; st.global.u32 [%rd2], %r2; add.f32 %f1, %f1, %f2; setp.ne.s32 %p1, %r1, 7;"
    graph = lower(kernel(f"{body} add.s64 %rd1, %rd1, 4; @%p1 bra LOOP;\n"))
    assert [e.distance for e in edges_between(graph, "bra", "st.global")] == [1]
    assert [e.distance for e in edges_between(graph, "bra", "r1")] == [1]
    assert not edges_between(graph, "bra", "f1")
    assert not edges_between(lower(counted("st.global.u32 [%rd2], %r2;")), "bra", "st.global")


def test_every_opcode_has_a_cost_rule() -> None:
    *rules, (catch_all, _) = RULES
    assert catch_all == ""
    for base in WITH_RESULT | WITHOUT_RESULT:
        examples = (base, f"{base}.sync.b32", f"{base}.f32", f"{base}.u64", f"{base}.async.x")
        assert any(re.match(pattern, example) for pattern, _ in rules for example in examples), base


@pytest.mark.parametrize(("name", "machine"), [("gemm_sm80", "a100"), ("gemm_sm90", "h100"), ("gemm_sm100", "b200")])
def test_triton_gemm(name: str, machine: str) -> None:
    graph, target = lower_file(DATA / f"{name}.ptx", machine)
    assert check(Problem(graph, target, joint=False)) == ()
    units = {b.name: b.ii_cycles for b in all_bounds(graph, target) if b.kind == "unit"}
    # 64 x 64 x 32 by four warps is 262144 FLOP at 2048, 4096 and 8192 a cycle; B200 takes 64 rows for 128.
    assert units["tensor"] == {"a100": 128, "h100": 64, "b200": 64}[machine]
    assert all(op.location is not None for op in graph.ops)


@pytest.mark.parametrize("machine", machine_names())
def test_every_machine_lowers_plain_cuda(machine: str) -> None:
    target = load_machine(machine)
    for entry in ("dot", "clipped_sum", "find", "tiled_gemm", "nested"):
        kernel = load_ptx(DATA / "reduce_sm90.ptx", entry)
        for loop in (loop for loop in kernel.loops() if loop.is_innermost):
            assert check(Problem(lower_ptx(kernel, loop, target), instruction_machine(target), joint=False)) == ()


def test_refused_and_outer_loops_are_user_errors(tmp_path: Path) -> None:
    kernel = load_ptx(DATA / "reduce_sm90.ptx", "nested")
    with pytest.raises(UserError, match="not-innermost"):
        lower_ptx(kernel, next(iter(kernel.loops())), load_machine("h100"))
    path = tmp_path / "k.ptx"
    path.write_text(counted("call.uni helper;"))
    refused = load_ptx(path)
    with pytest.raises(UserError, match="loop-refused"):
        lower_ptx(refused, next(iter(refused.loops())), load_machine("h100"))


def test_a_machine_without_the_rate_is_a_user_error(lower) -> None:
    body = "tcgen05.mma.cta_group::1.kind::f16 [%r1], %rd1, %rd2, %r2, %p1;"
    with pytest.raises(UserError, match="missing-rate"):
        lower(counted(body), "h100")
