"""wmma fragments: round trips, and the number of registers that the PTX ISA prescribes."""

from __future__ import annotations

import numpy as np
import pytest

from backends.emulator.tensor.wmma_fragments import wmma

# Registers of A, B and of C for each accumulator type, from the header crt/mma.h of the CUDA toolkit.
COUNTS = {
    ((16, 16, 16), "f16"): (8, 8, {"f32": 8, "f16": 4}),
    ((32, 8, 16), "f16"): (8, 8, {"f32": 8, "f16": 4}),
    ((8, 32, 16), "f16"): (8, 8, {"f32": 8, "f16": 4}),
    ((16, 16, 16), "bf16"): (4, 4, {"f32": 8}),
    ((32, 8, 16), "bf16"): (8, 2, {"f32": 8}),
    ((8, 32, 16), "bf16"): (2, 8, {"f32": 8}),
    ((16, 16, 16), "s8"): (2, 2, {"s32": 8}),
    ((32, 8, 16), "u8"): (4, 1, {"s32": 8}),
    ((8, 32, 16), "s8"): (1, 4, {"s32": 8}),
    ((16, 16, 8), "tf32"): (4, 4, {"f32": 8}),
    ((8, 8, 4), "f64"): (1, 1, {"f64": 2}),
    ((8, 8, 32), "s4"): (1, 1, {"s32": 2}),
    ((8, 8, 128), "b1"): (1, 1, {"s32": 2}),
}


@pytest.mark.parametrize(("shape", "element"), COUNTS)
def test_registers_and_round_trips(shape: tuple[int, int, int], element: str) -> None:
    m, n, k = shape
    a, b, accumulators = COUNTS[shape, element]
    expected = [("a", element, a, (m, k)), ("b", element, b, (k, n))]
    expected += [("d", name, count, (m, n)) for name, count in accumulators.items()]
    for operand, name, count, size in expected:
        fragment = wmma(m, n, k, operand, name)
        assert fragment is not None and fragment.registers == count and fragment.shape == size
        high = 1 << min(fragment.element_bits, 62)
        matrices = np.random.default_rng(m).integers(0, high, (3, *size)).astype(fragment.storage)
        registers = fragment.scatter(matrices)
        assert registers.shape == (count, 3, 32)
        assert (fragment.gather(registers) == matrices).all()


def test_every_copy_of_a_half_precision_operand_is_the_same() -> None:
    fragment = wmma(16, 16, 16, "a", "f16")
    assert fragment is not None and fragment.copies == 2
    registers = fragment.scatter(np.arange(256, dtype=np.uint16).reshape(1, 16, 16))
    assert (registers[:4] == registers[4:]).all()


def test_what_wmma_does_not_have() -> None:
    assert wmma(16, 16, 16, "a", "tf32") is None and wmma(16, 8, 16, "a", "f16") is None
    assert wmma(16, 16, 16, "c", "f64") is None and wmma(16, 16, 8, "c", "f16") is None
