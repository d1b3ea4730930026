"""Small kernels that are right as they stand, each with the edits that make them wrong and the rule that tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backends.device import CHECKS, LaunchConfig, LaunchResult
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator

_HEAD = """.version 8.7
.target sm_100a
.address_size 64
.visible .entry k(.param .u64 a, .param .u64 b)
{
.reg .b16 %h<4>;
.reg .b32 %r<32>;
.reg .b64 %d<16>;
.reg .pred %p<8>;
.shared .align 1024 .b8 smem[8192];
ld.param.b64 %d0, [a];
ld.param.b64 %d1, [b];
cvta.to.global.u64 %d0, %d0;
cvta.to.global.u64 %d1, %d1;
mov.u32 %r0, %tid.x;
mov.u32 %r1, smem;
shl.b32 %r2, %r0, 2;
add.s32 %r3, %r1, %r2;
mov.u32 %r4, %ctaid.x;
setp.eq.u32 %p0, %r0, 0;
"""


@dataclass(frozen=True)
class Example:
    """A kernel of `threads` threads by `ctas`: `body` is right; `edits`: (old text, new text, rule that must tell)."""

    name: str
    body: str
    edits: tuple[tuple[str, str, str], ...]
    threads: int = 64
    ctas: int = 1
    cluster: int = 1
    head: tuple[str, str] = ("", "")


def run(
    body: str, threads: int = 64, ctas: int = 1, completion: str = "late", checks: tuple[str, ...] = CHECKS,
    cluster: int = 1, head: tuple[str, str] = ("", ""),
) -> LaunchResult:  # fmt: skip
    """Launch a body on two buffers of 64 KiB, `a` written with ones and `b` never written."""
    device = Emulator(Settings(completion=completion, checks=frozenset(checks), time_limit_s=20.0))
    kernel = device.load(f"{_HEAD.replace(*head)}{body}\nret;\n}}\n")
    a, b = device.allocate(1 << 16, "a"), device.allocate(1 << 16, "b")
    device.write(a, np.ones(1 << 14, np.uint32))
    return device.launch(kernel, LaunchConfig((ctas, 1, 1), (threads, 1, 1), cluster=(cluster, 1, 1)), [a, b])


_INIT_BARRIER = """
@%p0 mbarrier.init.shared.b64 [smem+4096], 1;
fence.proxy.async;
bar.sync 0;
"""
_WAIT = """
WAIT:
mbarrier.try_wait.parity.shared.b64 %p1, [smem+4096], 0;
@!%p1 bra WAIT;
"""

EXAMPLES = (
    Example(
        "neighbour through shared memory",
        """
st.shared.b32 [%r3], %r0;
bar.sync 0;
xor.b32 %r5, %r2, 128;
add.s32 %r5, %r1, %r5;
ld.shared.b32 %r6, [%r5];
bar.sync 1;
st.shared.b32 [%r3], %r6;
""",
        (
            ("bar.sync 0;", "", "read-after-write"),
            ("bar.sync 1;", "", "write-after-read"),
            ("bar.sync 0;", "bar.sync 0, 32;", "barrier-count"),
        ),
    ),
    Example(
        "neighbour in the warp",
        """
st.shared.b32 [%r3], %r0;
bar.warp.sync 0xffffffff;
xor.b32 %r5, %r2, 4;
add.s32 %r5, %r1, %r5;
ld.shared.b32 %r6, [%r5];
""",
        (("bar.warp.sync 0xffffffff;", "", "read-after-write"),),
    ),
    Example(
        "bytes next to each other",
        """
add.s32 %r3, %r1, %r0;
cvt.u16.u32 %h0, %r0;
st.shared.b8 [%r3], %h0;
""",
        (("add.s32 %r3, %r1, %r0;", "and.b32 %r5, %r0, 62;\nadd.s32 %r3, %r1, %r5;", "write-after-write"),),
    ),
    Example(
        "one value from every thread",
        """
mov.b32 %r5, 7;
st.shared.b32 [smem], %r5;
st.global.b32 [%d0], %r5;
""",
        (("mov.b32 %r5, 7;", "mov.b32 %r5, %r0;", "write-after-write"),),
    ),
    Example(
        "cp.async",
        """
cvt.u64.u32 %d2, %r2;
add.u64 %d3, %d0, %d2;
cp.async.ca.shared.global [%r3], [%d3], 4;
cp.async.commit_group;
add.s32 %r5, %r3, 1024;
cp.async.ca.shared.global [%r5], [%d3], 4;
cp.async.commit_group;
cp.async.wait_group 1;
ld.shared.b32 %r6, [%r3];
cp.async.wait_group 0;
bar.sync 0;
ld.shared.b32 %r7, [smem+1024];
""",
        (
            ("cp.async.wait_group 1;", "", "read-after-write"),
            ("cp.async.wait_group 1;", "cp.async.wait_group 2;", "read-after-write"),
            ("cp.async.wait_group 0;", "", "not-waited-for"),
            ("bar.sync 0;", "", "read-after-write"),
            ("ld.shared.b32 %r6, [%r3];", "ld.shared.b32 %r6, [%r3+2048];", "uninitialised"),
        ),
    ),
    Example(
        "bulk copy in",
        _INIT_BARRIER
        + """
@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [smem+4096], 1024;
@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [smem], [%d0], 512, [smem+4096];
@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [smem+512], [%d0+512], 512, [smem+4096];
"""
        + _WAIT
        + "ld.shared.b32 %r6, [%r3];\n",
        (
            (_WAIT, "", "read-after-write"),
            (_WAIT, "", "not-waited-for"),
            (_WAIT, _WAIT.replace("], 0", "], 1"), "read-after-write"),
            ("bar.sync 0;", "", "read-after-write"),
            ("_, [smem+4096], 1024", "_, [smem+4096], 2048", "deadlock"),
            ("_, [smem+4096], 1024", "_, [smem+4096], 512", "bytes-mismatch"),
            ("[smem+4096], 1;", "[smem+4096], 2;", "deadlock"),
        ),
    ),
    Example(
        "an mbarrier used twice",
        _INIT_BARRIER
        + """
@%p0 mbarrier.arrive.shared.b64 _, [smem+4096];
"""
        + _WAIT
        + """
bar.sync 0;
@%p0 mbarrier.inval.shared.b64 [smem+4096];
@%p0 mbarrier.init.shared.b64 [smem+4096], 4;
""",
        (("@%p0 mbarrier.inval.shared.b64 [smem+4096];", "", "mbarrier-reinit"),),
    ),
    Example(
        "bulk copy out",
        """
st.shared.b32 [%r3], %r0;
fence.proxy.async.shared::cta;
bar.sync 0;
@%p0 cp.async.bulk.global.shared::cta.bulk_group [%d1], [smem], 256;
@%p0 cp.async.bulk.commit_group;
@%p0 cp.async.bulk.wait_group.read 0;
bar.sync 1;
st.shared.b32 [%r3], %r2;
""",
        (
            ("fence.proxy.async.shared::cta;", "", "proxy-fence"),
            ("bar.sync 0;", "", "read-after-write"),
            ("@%p0 cp.async.bulk.wait_group.read 0;", "", "write-after-read"),
            ("@%p0 cp.async.bulk.wait_group.read 0;", "", "not-waited-for"),
            ("@%p0 cp.async.bulk.commit_group;", "", "not-waited-for"),
            ("bar.sync 1;", "", "write-after-read"),
        ),
    ),
    Example(
        "flag between CTAs",
        """
setp.ne.u32 %p2, %r4, 0;
@%p2 bra READ;
st.global.b32 [%d0+256], %r0;
membar.gl;
mov.b32 %r5, 5;
st.relaxed.gpu.global.b32 [%d0], %r5;
bra DONE;
READ:
ld.relaxed.gpu.global.b32 %r6, [%d0];
setp.ne.u32 %p3, %r6, 5;
@%p3 bra READ;
fence.acq_rel.gpu;
ld.global.b32 %r7, [%d0+256];
DONE:
""",
        (
            ("membar.gl;", "", "read-after-write"),
            ("membar.gl;", "membar.cta;", "read-after-write"),
            ("fence.acq_rel.gpu;", "", "read-after-write"),
            ("st.relaxed.gpu.global", "st.global", "read-after-write"),
        ),
        threads=1,
        ctas=2,
    ),
    Example(
        "the last of four CTAs takes what the others have left",
        """
mul.wide.u32 %d2, %r4, 4;
add.s64 %d2, %d1, %d2;
st.global.u32 [%d2], %r4;
membar.gl;
atom.global.add.u32 %r5, [%d0], 1;
fence.acq_rel.gpu;
setp.ne.u32 %p1, %r5, 4;
@%p1 ret;
ld.global.u32 %r6, [%d1];
ld.global.v2.u32 {%r7, %r8}, [%d1+8];
""",
        (
            ("membar.gl;", "", "read-after-write"),
            ("fence.acq_rel.gpu;", "", "read-after-write"),
            ("st.global.u32 [%d2], %r4;\nmembar.gl;", "membar.gl;\nst.global.u32 [%d2], %r4;", "read-after-write"),
        ),
        threads=1,
        ctas=4,
    ),
    Example(
        "a place of its own for each CTA",
        """
mul.lo.s32 %r5, %r4, 256;
add.s32 %r5, %r5, %r2;
cvt.u64.u32 %d2, %r5;
add.u64 %d3, %d1, %d2;
st.global.b32 [%d3], %r4;
""",
        (("mul.lo.s32 %r5, %r4, 256;", "mul.lo.s32 %r5, %r4, 128;", "write-after-write"),),
        ctas=100,
    ),
    Example(
        "a sum by atomics",
        "red.global.add.u32 [%d0], %r0;\n",
        (
            ("red.global.add.u32 [%d0], %r0;", "ld.global.b32 %r5, [%d0];\nst.global.b32 [%d0], %r0;", "write-after-read"),  # noqa: E501
            ("[%d0]", "[%d1]", "uninitialised"),
        ),
        ctas=4,
    ),
    Example(
        "barriers are for whole warps",
        """
and.b32 %r5, %r0, 32;
setp.eq.u32 %p2, %r5, 0;
@%p2 bar.sync 1, 32;
""",
        (("and.b32 %r5, %r0, 32;", "and.b32 %r5, %r0, 1;", "divergent-barrier"),),
    ),
    Example(
        "all threads come to the barrier",
        "setp.gt.u32 %p2, %r0, 31;\n@%p2 bra END;\nbar.sync 0;\nEND:\n",
        (("31;", "40;", "exited-at-barrier"),),
    ),
    Example(
        "shuffle among those who take part",
        "shfl.sync.bfly.b32 %r6, %r0, 1, 31, 0xffffffff;\n",
        (("shfl.sync.bfly.b32 %r6, %r0, 1, 31, 0xffffffff;",
          "setp.lt.u32 %p2, %r0, 16;\n@%p2 bra PART;\nbra END;\nPART: shfl.sync.bfly.b32 %r6, %r0, 16, 31, 0x0000ffff;\nEND:",  # noqa: E501
          "shfl-inactive-lane"),),
        threads=32,
    ),
    Example(
        "registers are written first",
        "mov.b32 %r9, 1;\nadd.s32 %r10, %r9, 1;\n",
        (("mov.b32 %r9, 1;", "", "uninitialised"), ("mov.b32 %r9, 1;", "@%p0 bra OVER;\nmov.b32 %r9, 1;\nOVER:", "uninitialised")),  # noqa: E501
        threads=1,
    ),
    Example(
        "global memory is written first",
        "ld.global.b32 %r9, [%d0];\n",
        (("[%d0]", "[%d1]", "uninitialised"), ("[%d0]", "[%d0+65536]", "out-of-bounds"), ("[%d0]", "[%d0+2]", "misaligned")),  # noqa: E501
    ),
    Example(
        "tensor memory is given back",
        """
setp.gt.u32 %p2, %r0, 31;
@%p2 bra END;
tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [smem], 32;
tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;
bar.warp.sync 0xffffffff;
ld.shared.b32 %r9, [smem];
tcgen05.st.sync.aligned.32x32b.x1.b32 [%r9], {%r0};
tcgen05.wait::st.sync.aligned;
tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r10}, [%r9];
tcgen05.wait::ld.sync.aligned;
tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r9, 32;
END:
""",
        (
            ("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r9, 32;", "", "tensor-memory-leak"),
            ("tcgen05.wait::st.sync.aligned;", "", "read-after-write"),
            ("tcgen05.wait::ld.sync.aligned;", "", "not-waited-for"),
        ),
    ),
    Example(
        "what was read of tensor memory too early is dropped",
        """
