"""Names of CUDA architectures: `sm_90a` for a person and for PTX, 90 for Triton."""

from __future__ import annotations

import re

from ir.diagnostics import fail

_ARCHITECTURE = re.compile(r"(?:sm_?|compute_)?(\d{2,3})[af]?")
# From here on the instructions that only one generation has (wgmma, tcgen05) need the `a` in the target's name.
# Source: PTX ISA, `.target`, architecture-specific features.
_FIRST_SPECIFIC = 90
# KiB of shared memory that one CTA may ask for.
# Source: CUDA C++ programming guide, technical specifications, maximum amount of shared memory per thread block.
_SHARED_KIB = {
    50: 48, 52: 48, 53: 48, 60: 48, 61: 48, 62: 48, 70: 96, 72: 96, 75: 64, 80: 163, 86: 99, 87: 163, 89: 99,
    90: 227, 100: 227, 101: 227, 103: 227, 110: 227, 120: 99, 121: 99,
}  # fmt: skip


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


def shared_limit_bytes(capability: int) -> int:
    """Shared memory that one CTA may have. Raises UserError (`unknown-architecture`) for one that is not listed.

    >>> shared_limit_bytes(90), shared_limit_bytes(120)
    (232448, 101376)
    """
    kib = _SHARED_KIB.get(capability)
    if kib is None:
        known = ", ".join(f"sm_{c}" for c in _SHARED_KIB)
        raise fail("unknown-architecture", f"nothing is known of sm_{capability}", remedy=f"known are: {known}")
    return kib * 1024


def full_name(architecture: str) -> str:
    """The name with which PTX has every instruction of that architecture. Raises UserError (`unknown-architecture`).

    >>> full_name("sm_90"), full_name("sm_86"), full_name("100a")
    ('sm_90a', 'sm_86', 'sm_100a')
    """
    capability = capability_of(architecture)
    return f"sm_{capability}{'a' if capability >= _FIRST_SPECIFIC else ''}"
