"""A job: what is to be found out about one candidate, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from optiml.candidate import Candidate

Sizes = Mapping[str, int]

_TUPLES = ("verify", "profile", "floors_us", "needed_bytes", "artifacts", "artifact_at")


@dataclass(frozen=True)
class Limits:
    """What one candidate may use: wall clock of the whole evaluation and of compiling, memory, answer.

    launch_s: of one launch under checkers on an idle machine, by what it executes: no clock decides. wall_s: the last
    resort; who is ended by it is tried once more, alone.
    """

    wall_s: float = 300.0
    compile_s: float = 120.0
    launch_s: float = 60.0
    memory_bytes: int = 6 << 30
    answer_bytes: int = 32 << 20


@dataclass(frozen=True)
class Job:
    """One evaluation of one candidate.

    task, variant: the task file and the variant that the candidate starts from. target: machine name or file. verify:
    sizes at which the result is checked, in this order, with inputs of `seed`; profile: sizes that are timed, after
    that, with inputs of `timing_seed`. with_interval: times with the spread of the machine's parameters. floors_us: for
    each size of `profile` the time below which no kernel can be; needed_bytes: what every right kernel touches there.
    result_alone: results are compared, and neither checkers nor further launches watch. artifacts: of a candidate in
    Python, as JSON; artifact_at: which of them belongs to each size of `verify` and then `profile`. memo: folder of
    verdicts by machine code; none without it. wants_code: the answer brings the machine code of each size of `profile`.
    """

    task: str
    variant: str
    target: str
    candidate: Candidate
    seed: int
    verify: tuple[Sizes, ...]
    profile: tuple[Sizes, ...]
    with_interval: bool = False
    floors_us: tuple[float, ...] = ()
    needed_bytes: tuple[float, ...] = ()
    timing_seed: int = 0
    result_alone: bool = False
    limits: Limits = field(default_factory=Limits)
    artifacts: tuple[str, ...] = ()
    artifact_at: tuple[int, ...] = ()
    memo: str = ""
    wants_code: bool = False

    def of(self, candidate: Candidate, seed: int) -> Job:
        """The same questions about another candidate."""
        return replace(self, candidate=candidate, seed=seed)


def without_secrets(job: Job) -> Job:
    """What the child that runs a candidate's Python may know of it."""
    return replace(job, seed=0, timing_seed=0, floors_us=(), needed_bytes=())


def job_document(job: Job) -> dict[str, Any]:
    """As JSON can hold it; `job_of` reads it back."""
    candidate = candidate_document(job.candidate)
    return {**asdict(replace(job, candidate=Candidate("cuda", ""))), "candidate": candidate}


def job_of(document: Mapping[str, Any]) -> Job:
    """The job that a document tells of."""
    return Job(
        **{
            **document,
            "candidate": candidate_from(document["candidate"]),
            "limits": Limits(**document["limits"]),
            **{name: tuple(document[name]) for name in _TUPLES},
        }
    )


def candidate_document(candidate: Candidate) -> dict[str, Any]:
    """Language, source and overrides."""
    return {"language": candidate.language, "source": candidate.source, "overrides": dict(candidate.overrides)}


def candidate_from(document: Mapping[str, Any]) -> Candidate:
    """The candidate of such a document."""
    return Candidate(document["language"], document["source"], dict(document["overrides"]))


def text_of(sizes: Sizes) -> str:
    """As people read it.

    >>> text_of({"M": 3, "N": 4})
    'M=3 N=4'
    """
    return " ".join(f"{name}={value}" for name, value in sizes.items())


def by_work(sizes: Sequence[Sizes]) -> tuple[Sizes, ...]:
    """Cheapest first, by the product of the sizes; equal ones keep their order.

    >>> by_work([{"M": 256, "N": 4}, {"M": 1, "N": 1}])
    ({'M': 1, 'N': 1}, {'M': 256, 'N': 4})
    """
    return tuple(sorted(sizes, key=_work))


def _work(sizes: Sizes) -> int:
    work = 1
    for value in sizes.values():
        work *= max(value, 1)
    return work