setp.gt.u32 %p2, %r0, 31;
@%p2 bra END;
tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [smem], 32;
tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;
bar.warp.sync 0xffffffff;
ld.shared.b32 %r9, [smem];
tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r10}, [%r9];
tcgen05.wait::ld.sync.aligned;
add.s32 %r11, %r10, 1;
shfl.sync.bfly.b32 %r12, %r11, 1, 31, 0xffffffff;
bar.warp.sync 0xffffffff;
st.shared.b32 [%r3], %r12;
ld.shared.b32 %r13, [%r3];
setp.lt.u32 %p3, %r0, 32;
selp.b32 %r14, %r0, %r13, %p3;
@!%p3 tcgen05.st.sync.aligned.32x32b.x1.b32 [%r9], {%r13};
@!%p3 st.global.b32 [%d0], %r13;
mul.wide.u32 %d2, %r0, 4;
add.s64 %d2, %d0, %d2;
st.global.b32 [%d2], %r14;
mov.b32 %r13, %r0;
st.shared.b32 [%r3], %r13;
ld.shared.b32 %r12, [%r3];
st.global.b32 [%d2], %r12;
tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r9, 32;
END:
""",
        (
            ("selp.b32 %r14, %r0, %r13, %p3;", "selp.b32 %r14, %r13, %r0, %p3;", "uninitialised"),
            ("@!%p3 tcgen05.st", "@%p3 tcgen05.st", "uninitialised"),
            ("@!%p3 st.global.b32 [%d0], %r13;", "st.global.b32 [%d0+512], %r12;", "uninitialised"),
            ("mov.b32 %r13, %r0;", "", "uninitialised"),
            ("mul.wide.u32 %d2, %r0, 4;", "and.b32 %r15, %r13, 31;\nmul.wide.u32 %d2, %r15, 4;", "uninitialised"),
            ("setp.lt.u32 %p3, %r0, 32;", "setp.lt.u32 %p3, %r13, 0;", "uninitialised"),
        ),
        threads=32,
    ),
    Example(
        "one lane waits for a flag",
        """
