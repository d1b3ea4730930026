"""What a search teaches the memory: each edit between two programs that passed, with what it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optiml.difference import difference
from optiml.memory.features import features
from optiml.memory.record import Record
from optiml.search.driver import Told

if TYPE_CHECKING:
    from ir.task import Task

_MOST_DIFF = 3000


@dataclass(frozen=True)
class Lessons:
    """The records of one search. digest: of the task, its variant among it; architecture: what was timed."""

    task: Task
    digest: str
    architecture: str

    def of(self, told: Sequence[Told]) -> Iterator[Record]:
        """Each pair of programs once."""
        seen = set[tuple[str, str]]()
        for each in told:
            pair = each.step.parent.key, each.result.key
            if pair not in seen and each.result.verdict.is_ok:
                seen.add(pair)
                yield self._record(each)

    def _record(self, told: Told) -> Record:
        parent, result, edit = told.step.parent, told.result, told.step.edit
        before, after = parent.verdict.metrics, result.verdict.metrics
        assert before is not None and after is not None, "what passed has metrics"
        diff = "\n".join(line.text for line in difference(parent.candidate, result.candidate) if line.kind != "head")
        return Record(
            task=self.digest,
            name=self.task.name,
            language=result.candidate.language,
            architecture=self.architecture,
            tag=edit.tag,
            proposer=edit.proposer,
            aimed_at=edit.limiter,
            limiter_before=before.limiter,
            limiter_after=after.limiter,
            speedup=before.time_us / after.time_us,
            kind=after.kind,
            before=parent.key,
            after=result.key,
            diff=diff if len(diff) <= _MOST_DIFF else f"{diff[:_MOST_DIFF]}\n...",
            features=features(parent.candidate, self.task),
        )
