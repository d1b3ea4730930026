"""What was seen of one CTA: which mbarriers its warps touched, in which phase, and what its tensor core was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.findings import Site
from backends.model.sm.costs import TensorShape

WAIT, ARRIVE, COPY, COMMIT = "wait", "arrive", "copy", "commit"
# An mbarrier object: its 64-bit word in shared memory, and how often the word was made a barrier before.
Object = tuple[int, int]


@dataclass(frozen=True)
class Act:
    """A warp concerned itself with phase number `phase` of an object.

    site: index of the PTX instruction; turn: executions of it by the warp before, guarded off or not. phase: from 0;
    -1 where it waited for the phase before the first, which every object has behind it. time: acts and completions
    before it, in the order in which they took place.
    """

    kind: str
    site: int
    warp: int
    turn: int
    object: Object
    phase: int
    time: int


@dataclass(frozen=True)
class Completed:
    """A phase of an object completed."""

    object: Object
    phase: int
    time: int


@dataclass(frozen=True)
class Observed:
    """One CTA's acts in order.

    touching: sites that touch mbarriers. executions: warp -> (site, turn) of each execution of one of them, in order,
    guarded off or not, without those that asked in vain. joined: site of a named barrier -> warps that came to it.
    late: sites that a warp passed by in the first turns of a loop, and came to in all later ones. shapes: site of a
    tcgen05.mma -> its shapes. remote: sites that touched barriers of other CTAs, or were touched from there. stopped:
    the rule by which the run was cut off, "" where the CTA ended.
    """

    sites: tuple[Site, ...]
    acts: tuple[Act, ...]
    completed: tuple[Completed, ...]
    executions: Mapping[int, tuple[tuple[int, int], ...]]
    touching: tuple[int, ...]
    joined: Mapping[int, frozenset[int]]
    late: tuple[int, ...]
    shapes: Mapping[int, tuple[TensorShape, ...]]
    remote: tuple[int, ...]
    stopped: str

    def line(self, site: int) -> int | None:
        """The line of the PTX file on which an instruction stands."""
        place = self.sites[site].place
        return place.line if place else None
