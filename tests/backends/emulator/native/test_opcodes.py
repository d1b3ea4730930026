"""Every lane-wise opcode form that runs natively gives the bits that NumPy gives, over edge values and random ones."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.emulator.native.function import EMITTERS
from backends.emulator.semantics.table import storage
from tests.backends.emulator.engine import both, kernel
from tests.backends.emulator.native.forms import Case, accepted, cases, operands_of, program_text

THREADS, GRID = 100, 3
PER_KERNEL = 60
FAMILIES = sorted(set(EMITTERS) - {"ld", "ldu", "st", "mov", "cvta", "shfl", "vote", "activemask", "elect"})


@cache
def native_cases() -> dict[str, list[Case]]:
    """The cases with a native form, by the base of their opcodes."""
    found = accepted(list(cases()))
    key = lambda case: case.opcode.partition(".")[0]  # noqa: E731
    return {base: list(group) for base, group in groupby(sorted(found, key=key), key)}


def _floats(bits: NDArray[Any], kind: str) -> NDArray[Any] | None:
    """Bits as floats, where a NaN may have any payload; None for other types."""
    if kind in ("f16", "f32", "f64"):
        return bits.astype(f"u{storage(kind).itemsize}").view(storage(kind))
    if kind == "bf16":
        return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return None


def differing(case: Case, kind: str, mine: NDArray[Any], other: NDArray[Any]) -> list[str]:
    """Words for the lanes whose results differ."""
    nbytes = 2 if kind == "pred" else max(storage(kind).itemsize, 2)
    a, b = (x.view(np.uint8).reshape(-1, 8)[:, :nbytes].copy().view(f"u{nbytes}")[:, 0] for x in (mine, other))
    lanes = len(a)
    if kind.endswith("16x2"):
        a, b = a.view(np.uint16), b.view(np.uint16)
    same = a == b
    floats = _floats(a, kind.removesuffix("x2")), _floats(b, kind.removesuffix("x2"))
    if floats[0] is not None and floats[1] is not None:
        same |= np.isnan(floats[0]) & np.isnan(floats[1])
    return [
        f"{case.name} lane {i * lanes // len(a)}: {int(a[i]):#x} != {int(b[i]):#x}" for i in np.flatnonzero(~same)[:3]
    ]


def compare(chosen: list[Case]) -> list[str]:
    """What differs between the engines."""
    operands = operands_of(chosen, THREADS * GRID)
    results = sum(len(case.results) for case in chosen)
    guards = np.random.default_rng(1).integers(0, 2, THREADS * GRID).astype(np.uint8)
    buffers = [operands, np.zeros((results, THREADS * GRID), np.uint64), guards]
    reference, native = both(program_text(chosen), buffers, block=THREADS, grid=GRID)
    assert reference.result.fault is None
    assert native.result.fault is None
    assert native.result.counters == reference.result.counters
    kinds = [(case, kind) for case in chosen for kind in case.results]
    pairs = zip(kinds, reference.buffers[1], native.buffers[1], strict=True)
    return [line for (case, kind), mine, other in pairs for line in differing(case, kind, mine, other)]


@pytest.mark.parametrize("family", FAMILIES)
def test_same_bits_as_numpy(family: str) -> None:
    chosen = native_cases()[family]
    wrong = [line for i in range(0, len(chosen), PER_KERNEL) for line in compare(chosen[i : i + PER_KERNEL])]
    assert not wrong, "\n".join(wrong[:40])


def test_the_comparison_sees_a_difference() -> None:
    case = Case("add.f32", ("f32", "f32"), (), ("f32",))
    one, two = np.array([0x3F800000], np.uint64), np.array([0x3F800001], np.uint64)
    nan, other_nan = np.array([0x7FC00000], np.uint64), np.array([0xFFC00001], np.uint64)
    assert differing(case, "f32", one, two)
    assert not differing(case, "f32", nan, other_nan)
    assert differing(case, "b32", nan, other_nan)


@pytest.mark.parametrize("opcode", ["ex2.approx.ftz.f32", "ex2.approx.f32"])
def test_powers_of_two_round_as_numpy_rounds(opcode: str) -> None:
    body = f"""
        shl.b64 %rd1, %rd0, 2; add.s64 %rd2, %rd90, %rd1; add.s64 %rd3, %rd91, %rd1;
        ld.global.f32 %f1, [%rd2]; {opcode} %f2, %f1; st.global.f32 [%rd3], %f2;
    """
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.uniform(-150, 129, 1 << 19), rng.standard_normal(1 << 19)]).astype(np.float32)
    reference, native = both(kernel(body, parameters=2), [x, np.zeros_like(x)], grid=len(x) // 256, block=256)
    np.testing.assert_array_equal(reference.buffers[1].view(np.uint32), native.buffers[1].view(np.uint32))