mul.wide.u32 %d2, %r0, 4;
and.b32 %r5, %r0, 31;
setp.gt.u32 %p2, %r0, 31;
@%p2 bra READ;
add.s64 %d3, %d1, %d2;
st.global.b32 [%d3], %r0;
bar.warp.sync 0xffffffff;
mov.b32 %r6, 7;
@%p0 st.release.gpu.global.b32 [%d0], %r6;
bra END;
READ:
setp.ne.u32 %p3, %r5, 0;
@%p3 bra MEET;
SPIN:
ld.acquire.gpu.global.b32 %r6, [%d0];
setp.ne.u32 %p4, %r6, 7;
@%p4 bra SPIN;
MEET:
bar.warp.sync 0xffffffff;
add.s64 %d3, %d1, %d2;
ld.global.b32 %r7, [%d3-128];
END:
""",
        (
            ("MEET:\nbar.warp.sync 0xffffffff;", "MEET:", "read-after-write"),
            ("st.release.gpu", "st.relaxed.gpu", "read-after-write"),
            ("ld.acquire.gpu", "ld.relaxed.gpu", "read-after-write"),
        ),
    ),
    Example(
        "one lane waits for a copy",
        _INIT_BARRIER
        + """
@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [smem+4096], 128;
@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [smem], [%d0], 128, [smem+4096];
@!%p0 bra MEET;
"""
        + _WAIT
        + """
