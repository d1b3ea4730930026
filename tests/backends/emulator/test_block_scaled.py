"""Block-scaled products: what Triton makes of `tl.dot_scaled`, and `mma.sync` with every selector of scale factors.

The oracle is NumPy in fp64 on values taken from tables that are written out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.backends.emulator.engine import kernel, values

Array = NDArray[Any]
M, N, K = 128, 64, 128
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
UE8M0_BIAS = 127


def eight_bits(exponent_bits: int, mantissa_bits: int, bias: int) -> Array:
    """Values of the 256 codes of sign, exponent, mantissa; no code of infinity or NaN is drawn here."""
    code = np.arange(256)
    exponent, mantissa = code >> mantissa_bits & (1 << exponent_bits) - 1, code & (1 << mantissa_bits) - 1
    normal = (1 + mantissa / 2.0**mantissa_bits) * 2.0 ** (exponent - bias)
    small = mantissa / 2.0**mantissa_bits * 2.0 ** (1 - bias)
    return np.where(code & 128, -1, 1) * np.where(exponent > 0, normal, small)


TABLES = {"e4m3": eight_bits(4, 3, 7), "e5m2": eight_bits(5, 2, 15)}


def drawn(rows: int, depth: int, kind: str, random: np.random.Generator) -> tuple[Array, Array]:
    """(bytes as the kernel gets them, values)."""
    if kind == "e2m1":
        octets = random.integers(0, 256, (rows, depth // 2), np.uint8)
        return octets, E2M1[np.stack((octets & 15, octets >> 4), axis=-1)].reshape(rows, depth)
    codes = random.integers(0, 0x78, (rows, depth), np.uint8) | random.integers(0, 2, (rows, depth), np.uint8) << 7
    return codes, TABLES[kind][codes]


# `tl.dot_scaled`


@pytest.mark.parametrize("target,a_type,b_type,instruction,completion", [
    ("sm_100", "e4m3", "e5m2", "tcgen05.mma.cta_group::1.kind::mxf8f6f4.block_scale", "late"),
    ("sm_100", "e2m1", "e2m1", "tcgen05.mma.cta_group::1.kind::mxf4.block_scale", "late"),
    ("sm_100", "e2m1", "e2m1", "tcgen05.mma.cta_group::1.kind::mxf4.block_scale", "random"),
    ("sm_100", "e4m3", "e2m1", "tcgen05.mma.cta_group::1.kind::mxf8f6f4.block_scale", "early"),
    ("sm_120", "e5m2", "e4m3", "kind::mxf8f6f4.block_scale.scale_vec::1X.f32.e5m2.e4m3.f32.ue8m0", "late"),
    ("sm_120", "e2m1", "e2m1", "kind::mxf4nvf4.block_scale.scale_vec::2X.f32.e2m1.e2m1.f32.ue8m0", "late"),
    ("sm_90", "e4m3", "e4m3", "cvt.bf16.f16", "late"),
    ("sm_80", "e2m1", "e5m2", "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "late"),
])  # fmt: skip
def test_dot_scaled(
    target: str, a_type: str, b_type: str, instruction: str, completion: str, ptx_seen: list[str]
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("triton")
    from backends.run.devices import DeviceOptions, open_device
    from backends.run.interception import launches_on
    from tests.backends.emulator.sources.dot_scaled import dot_scaled_kernel

    random = np.random.default_rng(3)
    (a, a_values), (b, b_values) = drawn(M, K, a_type, random), drawn(N, K, b_type, random)
    scale_a, scale_b = (random.integers(120, 134, (rows, K // 32), np.uint8) for rows in (M, N))
    given = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2, "e2m1": torch.uint8}
    tensors = [torch.from_numpy(a).view(given[a_type]), torch.from_numpy(scale_a)]
    tensors += [torch.from_numpy(b).view(given[b_type]), torch.from_numpy(scale_b), torch.zeros(M, N)]
    device = open_device("emulator", DeviceOptions(checks=("all",), completion=completion))
    per_byte = {"e2m1": 2}
    with launches_on(device, target) as launches:
        dot_scaled_kernel[(1,)](
            *tensors, M, N, K, per_byte.get(a_type, 1), a_type, per_byte.get(b_type, 1), b_type, num_warps=4
        )
    assert [(r.status, r.findings) for r in launches] == [("passed", ())]
    assert instruction in ptx_seen[-1]
    left, right = (
        v * np.exp2(s.repeat(32, 1) - float(UE8M0_BIAS)) for v, s in ((a_values, scale_a), (b_values, scale_b))
    )
    want = left @ right.T
    np.testing.assert_allclose(tensors[-1].numpy(), want, rtol=0, atol=1e-6 * np.abs(want).max())


@pytest.fixture
def ptx_seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The PTX of each kernel that the device loads."""
    from backends.emulator.device import Emulator

    seen: list[str] = []
    load = Emulator.load

    def noting(self: Emulator, ptx: str, *rest: Any) -> Any:
        seen.append(ptx)
        return load(self, ptx, *rest)

    monkeypatch.setattr(Emulator, "load", noting)
    yield seen


