"""Device functions, what the device provides for them, and the carry flag."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.device import LaunchConfig
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator
from backends.emulator.printf import formatted
from ir.diagnostics import UserError
from tests.backends.emulator.engine import kernel, values

FUNCTIONS = """
.func (.param .b32 result) twice(.param .b32 x)
{ .reg .b32 %r<4>; .reg .pred %p<2>;
  ld.param.u32 %r0, [x]; setp.gt.u32 %p0, %r0, 40; @%p0 bra MANY; add.u32 %r1, %r0, %r0;
        st.param.b32 [result], %r1; ret;
  MANY: st.param.b32 [result], 7; ret; }
.func (.param .b32 result) four_times(.param .b32 x)
{ .reg .b32 %r<4>; .param .b32 inner; .param .b32 out;
  ld.param.u32 %r0, [x]; st.param.b32 [inner], %r0; call (out), twice, (inner); ld.param.b32 %r1, [out];
  st.param.b32 [inner], %r1; call (out), twice, (inner); ld.param.b32 %r1, [out]; st.param.b32 [result], %r1; ret; }
.func (.reg .b32 result) in_registers(.reg .b32 x) { add.u32 result, x, 1; ret; }
.global .align 8 .u64 table[2] = {twice, four_times};
"""
STORE = "mul.wide.u32 %rd1, %r1, 4; add.u64 %rd1, %rd1, %rd90; st.global.u32 [%rd1], %r9;"
N = np.arange(64)
TWICE = np.where(N > 40, 7, 2 * N)
FOUR = np.where(TWICE > 40, 7, 2 * TWICE)
CALLS = {
    "nested": ("st.param.b32 [given], %r0; call (taken), four_times, (given); ld.param.b32 %r9, [taken];", FOUR),
    "registers": ("call (%r9), in_registers, (%r0);", N + 1),
    "guarded": (
        "mov.u32 %r9, 1; st.param.b32 [taken], 3; st.param.b32 [given], %r0; setp.lt.u32 %p1, %r0, 9;"
        "@%p1 call (taken), twice, (given); ld.param.b32 %r9, [taken];",
        np.where(N < 9, 2 * N, 3),
    ),
    "through a table": (
        "and.b32 %r5, %r0, 1; mul.wide.u32 %rd2, %r5, 8; mov.u64 %rd3, table; add.u64 %rd2, %rd2, %rd3;"
        "ld.global.u64 %rd4, [%rd2]; st.param.b32 [given], %r0; P: .callprototype (.param .b32 _) _ (.param .b32 _);"
        "call (taken), %rd4, (given), P; ld.param.b32 %r9, [taken];",
        np.where(N % 2, FOUR, TWICE),
    ),
}  # fmt: skip
DECLARED = ".param .b32 given; .param .b32 taken;"


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    body, want = CALLS[name]
    ptx = kernel(body + STORE, declarations=DECLARED, module=FUNCTIONS)
    (got,) = values(ptx, [np.zeros(64, np.uint32)], block=64)
    np.testing.assert_array_equal(got, want)


REFUSED = {
    "recursion": (".func loop() { call loop, (); ret; }", "call loop, ();"),
    "external function `unheard_of`": (".extern .func unheard_of();", "call unheard_of, ();"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_called(what: str) -> None:
    module, body = REFUSED[what]
    with pytest.raises(UserError, match=what):
        values(kernel(body, module=module), [np.zeros(4, np.uint32)])


def test_a_wild_function_pointer_is_a_trap() -> None:
    body = "mov.u64 %rd4, 64; st.param.b32 [given], %r0; P: .callprototype (.param .b32 _) _ (.param .b32 _);"
    body += "call (taken), %rd4, (given), P;"
    ptx = kernel(body, declarations=DECLARED, module=FUNCTIONS)
    device = Emulator()
    result = device.launch(device.load(ptx), LaunchConfig((1, 1, 1), (32, 1, 1)), [device.allocate(16)])
    assert result.fault is not None
    assert result.fault.rule == "trap"


def test_carries_add_up_to_128_bits() -> None:
    body = """
    shl.b64 %rd1, %rd0, 4; add.u64 %rd2, %rd90, %rd1; add.u64 %rd3, %rd91, %rd1;
    ld.global.v2.u64 {%rd4, %rd5}, [%rd2]; ld.global.v2.u64 {%rd6, %rd7}, [%rd3];
    add.cc.u64 %rd8, %rd4, %rd6; addc.u64 %rd9, %rd5, %rd7; sub.cc.u64 %rd10, %rd4, %rd6; subc.u64 %rd11, %rd5, %rd7;
    st.global.v2.u64 [%rd2], {%rd8, %rd9}; st.global.v2.u64 [%rd3], {%rd10, %rd11};"""
    random = np.random.default_rng(0)
    a, b = random.integers(0, 2**64, (2, 32, 2), np.uint64)
    a[:16, 0], b[:16, 0] = 2**64 - 1, 1
    sums, differences = values(kernel(body, 2), [a, b])

    def whole(x: Any) -> list[int]:
        return [int(low) + (int(high) << 64) for low, high in x]

    pairs = list(zip(whole(a), whole(b), strict=True))
    assert whole(sums) == [(x + y) % 2**128 for x, y in pairs]
    assert whole(differences) == [(x - y) % 2**128 for x, y in pairs]


CUDA = """
struct Shape { __device__ virtual int area(int x) { return x + 1; } };
struct Square : Shape { __device__ int area(int x) override { return x * x; } };
extern "C" __global__ void k(int *out, int most) {
    int t = threadIdx.x;
    Shape *shape = t & 1 ? new Square : new Shape;
    int *own = (int *)malloc(8);
    own[0] = shape->area(t);
    if (t < 3) printf("%d:%5.2f %s|", t, t * 0.5, "abc");
    assert(t < most);
    out[t] = own[0];
    free(own);
    delete shape;
}
"""


@pytest.fixture(scope="module")
def cuda() -> str:
    nvrtc = pytest.importorskip("backends.compilers.nvrtc")
    pytest.importorskip("cuda.bindings")
    return str(nvrtc.compile_source(CUDA, "k", "sm_80").ptx)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_heap_virtual_functions_and_printing(cuda: str, engine: str) -> None:
    device = Emulator(Settings(engine=engine))
    out = device.allocate(64 * 4)
    result = device.launch(device.load(cuda, "k"), LaunchConfig((1, 1, 1), (64, 1, 1)), [out, 64])
    assert result.fault is None
    assert result.output == "0: 0.00 abc|1: 0.50 abc|2: 1.00 abc|"
    np.testing.assert_array_equal(device.read(out, np.int32, (64,)), np.where(N % 2, N * N, N + 1))


def test_an_assertion_names_its_place_and_keeps_what_was_printed(cuda: str) -> None:
    device = Emulator()
    out = device.allocate(64 * 4)
    result = device.launch(device.load(cuda, "k"), LaunchConfig((1, 1, 1), (64, 1, 1)), [out, 60])
    assert result.fault is not None
    assert result.fault.rule == "assertion-failed"
    assert result.fault.count == 4
    assert "kernel.cu:10" in result.fault.message
    assert "t < most" in result.fault.message
    assert result.output.startswith("0: 0.00 abc|")


FORMATS = {
    b"%5d|%-4u|%+d": ((4, 42), (4, 7), (4, -3)), b"%x %#o %lld": ((4, 255), (4, 8), (8, -5)),
    b"%hhd %c%%": ((4, 0x180), (4, 65)), b"%*d": ((4, 6), (4, 9)), b"%08.3f %e": (1.5, 2.0), b"100%q": (),
}  # fmt: skip
PRINTED = ["   42|7   |-3", "ff 010 -5", "-128 A%", "     9", "0001.500 2.000000e+00", "100%q"]


@pytest.mark.parametrize(("text", "want"), list(zip(FORMATS, PRINTED, strict=True)))
def test_formats(text: bytes, want: str) -> None:
    buffer = bytearray()
    for item in FORMATS[text]:
        size, data = (8, np.float64(item).tobytes()) if isinstance(item, float) else (item[0], b"")
        buffer.extend(bytes(-len(buffer) % size))
        buffer.extend(data or (item[1] & (1 << 8 * size) - 1).to_bytes(size, "little"))  # type: ignore[index]
    assert formatted(text, lambda o, n: bytes(buffer[o : o + n]), lambda _: b"") == want