MEET:
bar.warp.sync 0xffffffff;
ld.shared.b32 %r6, [%r3];
""",
        (
            ("MEET:\nbar.warp.sync 0xffffffff;", "MEET:", "read-after-write"),
            ("fence.proxy.async;\n", "", "barrier-fence"),
            ("fence.proxy.async;\n", "fence.proxy.tensormap::generic.release.gpu;\n", "barrier-fence"),
        ),
        threads=32,
    ),
    Example(
        "arrival of every thread",
        """
@%p0 mbarrier.init.shared.b64 [smem+4096], 32;
bar.sync 0;
setp.gt.u32 %p2, %r0, 31;
@%p2 bra WAIT;
st.shared.b32 [%r3], %r0;
mbarrier.arrive.release.cta.shared.b64 _, [smem+4096];
bra END;
"""
        + _WAIT
        + """
ld.shared.b32 %r6, [%r3-128];
END:
""",
        (
            ("arrive.release.cta", "arrive.relaxed.cta", "read-after-write"),
            ("try_wait.parity.shared", "try_wait.parity.relaxed.cta.shared", "read-after-write"),
        ),
    ),
    Example(
        "neighbour in the cluster",
        """
st.shared.b32 [%r3], %r0;
barrier.cluster.arrive.release.aligned;
barrier.cluster.wait.acquire.aligned;
mov.u32 %r5, %cluster_ctarank;
xor.b32 %r5, %r5, 1;
mapa.shared::cluster.u32 %r6, %r3, %r5;
ld.shared::cluster.b32 %r7, [%r6];
barrier.cluster.arrive.aligned;
barrier.cluster.wait.aligned;
st.shared.b32 [%r3], %r7;
""",
        (
            ("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;", "", "read-after-write"),
            ("arrive.release.aligned", "arrive.relaxed.aligned", "read-after-write"),
            ("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;", "", "write-after-read"),
        ),
        ctas=4,
        cluster=2,
    ),
    Example(
        "store to the neighbour in the cluster",
        """
