"""Rules apply to kernels as other people write them, and what comes of chains of rules is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Chain, applied, complaint, verified

CHAINS = (
    Chain("strangers/gemm", ("coalesce", "shared-tiling")),
    Chain("strangers/gemm", ("register-tiling:32x32", "vectorise-fill")),
    Chain("strangers/product", ("shared-tiling",)),
    Chain("strangers/product", ("register-tiling:64x64", "vectorise-fill", "double-buffer")),
    Chain("strangers/transpose", ("transpose-tile", "pad-shared")),
    Chain("strangers/transpose_flat", ("two-dimensional:32x8", "transpose-tile:32x8", "pad-shared")),
    Chain("strangers/product_flat", ("two-dimensional:16x16", "shared-tiling")),
    Chain("strangers/batched", ("shared-tiling", "register-tiling:32x32")),
    Chain("strangers/histogram", ("cover-grid", "private-histogram:binsx8")),
    Chain("strangers/block_sums", ("sequential-reduction", "add-on-load:2", "shuffle-reduction")),
    Chain("strangers/softmax_rows", ("warp-per-row", "vectorise-loop")),
    Chain("strangers/softmax_rows", ("block-per-row:128",)),
    Chain("strangers/softmax_named", ("warp-per-row", "online-softmax", "vectorise-loop")),
    Chain("strangers/softmax_blocks", ("shuffle-reduction", "vectorise-loop")),
    Chain("strangers/layer_norm", ("block-per-row:256", "vectorise-loop")),
    Chain("strangers/layer_norm", ("warp-per-row", "one-pass-variance", "vectorise-loop")),
    Chain("strangers/layer_norm", ("welford",)),
    Chain("strangers/layer_norm", ("warp-per-row", "welford", "vectorise-loop")),
    Chain("strangers/histogram", ("private-histogram",)),
    Chain("strangers/histogram", ("private-histogram:binsx32", "vectorise-loop")),
    Chain("strangers/total", ("grid-stride:512", "sum-before-atomic:block", "vectorise-loop")),
    Chain("strangers/gemv", ("warp-per-row", "vectorise-loop")),
    Chain("strangers/matmul", ("split-loop", "configuration:128x64x64")),
    Chain("strangers/matmul", ("constants:GROUP=4", "tile-size:BM=64")),
    Chain("strangers/jacobi", ("block-coarsening:y2",)),
    Chain("strangers/heat", ("block-coarsening:z2",)),
)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda c: " ".join((c.task.partition("/")[2], *c.tags)))
def test_a_chain_on_a_stranger_is_right(chain: Chain, tmp_path: Path) -> None:
    task, candidates = applied(chain)
    for number, candidate in enumerate(candidates):
        assert not complaint(verified(candidate, task, tmp_path / str(number)))
