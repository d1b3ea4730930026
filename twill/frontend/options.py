"""What a user may say about the compilation of a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.compilers.architecture import capability_of

DEFAULT_ARCHITECTURE = "sm_90"


@dataclass(frozen=True)
class FrontendOptions:
    """How to compile: argument types and constexprs by parameter, autotune configuration, warps, stages, machine.

    arguments: parameter -> type in Triton's spelling, see `twill.frontend.signature`. constants: parameter -> value.
    config_index: which configuration of @triton.autotune, the first by default. architecture: `sm_90` or the like.
    pipelined: go on to TTGIR, where each operation has the stage that Triton's own pipeliner gave it.
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    config_index: int | None = None
    num_warps: int | None = None
    num_stages: int | None = None
    architecture: str = DEFAULT_ARCHITECTURE
    pipelined: bool = False

    @property
    def capability(self) -> int:
        """Compute capability as Triton wants it: 90 for `sm_90a`. Raises UserError (`unknown-architecture`).

        >>> FrontendOptions(architecture="sm_100a").capability
        100
        """
        return capability_of(self.architecture or DEFAULT_ARCHITECTURE)
