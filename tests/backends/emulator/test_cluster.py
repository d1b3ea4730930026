"""Clusters: addresses of other CTAs, cluster barriers, remote stores and arrivals, multicast, pairs of CTAs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.device import LaunchConfig, TensorMap
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator
from tests.backends.emulator.sources import cluster_sum

COMPLETIONS = ("early", "late", "random")
HEAD = """
.version 8.7
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 pin, .param .u64 pout)
{
    .reg .pred %p<8>; .reg .b32 %r<40>; .reg .b64 %rd<40>; .reg .b16 %h<4>;
    .shared .align 128 .b8 data[1024];
    .shared .align 8 .b64 full;
    ld.param.u64 %rd0, [pin]; ld.param.u64 %rd1, [pout];
    mov.u32 %r0, %tid.x; mov.u32 %r1, %cluster_ctarank; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %cluster_nctarank;
    shl.b32 %r4, %r0, 2; mov.u32 %r5, data; add.u32 %r6, %r5, %r4;
    mad.lo.u32 %r7, %r2, 32, %r0; mul.wide.u32 %rd2, %r7, 4; add.u64 %rd3, %rd1, %rd2;
    setp.eq.u32 %p0, %r0, 0;
    @%p0 mbarrier.init.shared::cta.b64 [full], 1;
    fence.mbarrier_init.release.cluster;
    st.shared.u32 [%r6], %r7;
    barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;
"""
PEER = (
    "xor.b32 %r8, %r1, 1; mapa.shared::cluster.u32 %r9, %r6, %r8;"
    " mov.u32 %r10, full; mapa.shared::cluster.u32 %r11, %r10, %r8;"
)
LAST = """
    barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
    st.global.u32 [%rd3], %r20; ret; }
