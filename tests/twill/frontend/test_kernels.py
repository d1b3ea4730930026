"""The example kernels through the whole frontend."""

from pathlib import Path

import pytest

from ir.loop import Kernel, Operation
from twill.frontend.load import load_kernel

KERNELS = Path(__file__).parents[3] / "kernels"


def operations(kernel: Kernel, loop: str) -> dict[str, Operation]:
    body = next(each for each in kernel.loops() if each.name == loop).body
    return {v.name: op for op in body if isinstance(op, Operation) for v in op.results}


@pytest.fixture(scope="module")
def attention() -> Kernel:
    return load_kernel(KERNELS / "attention_forward")


def test_attention_has_one_loop_that_carries_softmax_and_accumulator(attention: Kernel) -> None:
    (loop,) = attention.loops()
    carried = {c.argument.name: (c.yielded, c.result.name) for c in loop.carried}
    assert carried["acc.in"] == ("acc", "acc.out")
    assert carried["row_sum.in"] == ("row_sum", "row_sum.out")
    assert carried["row_max.in"] == ("new_max", "row_max.out")
    assert loop.induction is not None and loop.induction.name == "start_n"
    assert loop.upper == "seq_k" and loop.is_innermost


def test_attention_operations_are_named_by_variable(attention: Kernel) -> None:
    ops = operations(attention, "0")
    assert {n: ops[n].opcode for n in ("k", "qk", "p", "v", "acc")} == {
        "k": "tt.load", "qk": "tt.dot", "p": "math.exp2", "v": "tt.load", "acc": "tt.dot",
    }  # fmt: skip
    assert ops["acc"].operands[1:] == ("v", "acc.mulf")
    assert ops["new_max.reduce"].combiner == ("arith.maxnumf",) and ops["new_max.reduce"].attributes["axis"] == 1
