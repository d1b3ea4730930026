"""What needs no GPU: encoded arguments, guard bands, faults, printed text."""

from __future__ import annotations

import os

import numpy as np
import pytest

from backends.cuda.driver import DriverError
from backends.cuda.faults import kernel_fault
from backends.cuda.guards import GUARD_BYTES, POISON, Guarded
from backends.cuda.parameters import Parameters
from backends.cuda.printed import captured_output
from backends.device import Argument, Buffer
from backends.measured import Measured
from ir.diagnostics import UserError


class ParametersOf:
    """Stands for a driver that knows a function with parameters of these sizes, which is all that is asked of it."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes

    def call(self, function: str, _function: object, index: int) -> tuple[int, int]:
        assert function == "cuFuncGetParamInfo"
        if index >= len(self.sizes):
            raise DriverError(function, "CUDA_ERROR_INVALID_VALUE")
        return 8 * index, self.sizes[index]


def encoded(sizes: tuple[int, ...], arguments: list[Argument]) -> list[bytes]:
    parameters = Parameters(ParametersOf(*sizes), "k", None, arguments)  # type: ignore[arg-type]
    assert not arguments or parameters.pointers
    return [bytes(data) for data in parameters._storage]


@pytest.mark.parametrize(
    ("size", "argument", "expected"),
    [
        (8, Buffer(0x1234, 16), (0x1234).to_bytes(8, "little")),
        (4, -1, b"\xff" * 4),
        (4, 1.5, np.float32(1.5).tobytes()),
        (2, 1.5, np.float16(1.5).tobytes()),
        (8, 1.5, np.float64(1.5).tobytes()),
        (1, True, b"\x01"),
        (3, b"abc", b"abc"),
        (2, np.int16(-2), b"\xfe\xff"),
    ],
)
def test_an_argument_has_the_bytes_of_its_parameter(size: int, argument: Argument, expected: bytes) -> None:
    assert encoded((size,), [argument]) == [expected]


def test_a_launch_without_parameters_has_no_array() -> None:
    assert Parameters(ParametersOf(), "k", None, []).pointers == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "arguments", "words"),
    [((4, 4), [1], "2 parameters, 1 arguments"), ((4,), [b"abc"], "parameter 0: 3 bytes, 4 are expected")],
)
def test_wrong_arguments_are_refused(sizes: tuple[int, ...], arguments: list[Argument], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        encoded(sizes, arguments)
    assert caught.value.diagnostics[0].rule == "bad-arguments"


def test_stores_around_a_buffer_are_found() -> None:
    guarded = Guarded(1 << 20, 100, "out")
    clean = np.full(GUARD_BYTES, POISON, np.uint8)
    before, after = clean.copy(), clean.copy()
    assert not guarded.broken(before, after)
    before[-4:], after[8] = 0, 1
    first, second = guarded.broken(before, after)
    assert "4 bytes before" in first.message and "byte -4 of buffer `out`" in first.message
    assert "1 bytes behind" in second.message and "byte 108 of buffer `out`, which has 100" in second.message
    assert first.rule == second.rule == "out-of-bounds"


def test_an_address_error_is_a_fault_and_another_error_is_not() -> None:
    assert kernel_fault(DriverError("cuEventQuery", "CUDA_ERROR_ILLEGAL_ADDRESS")).rule == "out-of-bounds"
    with pytest.raises(DriverError):
        kernel_fault(DriverError("cuEventQuery", "CUDA_ERROR_DEINITIALIZED"))


def test_what_is_written_to_the_descriptor_is_captured(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_output(True) as found:
        os.write(1, b"from a kernel\n")
    os.write(1, b"after\n")
    assert found == ["from a kernel\n"]
    assert capfd.readouterr().out == "after\n"


def test_nothing_is_captured_where_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_output(False) as found:
        os.write(1, b"through\n")
    assert found == [] and capfd.readouterr().out == "through\n"


def test_the_spread_of_equal_times_is_nothing() -> None:
    measured = Measured("GPU", (4.0, 4.0, 4.0), 2.0, 1980.0)
    assert measured.median_us == 4.0 and measured.spread == 0.0
