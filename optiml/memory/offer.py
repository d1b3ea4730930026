"""What a run is offered of the memory: the records most like its kernel, and for each program those that bear on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from optiml.memory.features import likeness
from optiml.memory.record import Record

# Records of one run's offer, and of one program's; less alike than this is not alike. This project's choices.
MOST = 120
MOST_OF_ONE = 40
LEAST = 0.5
# What a record counts of what it would with the same limiter, and on the same machine.
_OTHER_LIMITER = 0.5
_OTHER_MACHINE = 0.8
# What a record says of the same kind of edit with other parameters; and of none at all, in records.
_OTHER_PARAMETERS = 0.5
_PRIOR = 1.0


@dataclass(frozen=True)
class Remembered:
    """A record, and how much it bears on a program: 1 for the same kernel with the same limiter on the same machine."""

    record: Record
    weight: float


@dataclass(frozen=True)
class Offer:
    """The records of one run; without any it changes nothing."""

    records: tuple[Record, ...] = ()

    def about(self, kernel: Mapping[str, float], limiter: str, architecture: str) -> tuple[Remembered, ...]:
        """Those that bear on a kernel of these features, the most like it first."""
        found = [Remembered(r, weight(r, kernel, limiter, architecture)) for r in self.records]
        alike = [m for m in found if m.weight >= LEAST * _OTHER_LIMITER * _OTHER_MACHINE]
        return tuple(sorted(alike, key=_order)[:MOST_OF_ONE])


NOTHING = Offer()


def weight(record: Record, kernel: Mapping[str, float], limiter: str, architecture: str) -> float:
    """The likeness of the kernels, less for another limiter or machine."""
    same_limiter = 1.0 if record.limiter_before == limiter else _OTHER_LIMITER
    same_machine = 1.0 if record.architecture == architecture else _OTHER_MACHINE
    return likeness(record.features, kernel) * same_limiter * same_machine


def chosen(records: Sequence[Record], kernel: Mapping[str, float]) -> tuple[Record, ...]:
    """What a run on this kernel is offered of its language's records: the most like it, whatever their limiter."""
    alike = [Remembered(r, likeness(r.features, kernel)) for r in records]
    return tuple(m.record for m in sorted((m for m in alike if m.weight >= LEAST), key=_order)[:MOST])


def worth(tag: str, memory: Sequence[Remembered]) -> float:
    """What the memory expects of an edit, as the logarithm of its speed-up; 0 where it knows nothing.

    The weighted mean of what edits of the same kind did, those with the same parameters counting twice, drawn towards 0
    as one record without effect would.
    """
    kind = tag.partition(":")[0]
    total, sum_of = _PRIOR, 0.0
    for known in memory:
        if known.record.tag.partition(":")[0] == kind:
            counts = known.weight * (1.0 if known.record.tag == tag else _OTHER_PARAMETERS)
            total, sum_of = total + counts, sum_of + counts * log(known.record.speedup)
    return round(sum_of / total, 2)


def _order(known: Remembered) -> tuple[float, float, str]:
    """The most like first, then the most effective; ties by what does not depend on when they were learnt."""
    return -known.weight, -abs(log(known.record.speedup)), known.record.digest
