"""Every rule on CUDA C++ applies to a real kernel, and what it makes of it is right on the emulated device."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Chain, applied, complaint, verified

from optiml.propose.rules import rules_for

CHAINS = {
    "coalesce": Chain("sgemm", ("coalesce:xy",)),
    "shared-tiling": Chain("sgemm", ("coalesce", "shared-tiling")),
    "register-tiling": Chain("sgemm", ("coalesce", "shared-tiling", "register-tiling")),
    "vectorise-fill": Chain("sgemm", ("coalesce", "register-tiling", "vectorise-fill")),
    "pad-shared": Chain("transpose", ("transpose-tile", "pad-shared")),
    "swizzle-shared": Chain("transpose", ("transpose-tile", "swizzle-shared")),
    "transpose-tile": Chain("transpose", ("transpose-tile",)),
    "warp-per-row": Chain("matvec", ("warp-per-row",)),
    "block-per-row": Chain("softmax_cuda/naive", ("block-per-row:256",)),
    "vectorise-loop": Chain("softmax_cuda/naive", ("warp-per-row", "vectorise-loop")),
    "sequential-reduction": Chain("reduction", ("sequential-reduction",)),
    "shuffle-reduction": Chain("reduction", ("shuffle-reduction",)),
    "add-on-load": Chain("reduction", ("add-on-load",)),
    "private-histogram": Chain("histogram:global", ("private-histogram",)),
    "two-dimensional": Chain("strangers/transpose_flat", ("two-dimensional",)),
    "block-order": Chain("strangers/product", ("block-order:4",)),
    "template-constants": Chain("stencil", ("template-constants:DEPTH=32",)),
    "cover-grid": Chain("histogram:global", ("cover-grid",)),
    "sum-before-atomic": Chain("strangers/total", ("sum-before-atomic",)),
    "aggregate-atomics": Chain("histogram:global", ("aggregate-atomics",)),
    "online-softmax": Chain("softmax_cuda/naive", ("warp-per-row", "online-softmax")),
    "one-pass-variance": Chain("layer_norm_cuda/naive", ("warp-per-row", "one-pass-variance")),
    "welford": Chain("layer_norm_cuda/naive", ("warp-per-row", "welford")),
    "double-buffer": Chain("sgemm", ("coalesce", "register-tiling", "vectorise-fill", "double-buffer")),
    "async-copy": Chain("sgemm", ("coalesce", "shared-tiling", "double-buffer", "async-copy")),
    "persistent-blocks": Chain("reduction", ("shuffle-reduction", "persistent-blocks")),
    "grid-stride": Chain("vector_add", ("grid-stride",)),
    "block-coarsening": Chain("stencil:naive", ("block-coarsening",)),
    "block-size": Chain("softmax_cuda/naive", ("block-size",)),
    "block-constant": Chain("reduction", ("block-constant",)),
    "tensor-cores": Chain("gemm_wmma/naive", ("tensor-cores",)),
    "read-only": Chain("softmax_cuda/naive", ("read-only",)),
    "fast-math": Chain("softmax_cuda", ("fast-math",)),
    "strength-reduction": Chain("softmax_cuda/naive", ("strength-reduction",)),
    "predication": Chain("smooth", ("predication",)),
    "constant-memory": Chain("smooth", ("constant-memory",)),
    "loop-interchange": Chain("column_copy", ("loop-interchange",)),
    "march": Chain("stencil:naive", ("march:z16",)),
    "inline": Chain("stencil:naive", ("inline",)),
    "launch-bounds": Chain("sgemm", ("launch-bounds:1024",)),
    "unroll": Chain("sgemm", ("unroll:0=4",)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_rule_is_right(name: str, tmp_path: Path) -> None:
    task, candidates = applied(CHAINS[name])
    for number, candidate in enumerate(candidates):
        assert not complaint(verified(candidate, task, tmp_path / str(number), CHAINS[name].target))


def test_every_rule_has_a_chain() -> None:
    assert {rule.name for rule in rules_for("cuda")} == CHAINS.keys()
