"""Kernels inside namespaces: whoever looks for the entry finds it, as for a kernel outside of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optiml.memory.features import features
from optiml.propose.llm.check import fault
from optiml.propose.rules.cuda.forms import forms
from optiml.propose.rules.cuda.inlining import inlined
from optiml.propose.rules.cuda.kernel import CudaKernel
from optiml.propose.rules.example import example_unit

KERNEL = """
__device__ float twice(float v) { return 2.0f * v; }
__global__ void f(float* x, int n) { int t = threadIdx.x; if (t >= n) return; x[t] = twice(x[t]); }
"""
SPACED = f"namespace ns {{ {KERNEL} }}"


@pytest.mark.parametrize("entry", ["ns::f", "ns::f<256>", "::ns::f"])
def test_a_name_space_makes_no_difference(entry: str) -> None:
    plain = example_unit(KERNEL, "inout:x n")
    spaced = example_unit(SPACED, "inout:x n", entry=entry)
    overridden = replace(spaced.candidate, overrides={"entry": entry})
    assert "twice(x" not in inlined(SPACED, entry)
    assert len(forms(SPACED, entry)) == len(forms(KERNEL, "f")) > 1
    assert features(overridden, spaced.task) == features(plain.candidate, plain.task)
    unit = replace(spaced, candidate=overridden)
    assert CudaKernel.of(unit) is not None and not fault(SPACED, unit)


def test_a_call_by_its_whole_name_is_inlined() -> None:
    text = SPACED.replace("= twice(", "= ns::twice(")
    assert "ns::twice(x" not in inlined(text, "ns::f")