"""
WAIT = "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [full], 0; @!%p2 bra WAIT;"
NUMBERS = np.arange(8 * 32).reshape(8, 32)
SWAPPED = NUMBERS.reshape(4, 2, 32)[:, ::-1].reshape(8, 32)


def launch(
    ptx: str, source: Any = (0,), completion: str = "late", cluster: int = 2
) -> tuple[Any, np.ndarray[Any, Any]]:
    device = Emulator(Settings(completion=completion))
    given, taken = np.asarray(source, np.uint32), device.allocate(8 * 32 * 4)
    buffer = device.allocate(max(given.nbytes, 16))
    device.write(buffer, given)
    config = LaunchConfig((8, 1, 1), (32, 1, 1), cluster=(cluster, 1, 1))
    result = device.launch(device.load(ptx), config, [buffer, taken])
    return result.fault, device.read(taken, np.uint32, (8, 32))


BODIES = {
    "load": ("ld.shared::cluster.u32 %r20, [%r9];", SWAPPED),
    "generic load": ("cvt.u64.u32 %rd5, %r9; cvta.shared::cluster.u64 %rd5, %rd5; ld.u32 %r20, [%rd5];", SWAPPED),
    "generic mapa": ("cvt.u64.u32 %rd5, %r6; cvta.shared.u64 %rd5, %rd5; mapa.u64 %rd5, %rd5, %r8;"
        " ld.u32 %r20, [%rd5];", SWAPPED),
    "atomic": ("atom.shared::cluster.add.u32 %r20, [%r9], 5;", SWAPPED),
    "rank of an address": ("getctarank.shared::cluster.u32 %r20, %r9;", np.arange(8)[:, None] % 2 ^ 1 | 0 * NUMBERS),
    "first of a pair": ("and.b32 %r12, %r6, 0xFEFFFFFF;"
        " ld.shared::cluster.u32 %r20, [%r12];", NUMBERS // 64 * 64 + NUMBERS % 32),
    "own memory": (
        "cvt.u64.u32 %rd5, %r9; cvta.shared::cluster.u64 %rd5, %rd5; isspacep.shared::cta %p4, %rd5;"
        "isspacep.shared::cluster %p5, %rd5; selp.u32 %r20, 1, 0, %p4; selp.u32 %r21, 2, 0, %p5;"
        " or.b32 %r20, %r20, %r21;",
        NUMBERS * 0 + 2,
    ),
    "asynchronous store": (
        "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], 128;"
        "st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r9], %r7, [%r11];"
        + WAIT + "ld.shared.u32 %r20, [%r6];",
        SWAPPED,
    ),
    "asynchronous reduction": (
        "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], 128;"
        "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r9], %r7, [%r11];"
        + WAIT + "ld.shared.u32 %r20, [%r6];",
        SWAPPED + NUMBERS,
    ),
    "remote arrival": (
        "@%p0 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r11];"
        + WAIT + "mov.u32 %r20, 7;",
        NUMBERS * 0 + 7,
    ),
    "multicast": (
        "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], 128; setp.eq.u32 %p3, %r1, 0;"
        " and.pred %p3, %p3, %p0;"
        "mov.b16 %h0, 3; barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"
        "@%p3 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx:"
            ":bytes.multicast::cluster [%r5], [%rd0], 128, [%r10], %h0;"
        + WAIT + "ld.shared.u32 %r20, [%r6];",
        NUMBERS % 32 + 100,
    ),
}  # fmt: skip


@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize("name", BODIES)
def test_a_pair_of_ctas(name: str, completion: str) -> None:
    body, want = BODIES[name]
    fault, got = launch(HEAD + PEER + body + LAST, np.arange(32) + 100, completion)
    assert fault is None
    np.testing.assert_array_equal(got, want)


FAULTS = {
    "bad-cluster-address": "mapa.shared::cluster.u32 %r9, %r6, 2; ld.shared::cluster.u32 %r20, [%r9];" + LAST,
    "bad-barrier": "barrier.cluster.wait.aligned; ret; }",
    "deadlock": "setp.eq.u32 %p3, %r1, 0; @%p3 bra END; bar.sync 1, 64; END: barrier.cluster.arrive;"
    " barrier.cluster.wait; ret; }",
}


@pytest.mark.parametrize("rule", FAULTS)
def test_faults(rule: str) -> None:
    fault, _ = launch(HEAD + FAULTS[rule])
    assert fault is not None
    assert fault.rule == rule


def test_a_second_arrival_needs_a_wait() -> None:
    fault, _ = launch(HEAD + "barrier.cluster.arrive; barrier.cluster.arrive; barrier.cluster.wait; ret; }")
    assert fault is not None
    assert "second" in fault.message


def test_threads_that_have_ended_are_not_waited_for() -> None:
    ended = "setp.gt.u32 %p3, %r0, 7; @%p3 exit; mov.u32 %r20, 1;"
    fault, got = launch(HEAD + ended + LAST)
    assert fault is None
    assert (got[:, :8] == 1).all()


@pytest.mark.parametrize("cluster", [2, 4])
def test_distributed_shared_memory_of_cuda(cluster: int) -> None:
    """A histogram over a cluster: each CTA holds a part of the bins."""
    nvrtc = pytest.importorskip("backends.compilers.nvrtc")
    pytest.importorskip("cuda.bindings")
    ptx = nvrtc.compile_source(cluster_sum.SOURCE, "cluster_sum", "sm_90").ptx
    device = Emulator()
    values = np.arange(8 * 64, dtype=np.float32)
    source, target = device.allocate(values.nbytes), device.allocate(8 * 4)
    device.write(source, values)
    config = LaunchConfig((8, 1, 1), (64, 1, 1), cluster=(cluster, 1, 1))
    result = device.launch(device.load(ptx, "cluster_sum"), config, [source, target])
    assert result.fault is None
    want = values.reshape(8 // cluster, -1).sum(axis=1).repeat(cluster)
    np.testing.assert_array_equal(device.read(target, np.float32, (8,)), want)


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_a_product_of_two_ctas(completion: str, two_ctas: str) -> None:
    """TMA to both CTAs, tcgen05.mma.cta_group::2 by the first, a multicast commit to both."""
    m, n, k = 512, 128, 192
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(np.float16) for shape in ((m, k), (k, n)))
    device = Emulator(Settings(completion=completion))
    buffers = [device.allocate(2 * rows * columns) for rows, columns in ((m, k), (k, n), (m, n))]
    for buffer, data in zip(buffers, (a, b), strict=False):
        device.write(buffer, data)
    arguments: list[Any] = []
    for buffer, shape, box in zip(buffers, ((m, k), (k, n), (m, n)), ((64, 128), (64, 64), (64, 128)), strict=True):
        tensor = TensorMap(buffer, "FLOAT16", shape[::-1], (2 * shape[1],), box, "B128")
        arguments += [tensor, *shape, shape[1], 1]
    config = LaunchConfig((4, 1, 1), (128, 1, 1), 32768, (2, 1, 1))
    result = device.launch(device.load(two_ctas), config, [*arguments, k // 64, 0, 0])
    assert result.fault is None
    got, want = device.read(buffers[2], np.float16, (m, n)), a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(got, want, atol=2e-3 * np.abs(want).max())


@pytest.fixture(scope="module")
def two_ctas() -> str:
    """The PTX of the Gluon kernel in `sources/two_ctas.py` for sm_100."""
    compiler = pytest.importorskip("triton.backends.compiler")
    triton = pytest.importorskip("triton")
    gluon = pytest.importorskip("triton.experimental.gluon._runtime")
    language = pytest.importorskip("triton.experimental.gluon.language")
    source = pytest.importorskip("tests.backends.emulator.sources.two_ctas")
    assert Path(source.__file__).exists()
    signature = {"steps": "i32"}
    for name, shape, split in (("a", (256, 64), (1, 0)), ("b", (64, 128), (0, 1)), ("c", (256, 128), (1, 0))):
        layout = language.NVMMASharedLayout.get_default_for(list(shape), language.float16, cga_layout=(split,))
        signature[f"{name}_desc"] = f"tensordesc<fp16[{shape[0]}, {shape[1]}],{layout!r}>"
    ordered = {name: signature[name] for name in ("a_desc", "b_desc", "c_desc", "steps")}
    kernel = gluon.GluonASTSource(fn=source.two_cta_gemm, signature=ordered, constexprs={})
    target = compiler.GPUTarget("cuda", 100, 32)
    return str(triton.compile(kernel, target=target, options={"num_ctas": 2, "num_warps": 4}).asm["ptx"])