# `mma.sync` with block_scale


def packed(codes: Array, rows: Array, columns: Array, bits: int) -> Array:
    """A register of 32 lanes: the elements (32, count) at rows and columns, the first in the low bits."""
    words = np.zeros(32, np.uint32)
    for index in range(rows.shape[1]):
        words |= codes[rows[:, index], columns[:, index]].astype(np.uint32) << np.uint32(bits * index)
    return words


def fragments(a: Array, b: Array, bits: int) -> list[Array]:
    """Registers of A (16, k) and of B (k, 8) as the ISA's figures of m16n8k32 and m16n8k64 lay them out."""
    lane, count = np.arange(32), 32 // bits
    group, place = (np.broadcast_to(x[:, None], (32, count)) for x in (lane // 4, lane % 4))
    along = place * count + np.arange(count)
    half = 4 * count
    left = [packed(a, group + 8 * (i % 2), along + half * (i // 2), bits) for i in range(4)]
    return left + [packed(b, along + half * i, group, bits) for i in range(2)]


SELECTORS = [
    ("kind::mxf8f6f4.block_scale.scale_vec::1X", "e4m3", "ue8m0", (0, 0), (0, 0)),
    ("kind::mxf8f6f4.block_scale.scale_vec::1X", "e5m2", "ue8m0", (3, 1), (1, 2)),
    ("kind::mxf8f6f4.block_scale", "e2m1", "ue8m0", (2, 0), (3, 3)),
    ("kind::mxf4.block_scale.scale_vec::2X", "e2m1", "ue8m0", (0, 1), (2, 1)),
    ("kind::mxf4.block_scale", "e2m1", "ue8m0", (2, 0), (0, 0)),
    ("kind::mxf4nvf4.block_scale.scale_vec::4X", "e2m1", "ue4m3", (0, 1), (0, 3)),
]


@pytest.mark.parametrize("kind,element,scale,of_a,of_b", SELECTORS)
def test_scaled_mma(kind: str, element: str, scale: str, of_a: tuple[int, int], of_b: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    depth = 32 if "mxf8f6f4" in kind else 64
    per_row = next((int(p[-2]) for p in kind.split(".") if "scale_vec" in p), depth // 32)
    low, high = (0, 16) if element == "e2m1" else (0, 0x78)
    a, b = random.integers(low, high, (16, depth), np.uint8), random.integers(low, high, (depth, 8), np.uint8)
    table = E2M1 if element == "e2m1" else TABLES[element]
    # One e2m1 to a byte lies in its middle bits.
    shift, bits = (2 if element == "e2m1" and depth == 32 else 0), 8 if depth == 32 else 4
    c = random.normal(size=(16, 8)).astype(np.float32)
    factors = random.integers(115, 140, (2, 32), np.uint32) * 0
    for byte in range(4):
        codes = random.integers(115, 140, (2, 32)) if scale == "ue8m0" else random.integers(8, 0x70, (2, 32))
        factors |= (codes << 8 * byte).astype(np.uint32)

    lane = np.arange(32)
    rows, columns = lane // 4, 2 * (lane % 4)
    addends = [c[rows + 8 * (i // 2), columns + i % 2].view(np.uint32) for i in range(4)]
    registers = [*fragments(a << shift, b << shift, bits), *addends, *factors]
    loads = " ".join(f"ld.global.b32 %r{10 + i}, [%rd1+{128 * i}];" for i in range(12))
    stores = " ".join(f"st.global.b32 [%rd2+{128 * i}], %r{30 + i};" for i in range(4))
    lists = [", ".join(f"%r{i}" for i in span) for span in (range(30, 34), range(10, 14), (14, 15), range(16, 20))]
    operands = ", ".join(f"{{{names}}}" for names in lists)
    body = f"""
        shl.b64 %rd3, %rd0, 2; add.u64 %rd1, %rd90, %rd3; add.u64 %rd2, %rd91, %rd3; {loads}
        mma.sync.aligned.m16n8k{depth}.row.col.{kind}.f32.{element}.{element}.f32.{scale} {operands},
            %r20, {{{of_a[0]}, {of_a[1]}}}, %r21, {{{of_b[0]}, {of_b[1]}}}; {stores}
    """
    buffers = [np.stack(registers).reshape(-1), np.zeros(4 * 32, np.uint32)]
    found = values(kernel(body, parameters=2, target="sm_120a"), buffers, block=32)[1].view(np.float32).reshape(4, 32)
    got = np.empty((16, 8), np.float32)
    for i in range(4):
        got[rows + 8 * (i // 2), columns + i % 2] = found[i]

    def factor(word: int, byte: int) -> float:
        code = int(word) >> 8 * byte & 0xFF
        return float(2.0 ** (code - UE8M0_BIAS) if scale == "ue8m0" else TABLES["e4m3"][code & 127])

    want = c.astype(np.float64)
    block = depth // per_row
    for m in range(16):
        for n in range(8):
            for part in range(per_row):
                span = slice(part * block, (part + 1) * block)
                of_row = factor(factors[0, 4 * (m % 8) + 2 * of_a[1] + m // 8], of_a[0] + part)
                of_column = factor(factors[1, 4 * n + of_b[1]], of_b[0] + part)
                want[m, n] += of_row * of_column * (table[a[m, span]] @ table[b[span, n]])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * np.abs(want).max())


def test_unscaled_e2m1_lies_in_the_middle_of_its_byte() -> None:
    random = np.random.default_rng(7)
    a, b = random.integers(0, 16, (16, 32), np.uint8), random.integers(0, 16, (32, 8), np.uint8)
    registers = fragments(a << 2, b << 2, 8)
    loads = " ".join(f"ld.global.b32 %r{10 + i}, [%rd1+{128 * i}];" for i in range(6))
    stores = " ".join(f"st.global.f32 [%rd2+{128 * i}], %f{i};" for i in range(4))
    body = f"""
        shl.b64 %rd3, %rd0, 2; add.u64 %rd1, %rd90, %rd3; add.u64 %rd2, %rd91, %rd3; {loads} mov.f32 %f9, 0f00000000;
        mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f32.e2m1.e2m1.f32 {{%f0, %f1, %f2, %f3}},
            {{%r10, %r11, %r12, %r13}}, {{%r14, %r15}}, {{%f9, %f9, %f9, %f9}}; {stores}
    """
    buffers = [np.stack(registers).reshape(-1), np.zeros(4 * 32, np.float32)]
    found = values(kernel(body, parameters=2, target="sm_120a"), buffers, block=32)[1].reshape(4, 32)
    lane = np.arange(32)
    want = E2M1[a] @ E2M1[b]
    for i in range(4):
        np.testing.assert_array_equal(found[i], want[lane // 4 + 8 * (i // 2), 2 * (lane % 4) + i % 2])
