"""Who follows a launch: the checkers that were asked for, in every batch, and the counters, in those they sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.emulator.checkers.suite import Checks
from backends.emulator.counters.counting import Counting
from backends.emulator.observer import Observer, Observers

if TYPE_CHECKING:
    from backends.emulator.batch import Batch


@dataclass(frozen=True)
class Following:
    """The checkers and the counters of a launch, None for none."""

    checks: Checks | None = None
    counting: Counting | None = None

    def counts(self, batch: int, ctas: int) -> bool:
        """Whether the counters watch batch number `batch`, of batches of `ctas` CTAs."""
        return self.counting is not None and self.counting.wants(batch, ctas)

    def observe(self, batch: Batch, counted: bool) -> Observer | None:
        """The observer of a batch, None where nobody watches."""
        members: list[Observer] = [self.checks.observe(batch)] if self.checks else []
        if counted and self.counting:
            members.append(self.counting.observe(batch))
        return Observers(members) if len(members) > 1 else members[0] if members else None

    def end(self, batch: Batch, counted: bool) -> None:
        """A batch has ended."""
        if self.counting:
            self.counting.end(batch, counted)
