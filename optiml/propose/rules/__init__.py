"""Rewrite rules: transformations of source text, a file each, found by language."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from optiml.propose.protocol import Rule

_MODULES = {
    "cuda": (
        "coalesce", "shared_tiling", "register_tiling", "vectorise_fill", "pad_shared", "swizzle_shared", "transpose_tile",
        "warp_per_row", "vectorise_loop", "launch_bounds", "unroll",
    ),
    "triton": (),
}  # fmt: skip


@cache
def rules_for(language: str) -> tuple[Rule, ...]:
    """The rules for a language, in the order in which a person would try them; none for an unknown language."""
    modules = (import_module(f"{__name__}.{language}.{name}") for name in _MODULES.get(language, ()))
    return tuple(module.RULE for module in modules)
