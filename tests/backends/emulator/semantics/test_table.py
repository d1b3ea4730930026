"""Every opcode of the table keeps the contract of `LaneFunction`: dtypes, shapes, scalars, `out`, and its aliases."""

from __future__ import annotations

import numpy as np
import pytest

from backends.emulator.semantics.table import LaneFunction, lookup, lookup_pair, lookup_three, opcodes, storage

SHAPE = (2, 32)
BASES = sorted({opcode.partition(".")[0] for opcode in opcodes()})


def _sources(opcode: str, function: LaneFunction) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    made = []
    for element_type in function.operands:
        dtype = storage(element_type)
        noise = rng.integers(0, 256, (*SHAPE, dtype.itemsize), dtype=np.uint8)
        made.append(noise[..., 0] % 2 == 0 if dtype == np.bool_ else noise.view(dtype)[..., 0])
    if opcode.startswith("lop3"):
        made[3] = np.uint32(0x96)
    return made


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def _check(opcode: str, function: LaneFunction) -> None:
    sources = _sources(opcode, function)
    kept = [source.copy() for source in sources]
    results = function.apply(*sources)
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == len(function.results)
    for result, element_type in zip(results, function.results, strict=True):
        assert (result.dtype, result.shape) == (storage(element_type), SHAPE), opcode
    assert all(map(_same_bits, sources, kept)), f"{opcode} changes a source"
    scalars = function.apply(*(x.flat[0] if x.ndim else x for x in sources))
    scalars = scalars if isinstance(scalars, tuple) else (scalars,)
    for result, one in zip(results, scalars, strict=True):
        assert _same_bits(result.flat[0], np.asarray(one).reshape(())), f"{opcode} differs on scalars"
    if len(results) == 1:
        _check_out(opcode, function, sources, results[0])


def _check_out(opcode: str, function: LaneFunction, sources: list[np.ndarray], expected: np.ndarray) -> None:
    out = np.empty(SHAPE, storage(function.results[0]))
    function.apply(*sources, out=out)
    assert _same_bits(out, expected), opcode
    for i, source in enumerate(sources):
        if source.dtype == out.dtype and source.shape == SHAPE:
            aliased = [x.copy() for x in sources]
            function.apply(*aliased, out=aliased[i])
            assert _same_bits(aliased[i], expected), f"{opcode} with out = source {i}"


@pytest.mark.parametrize("base", BASES)
def test_contract(base: str) -> None:
    with np.errstate(all="ignore"):
        for opcode in opcodes():
            if opcode.partition(".")[0] == base:
                function = lookup(opcode)
                assert function is not None
                _check(opcode, function)


@pytest.mark.parametrize("opcode", ["add.f32x3", "frobnicate.f32", "add", "setp.lt.sat.f32", "ld.global.f32", ""])
def test_unknown_opcodes_have_no_function(opcode: str) -> None:
    assert lookup(opcode) is None and lookup_pair(opcode) is None and lookup_three(opcode) is None


def test_plain_forms_are_bare_ufuncs() -> None:
    for opcode in ("add.s32", "add.f32", "add.rn.f32", "mul.f32", "and.b32", "shl.b32", "shr.u32", "setp.lt.s32"):
        function = lookup(opcode)
        assert function and function.is_ufunc_like and isinstance(function.apply, np.ufunc), opcode
