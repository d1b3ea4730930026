"""An edit: one step from a candidate to another, with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass

from optiml.candidate import Candidate


@dataclass(frozen=True)
class Edit:
    """A complete step: it holds the new candidate.

    `tag` names the strategy and its parameters (`unroll:i=4`); `limiter` is the bottleneck aimed at (`dram`, `issue`,
    ...); `why` is one sentence for a person; `proposer` is who proposed it.
    """

    tag: str
    limiter: str
    why: str
    result: Candidate
    proposer: str
