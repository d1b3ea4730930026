"""The text form: whatever is printed reads back the same, and what is not a kernel is refused at its place."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir.diagnostics import Location, UserError
from ir.loop import Carried, Kernel, Loop, Operation, Predicate, Value
from ir.text import parse_kernel, print_kernel
from ir.types import ELEMENT_BITS, Memory, Type

names = st.one_of(st.from_regex(r"[a-z_][a-z0-9_.]{0,8}", fullmatch=True), st.text(min_size=1, max_size=6))
numbers = st.one_of(st.integers(), st.floats(allow_nan=False))
attribute_values = st.one_of(
    st.booleans(), numbers, st.text(max_size=8), st.lists(st.integers(), max_size=3).map(tuple)
)
attributes = st.dictionaries(names, attribute_values, max_size=3)
types = st.builds(
    Type,
    element=st.one_of(st.sampled_from(sorted(ELEMENT_BITS)), names),
    shape=st.lists(st.integers(0, 4096), max_size=3).map(tuple),
    pointer=st.booleans(),
    descriptor=st.booleans(),
    memory=st.sampled_from(Memory),
)
values = st.builds(Value, names, types)
predicates = st.lists(st.builds(Predicate, names, st.booleans()), max_size=2).map(tuple)
locations = st.one_of(st.none(), st.builds(Location, st.text(max_size=8), st.integers(0, 999), st.integers(0, 99)))
name_lists = st.lists(names, max_size=3).map(tuple)
operations = st.builds(
    Operation,
    opcode=st.one_of(names, st.sampled_from(["loop", "if", "loc", "combiner", "carry", "argument", "inf", "true"])),
    operands=name_lists,
    results=st.lists(values, max_size=2).map(tuple),
    attributes=attributes,
    predicates=predicates,
    combiner=name_lists,
    location=locations,
)
optional_names = st.one_of(st.just(""), names)


def loops(body: st.SearchStrategy) -> st.SearchStrategy:
    bounds = st.one_of(st.just(("", "", "")), st.tuples(names, names, names))
    return st.builds(
        lambda bounds, **rest: Loop(lower=bounds[0], upper=bounds[1], step=bounds[2], **rest),
        bounds,
        name=names,
        induction=st.one_of(st.none(), values),
        carried=st.lists(st.builds(Carried, values, names, names, values), max_size=2).map(tuple),
        body=st.lists(body, max_size=2).map(tuple),
        trip_count=st.one_of(st.none(), st.integers(0, 10**6)),
        attributes=attributes,
        location=locations,
        refusal=st.one_of(st.none(), st.text(max_size=8)),
        predicates=predicates,
    )


items = st.recursive(operations, loops, max_leaves=4)


@st.composite
def kernels(draw: st.DrawFn) -> Kernel:
    arguments = tuple(draw(st.lists(values, max_size=3, unique_by=lambda v: v.name)))
    told = {v.name: draw(attributes) for v in arguments if draw(st.booleans())}
    return Kernel(
        name=draw(names),
        arguments=arguments,
        body=tuple(draw(st.lists(items, max_size=3))),
        source=draw(st.text(max_size=8)),
        dialect=draw(st.sampled_from(["ttir", "ttgir", "ptx"])),
        warps=draw(st.integers(1, 32)),
        location=draw(locations),
        argument_attributes=told,
        attributes=draw(attributes),
    )


@given(kernels())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_printed_reads_back_the_same(kernel: Kernel) -> None:
    again = parse_kernel(print_kernel(kernel))
    assert again == kernel
    # 1 == True == 1.0 in Python: the text must keep them apart.
    assert repr(again) == repr(kernel)


GOOD = """\
kernel dot dialect ttir warps 4 do {
  argument %a: !ptr<f16> {tt.divisibility = 16}
  %x: tensor<64x!ptr<f16>> = tt.splat(%a)
  loop 0 %i: i32 = %x to %x step %x trips 3 do { // a comment
    carry %s.in: f32 = %x yield %s -> %s.out: f32
    %s: f32 = arith.addf(%s.in, %s.in) {fastmath = "fast"} if(not %x) loc("dot.py":4:2)
  }
}
"""


def test_a_kernel_written_by_hand() -> None:
    kernel = parse_kernel(GOOD.replace("loop 0", 'loop "0"'))
    (loop,) = kernel.loops()
    assert loop.trip_count == 3 and kernel.argument_attributes == {"a": {"tt.divisibility": 16}}
    assert isinstance(loop.body[0], Operation) and loop.body[0].predicates == (Predicate("x", False),)


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("kernel dot", "colonel dot", (1, 1), "expected `kernel`, found `colonel`"),
        ("warps 4", "warps 4.5", (1, 31), "expected an integer, found `4.5`"),
        ("16}", "16", (3, 3), "expected `}`, found `%`"),
        ("64x!ptr<f16>>", "64x!ptr<f16>", (3, 27), "expected `>`, found `=`"),
        ("tt.splat(", "(", (3, 30), "expected an operation, `loop` or `}`, found `(`"),
        ("to %x", "till %x", (4, 25), "expected `to`, found `till`"),
        ("yield", "gives", (5, 27), "expected `yield`, found `gives`"),
        ('"dot.py":4:2', "dot.py:4:2", (6, 75), "expected a file's name, found `dot.py`"),
        ("  }\n}", "  }\n", (9, 1), "expected an operation, `loop` or `}`, found the end"),
        ("\n}\n", "\n} extra\n", (8, 3), "found `extra`"),
        ('"fast"', '"fa\\qst"', (6, 52), "expected a string with JSON's escapes"),
        ("= %x yield", "= ? yield", (5, 24), "expected `%`, found `?`"),
    ],
)
def test_a_fault_is_refused_at_its_place(old: str, new: str, place: tuple[int, int], message: str) -> None:
    text = GOOD.replace("loop 0", 'loop "0"')
    assert old in text
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        parse_kernel(text.replace(old, new, 1), "dot.kernel")
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.rule == "kernel-syntax"
    assert diagnostic.location == Location("dot.kernel", *place)


def test_a_memory_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="expected a memory"):
        parse_kernel("kernel k dialect ttir warps 1 do { argument %a: tensor<4xf16, dram> }")


@given(st.text(max_size=40))
@settings(deadline=None)
def test_no_text_raises_anything_else(text: str) -> None:
    for whole in (text, f"kernel k dialect ttir warps 1 do {{ {text} }}"):
        try:
            parse_kernel(whole)
        except UserError as error:
            assert error.diagnostics[0].location is not None
