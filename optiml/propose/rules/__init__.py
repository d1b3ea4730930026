"""Rewrite rules: transformations of source text, a file each, found by language."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from optiml.propose.protocol import Rule

_MODULES = {
    "cuda": (
        "coalesce", "two_dimensional", "warp_per_row", "block_per_row", "shared_tiling", "register_tiling",
        "transpose_tile", "private_histogram", "sum_before_atomic", "shuffle_reduction", "sequential_reduction",
        "add_on_load", "online_softmax", "one_pass_variance", "welford", "vectorise_fill", "vectorise_loop",
        "double_buffer", "async_copy", "pad_shared", "swizzle_shared", "aggregate_atomics", "persistent_blocks",
        "block_order", "template_constants", "grid_stride", "cover_grid", "block_coarsening", "block_size",
        "block_constant", "tensor_cores", "read_only", "fast_math", "strength_reduction", "predication",
        "constant_memory", "loop_interchange", "march", "inline", "launch_bounds", "unroll",
    ),
    "triton": (
        "configuration", "tile_size", "num_warps", "num_stages", "constants", "split_loop", "persistent_loop",
        "eviction", "loop_options", "exp2", "descriptors", "num_ctas",
    ),
}  # fmt: skip


@cache
def rules_for(language: str) -> tuple[Rule, ...]:
    """The rules for a language, in the order in which a person would try them; none for an unknown language."""
    modules = (import_module(f"{__name__}.{language}.{name}") for name in _MODULES.get(language, ()))
    return tuple(module.RULE for module in modules)
