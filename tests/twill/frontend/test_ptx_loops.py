"""From PTX control flow to loops: nesting, if-conversion, SSA form, counted loops, refusals."""

from pathlib import Path

import pytest

from ir.loop import Kernel, Loop, Operation, Predicate
from tests.twill.frontend.ptx_text import counted, kernel
from twill.frontend.ptx import load_ptx

DATA = Path(__file__).parent / "data"


@pytest.fixture
def load(tmp_path: Path):
    def from_text(text: str) -> Kernel:
        path = tmp_path / "k.ptx"
        path.write_text(text)
        return load_ptx(path)

    return from_text


def operations(loop: Loop) -> list[Operation]:
    return [item for item in loop.body if isinstance(item, Operation)]


def only_loop(found: Kernel) -> Loop:
    (loop,) = found.loops()
    return loop


def carried(loop: Loop) -> dict[str, str]:
    return {c.argument.name: c.yielded for c in loop.carried}


def test_accumulation_is_carried(load) -> None:
    loop = only_loop(load(counted("fma.rn.f32 %f1, %f2, %f3, %f1;")))
    fma = operations(loop)[0]
    assert fma.operands == ("f2", "f3", "f1.in")
    assert carried(loop) == {"f1.in": "f1", "r0.in": "r0"}


def test_registers_written_twice_get_two_names(load) -> None:
    loop = only_loop(load(counted("add.f32 %f1, %f2, %f3; mul.f32 %f4, %f1, %f1; add.f32 %f1, %f4, %f4;")))
    first, product, second = operations(loop)[:3]
    assert product.operands == (first.results[0].name,) * 2
    assert second.results[0].name != first.results[0].name
    assert carried(loop) == {"r0.in": "r0"}


@pytest.mark.parametrize(
    ("bound", "step", "trips"), [("64", "1", 64), ("64", "32", 2), ("65", "32", 3), ("0", "1", 1), ("%r9", "1", None)]
)
def test_trip_count(load, bound: str, step: str, trips: int | None) -> None:
    loop = only_loop(load(counted("add.f32 %f1, %f1, %f2;", bound, step)))
    assert loop.attributes["counted"] is True
    assert loop.trip_count == trips


def test_a_counter_that_is_copied_and_converted(load) -> None:
    loop = "add.s64 %rd2, %rd1, 8; cvt.u32.u64 %r5, %rd2; setp.lt.s32 %p0, %r5, 64; mov.b64 %rd1, %rd2; @%p0 bra LOOP;"
    assert only_loop(load(kernel(f"mov.b64 %rd1, 0;\nLOOP: {loop}\n"))).trip_count == 8


def test_nested_loops_and_a_start_copied_from_a_register() -> None:
    found = load_ptx(DATA / "reduce_sm90.ptx", "nested")
    assert [(loop.name, loop.is_innermost, loop.trip_count) for loop in found.loops()] == [
        ("0", False, None),
        ("0.0", True, 32),
    ]


def test_no_trip_count_where_an_outer_loop_goes_on_counting(load) -> None:
    text = kernel(
        "mov.u32 %r0, 0; mov.u32 %r1, 0;\nOUTER: add.s32 %r2, %r2, 1;\n"
        "INNER: add.s32 %r0, %r0, 1; setp.lt.s32 %p0, %r0, 8;\n"
        "@%p0 bra INNER; add.s32 %r1, %r1, 1; setp.lt.s32 %p1, %r1, %r9;\n@%p1 bra OUTER;\n"
    )
    assert [loop.trip_count for loop in load(text).loops()] == [None, None]


def test_loop_tested_at_the_top(load) -> None:
    text = kernel(
        "mov.u32 %r0, 0;\nLOOP: setp.ge.s32 %p0, %r0, 10; @%p0 bra DONE;\nadd.s32 %r0, %r0, 1; bra LOOP;\nDONE:\n"
    )
    loop = only_loop(load(text))
    assert loop.trip_count == 10
    assert [o.opcode for o in operations(loop)] == ["setp.ge.s32", "bra", "add.s32", "bra"]


def test_data_dependent_exit_is_not_counted() -> None:
    loop = only_loop(load_ptx(DATA / "reduce_sm90.ptx", "find"))
    assert loop.attributes["counted"] is False and loop.trip_count is None
    assert [o.attributes.get("exit") for o in operations(loop)][-1] is True


def test_diamond_becomes_predicates() -> None:
    loop = only_loop(load_ptx(DATA / "reduce_sm90.ptx", "clipped_sum"))
    predicated = {o.results[0].name if o.results else o.opcode: o.predicates for o in operations(loop) if o.predicates}
    assert predicated == {
        "f15": (Predicate("p2"),),
        "st.global.f32": (Predicate("p2"),),
        "f16": (Predicate("p2", False),),
        "bra": (Predicate("p3"),),
    }
    # Both sums are kept where the other side runs.
    assert [o.operands for o in operations(loop) if o.attributes.get("partial")] == [
        ("f15.in", "f3", "f15.in"),
        ("f16.in", "f3", "f16.in"),
    ]


