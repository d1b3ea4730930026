"""Names of CUDA architectures: `sm_90a` for a person and for PTX, 90 for Triton."""

from __future__ import annotations

import re

from ir.diagnostics import fail

_ARCHITECTURE = re.compile(r"(?:sm_?|compute_)?(\d{2,3})[af]?")
# From here on the instructions that only one generation has (wgmma, tcgen05) need the `a` in the target's name.
# Source: PTX ISA, `.target`, architecture-specific features.
_FIRST_SPECIFIC = 90


def capability_of(architecture: str) -> int:
    """Compute capability, as Triton counts it. Raises UserError (`unknown-architecture`).

    >>> capability_of("sm_90a"), capability_of("100"), capability_of("compute_86")
    (90, 100, 86)
    """
    found = _ARCHITECTURE.fullmatch(architecture)
    if found is None:
        remedy = "architectures are named sm_80, sm_89, sm_90, sm_100, sm_120"
        raise fail("unknown-architecture", f"`{architecture}` is no CUDA architecture", remedy=remedy)
    return int(found.group(1))


def full_name(architecture: str) -> str:
    """The name with which PTX has every instruction of that architecture. Raises UserError (`unknown-architecture`).

    >>> full_name("sm_90"), full_name("sm_86"), full_name("100a")
    ('sm_90a', 'sm_86', 'sm_100a')
    """
    capability = capability_of(architecture)
    return f"sm_{capability}{'a' if capability >= _FIRST_SPECIFIC else ''}"
