"""Shipped kernels are honest: each passes its own task with every guard, in the cascade of a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from optiml.verdict import Status
from tests.adversarial.fixtures import task_of
from tests.adversarial.judging import Court

SHIPPED = (
    "sgemm", "sgemm:coalesced", "sgemm:shared", "sgemm:column", "sgemm:vectorised", "sgemm:warp_tiled",
    "softmax_cuda", "softmax_cuda:warp", "softmax_cuda:fast_math", "softmax_cuda:persistent",
    "transpose", "transpose:shared", "transpose:swizzled", "transpose:float4",
    "reduction", "reduction:sequential", "reduction:shuffle", "histogram", "histogram:copies", "histogram:match",
    "layer_norm_cuda", "layer_norm_cuda:one_warp", "layer_norm_cuda/naive.toml", "scan", "stencil", "spmv",
    "gemm_wmma", "gemm_cp_async", "grid_sync", "grid_sync/smooth.toml",
    "vector_add:float4", "softmax", "rms_norm", "gemm:ragged", "gemm_split_k:ragged", "attention_forward:ragged",
)  # fmt: skip


@pytest.fixture(scope="module")
def court() -> Iterator[Court]:
    court = Court()
    yield court
    court.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_kernel_is_accepted(court: Court, name: str) -> None:
    job = court.question(f"kernels/{name}")
    verdict = court.end(court.pool.submit(replace(job, profile=())))
    assert verdict.status is Status.OK, f"{verdict.stage}: {verdict.evidence}"
    assert task_of(f"kernels/{name}").regimes