def test_nested_ifs_have_all_their_conditions(load) -> None:
    body = "@%p1 bra SKIP; add.f32 %f1, %f2, %f3; @%p2 bra SKIP; st.global.f32 [%rd1], %f1;\nSKIP:"
    loop = only_loop(load(counted(body)))
    (store,) = [o for o in operations(loop) if o.opcode.startswith("st")]
    assert store.predicates == (Predicate("p1", False), Predicate("p2", False))


def test_a_value_private_to_one_side_needs_no_old_value(load) -> None:
    body = "@%p1 bra SKIP; add.f32 %f1, %f2, %f3; st.global.f32 [%rd1], %f1;\nSKIP:"
    loop = only_loop(load(counted(body)))
    assert not any(o.attributes.get("partial") for o in operations(loop))
    assert carried(loop) == {"r0.in": "r0"}


def test_both_sides_of_a_diamond_need_no_old_value_from_the_last_iteration(load) -> None:
    sides = "@%p1 bra ELSE; add.f32 %f1, %f2, %f3; bra JOIN;\nELSE: mul.f32 %f1, %f2, %f3;\n"
    body = f"{sides}JOIN: st.global.f32 [%rd1], %f1;"
    loop = only_loop(load(counted(body)))
    add, multiply, store = operations(loop)[:3]
    assert multiply.operands == ("f2", "f3", add.results[0].name)
    assert store.operands == ("rd1", multiply.results[0].name)
    assert carried(loop) == {"r0.in": "r0"}


def test_guarded_update_keeps_the_old_value(load) -> None:
    loop = only_loop(load(counted("@%p1 mov.f32 %f1, 0f00000000; add.f32 %f2, %f2, %f1;")))
    move = operations(loop)[0]
    assert move.attributes["partial"] is True
    assert move.operands == ("f1.in",)
    assert carried(loop)["f1.in"] == move.results[0].name


def test_value_read_after_the_loop_keeps_its_old_value(load) -> None:
    text = counted("@%p1 add.f32 %f1, %f2, %f3;").replace("\tret;", "\tst.global.f32 [%rd1], %f1;\n\tret;")
    assert operations(only_loop(load(text)))[0].attributes["partial"] is True


def test_spin_wait_is_one_instruction(load) -> None:
    wait = "{ .reg .pred done; again: mbarrier.try_wait.parity.shared.b64 done, [%r1], %r2; @!done bra again; }"
    cutlass = (
        "{ .reg .pred done; again: mbarrier.try_wait.parity.shared.b64 done, [%r1], %r2;"
        "@done bra over; bra again; over: }"
    )
    for text in (wait, cutlass):
        loop = only_loop(load(counted(f"{text} add.f32 %f1, %f1, %f2;")))
        assert loop.is_innermost and loop.trip_count == 64
        assert operations(loop)[0].attributes.get("spin") is True


OR = "@%p1 bra X; @%p2 bra Y; bra END;\nX: add.f32 %f1, %f1, %f2;\nY: add.f32 %f3, %f3, %f2;\nEND:"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (OR, "no nest of ifs"),
        ("call.uni (%r1), helper, (%r2);", "cannot be seen into"),
        ("brx.idx %r1, table;\ntable: .branchtargets X, Y;\nX: add.f32 %f1, %f1, %f2;\nY:", "indirect branch"),
    ],
)  # fmt: skip
def test_refusals_name_the_place(load, body: str, reason: str) -> None:
    loop = only_loop(load(counted(body)))
    assert loop.refusal is not None and reason in loop.refusal
    assert loop.location is not None


def test_irreducible_cycle_is_refused(load) -> None:
    text = kernel(
        "@%p1 bra B;\nA: add.s32 %r1, %r1, 1; bra B;\nB: add.s32 %r2, %r2, 1; setp.lt.s32 %p2, %r2, 9; @%p2 bra A;\n"
    )
    assert "irreducible" in str(only_loop(load(text)).refusal)


@pytest.mark.parametrize("architecture", [80, 90, 100])
def test_triton_gemm_has_one_counted_loop(architecture: int) -> None:
    found = load_ptx(DATA / f"gemm_sm{architecture}.ptx")
    loop = only_loop(found)
    assert loop.is_innermost and loop.refusal is None and loop.attributes["counted"]
    assert loop.location is not None and loop.location.file == "kernels/gemm/kernel.py"
    products = [o for o in operations(loop) if o.opcode.startswith(("mma.", "wgmma.mma", "tcgen05.mma"))]
    assert len(products) == {80: 16, 90: 2, 100: 2}[architecture]


@pytest.mark.parametrize("name", ["gemm_sm80", "gemm_sm90", "gemm_sm100"])
def test_every_value_is_defined_before_it_is_read(name: str) -> None:
    found = load_ptx(DATA / f"{name}.ptx")
    loop = only_loop(found)
    known = {v.name for item in found.body if isinstance(item, Operation) for v in item.results}
    known |= {c.argument.name for c in loop.carried}
    for operation in operations(loop):
        assert known >= {*operation.operands, *(p.condition for p in operation.predicates)}
        assert known.isdisjoint(v.name for v in operation.results)
        known |= {v.name for v in operation.results}
    assert known >= {c.yielded for c in loop.carried} | {c.initial for c in loop.carried} | {loop.upper, loop.step}
