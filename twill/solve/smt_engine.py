"""The SMT solvers that answer questions, behind pySMT: how each is started, limited and metered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysmt.environment import Environment

_MS_PER_S = 1000


class Engine(ABC):
    """One solver; its methods take the pySMT solver that `start` gave."""

    name: str

    def start(self, environment: Environment, seed: int) -> Any:
        """A solver that keeps its assertions from one question to the next."""
        from pysmt.logics import QF_LIA

        return environment.factory.Solver(name=self.name, logic=QF_LIA, incremental=True, **self._seeded(seed))

    @abstractmethod
    def limit(self, solver: Any, time_s: float, effort: int | None) -> None:
        """Stop the next call after so many seconds, or resource units (None: any number)."""

    @abstractmethod
    def effort(self, solver: Any) -> int:
        """Resource units used so far, in this engine's own measure."""

    @abstractmethod
    def _seeded(self, seed: int) -> dict[str, Any]:
        """Keyword arguments for pySMT that set the seed."""


class Z3(Engine):
    """Fast on difference logic; some millions of its resource units are a second."""

    name = "z3"

    def limit(self, solver: Any, time_s: float, effort: int | None) -> None:
        """Units count in each call anew."""
        solver.z3.set("timeout", _milliseconds(time_s))
        solver.z3.set("rlimit", effort or 0)

    def effort(self, solver: Any) -> int:
        """Units of all z3 solvers in this process."""
        return int(solver.z3.statistics().get_key_value("rlimit count"))

    def _seeded(self, seed: int) -> dict[str, Any]:
        return {"solver_options": {"random_seed": seed}}


class Cvc5(Engine):
    """Slower, and of another making: for second opinions."""

    name = "cvc5"

    def limit(self, solver: Any, time_s: float, effort: int | None) -> None:
        """Raises ValueError for a limit on units: it cannot be set any more once the solver has assertions."""
        if effort is not None:
            raise ValueError("cvc5 is limited by time alone")
        solver.cvc5.setOption("tlimit-per", str(_milliseconds(time_s)))

    def effort(self, solver: Any) -> int:
        """Units of this solver alone."""
        statistics = solver.cvc5.getStatistics().get(internal=True, defaulted=True)
        return int(statistics["resource::resourceUnitsUsed"]["value"])

    def _seeded(self, seed: int) -> dict[str, Any]:
        return {"random_seed": seed}


def _milliseconds(time_s: float) -> int:
    # Both solvers take 0 for no limit.
    return max(1, int(_MS_PER_S * time_s))
