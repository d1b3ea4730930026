"""Rewrite rules: transformations of source text, a file each, found by language."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from optiml.propose.protocol import Rule

_MODULES = {
    "cuda": (
        "coalesce", "warp_per_row", "shared_tiling", "register_tiling", "transpose_tile", "private_histogram",
        "shuffle_reduction", "sequential_reduction", "add_on_load", "online_softmax", "one_pass_variance",
        "vectorise_fill", "vectorise_loop", "double_buffer", "async_copy", "pad_shared", "swizzle_shared",
        "aggregate_atomics", "launch_bounds", "unroll",
    ),
    "triton": (),
}  # fmt: skip


@cache
def rules_for(language: str) -> tuple[Rule, ...]:
    """The rules for a language, in the order in which a person would try them; none for an unknown language."""
    modules = (import_module(f"{__name__}.{language}.{name}") for name in _MODULES.get(language, ()))
    return tuple(module.RULE for module in modules)