@%p0 mbarrier.init.shared.b64 [smem+4096], 1;
fence.mbarrier_init.release.cluster;
barrier.cluster.arrive.relaxed.aligned;
barrier.cluster.wait.acquire.aligned;
@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [smem+4096], 128;
mov.u32 %r5, %cluster_ctarank;
xor.b32 %r5, %r5, 1;
mapa.shared::cluster.u32 %r6, %r3, %r5;
add.u32 %r7, %r1, 4096;
mapa.shared::cluster.u32 %r7, %r7, %r5;
st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r6], %r0, [%r7];
"""
        + _WAIT
        + """
ld.shared.b32 %r8, [%r3];
barrier.cluster.arrive.aligned;
barrier.cluster.wait.aligned;
""",
        ((_WAIT, "", "read-after-write"), ("st.async", "@!%p0 st.async", "deadlock")),
        threads=32,
        ctas=4,
        cluster=2,
    ),
    Example(
        "registers of warpgroups",
        """
setp.gt.u32 %p2, %r0, 127;
@%p2 bra MANY;
setmaxnreg.dec.sync.aligned.u32 24;
bra END;
MANY:
setmaxnreg.inc.sync.aligned.u32 136;
END:
""",
        (
            ("setmaxnreg.dec.sync.aligned.u32 24;", "", "register-pool"),
            ("u32 136;", "u32 144;", "register-pool"),
            ("dec.sync.aligned.u32 24;", "dec.sync.aligned.u32 88;", "setmaxnreg-direction"),
            ("setp.gt.u32 %p2, %r0, 127;", "setp.gt.u32 %p2, %r0, 159;", "setmaxnreg-warpgroup"),
        ),
        threads=256,
        head=(".param .u64 b)", ".param .u64 b) .maxnreg 80"),
    ),
    Example(
        "a warp reads, exchanges, overwrites",
        """
@%p0 st.shared.b32 [smem], %r0;
bar.warp.sync 0xffffffff;
ld.shared.b32 %r5, [smem];
shfl.sync.bfly.b32 %r6, %r5, 1, 31, 0xffffffff;
mov.b32 %r7, 9;
@%p0 st.shared.b32 [smem], %r7;
""",
        (
            ("shfl.sync.bfly.b32 %r6, %r5, 1, 31, 0xffffffff;", "", "write-after-read"),
            ("bar.warp.sync 0xffffffff;", "vote.sync.all.pred %p4, %p0, 0xffffffff;", "read-after-write"),
        ),
        threads=32,
    ),
)  # fmt: skip
