"""What proposers and rewrite rules are: the context they see, and the edits they return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ir.diagnostics import UserError
from optiml.candidate import Candidate, settings
from optiml.edit import Edit
from optiml.propose.exchange import Log, Loose

if TYPE_CHECKING:
    from numpy.random import Generator

    from ir.machine import Machine
    from ir.task import Task
    from optiml.memory.offer import Remembered
    from optiml.verdict import Metrics, Verdict

# What a kernel can be bound by; rules say which of these they aim at.
LIMITERS = (
    "dram", "l2", "l1", "shared", "fma", "alu", "fp64", "special", "tensor", "issue", "latency", "barrier",
    "occupancy", "atomics", "launch",
)  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """A candidate with the facts of its task: what a rule rewrites. architecture: `sm_NN`, empty for any."""

    candidate: Candidate
    task: Task
    architecture: str = ""

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The task file's data as the candidate has it."""
        return settings(self.candidate, self.task)

    @property
    def entry(self) -> str:
        """The kernel's name, without template arguments."""
        return str(self.settings["entry"]).partition("<")[0]

    @property
    def arguments(self) -> Sequence[Mapping[str, Any]]:
        """The task's arguments in launch order."""
        return tuple(self.settings["argument"])

    @property
    def constants(self) -> Mapping[str, Any]:
        """All constants."""
        return dict(self.settings.get("constants", {}))

    @cached_property
    def tunable(self) -> Mapping[str, Any]:
        """The constants that are the kernel's own business: no argument, size or reference is defined by them."""
        problem = _problem_names(self.task)
        return {name: value for name, value in self.constants.items() if name not in problem}

    @property
    def launch(self) -> Mapping[str, Any]:
        """The launch table."""
        return dict(self.settings.get("launch", {}))

    def extents(self, key: str) -> list[str]:
        """`launch.grid` or `launch.block` as texts of three expressions."""
        given = [str(e) for e in self.launch.get(key, [])]
        return [*given, "1", "1", "1"][:3]

    def block(self) -> tuple[int, int, int] | None:
        """The threads of a CUDA block; None where they depend on the sizes."""
        from ir.expression import Expression, ExpressionError

        whole = {k: v for k, v in self.constants.items() if isinstance(v, int)}
        try:
            x, y, z = (Expression.parse(e).evaluate(whole) for e in self.extents("block"))
        except ExpressionError:
            return None
        return x, y, z


@dataclass(frozen=True)
class Attempt:
    """An edit that was evaluated, and what came of it.

    is_on_path: whether the candidate that is asked about has it. speedup: over the root; None for a failure. limiter:
    what the result is bound by; evidence: why it failed.
    """

    tag: str
    is_on_path: bool
    status: str
    reward: float
    speedup: float | None = None
    limiter: str = ""
    evidence: str = ""


@dataclass(frozen=True)
class Context:
    """What a proposer knows: the candidate, what its evaluation said, and what was tried on the path to it.

    `metrics` are those of the candidate, None before it is evaluated; `limiter` is the metrics' own, or empty; `tried`
    the tags on the path from the root and those that failed here; `history` what came of the edits on the path and of
    others of the same candidates; `log` is where a proposer that asks a model keeps what was said; `machine` what the
    candidate is timed for; `memory` what edits did to such kernels in earlier runs, those that bear most on the
    candidate first. asked: how often it was asked about the candidate before; offered: keys of the programs that its
    edits led to then.
    """

    task: Task
    candidate: Candidate
    architecture: str
    metrics: Metrics | None = None
    limiter: str = ""
    tried: tuple[str, ...] = ()
    history: tuple[Attempt, ...] = ()
    machine: Machine | None = None
    memory: tuple[Remembered, ...] = ()
    asked: int = 0
    offered: tuple[str, ...] = ()
    log: Log = field(default_factory=Loose, compare=False, repr=False)

    @property
    def language(self) -> str:
        """`cuda`, `triton` or `gluon`."""
        return self.candidate.language


class SilentError(UserError):
    """A proposer has no answer that it could give at another time: a model is away, or out of capacity."""


class Proposer(Protocol):
    """Proposes edits of a candidate; deterministic for a state of `random`."""

    @property
    def name(self) -> str:
        """Short, and the `proposer` of its edits."""

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:
        """Edits, the most promising first; empty where it has nothing to say. Raises SilentError."""


def renews(proposer: Proposer) -> bool:
    """Whether it may say something else when it is asked about a candidate again, which its attribute `renews` says."""
    return bool(getattr(proposer, "renews", False))


@runtime_checkable
class Repairer(Proposer, Protocol):
    """A proposer that mends its edits from what their evaluation said."""

    def repair(self, context: Context, edit: Edit, verdict: Verdict) -> Sequence[Edit]:
        """At most one edit of the same candidate in place of one that failed. `context`: as it was asked with."""


@runtime_checkable
class Learner(Proposer, Protocol):
    """A proposer that learns from what came of edits, in the order in which it is told; nothing else may change it."""

    def learn(self, edit: Edit, gain: float) -> None:
        """`gain`: the reward of the edit's result less that of the candidate."""

    def charge(self, proposer: str, cost: float, helped: bool = True) -> None:
        """What the calls of this proposer for a question cost in USD, and whether edits came of them."""


class Rule(Protocol):
    """A source transformation. It may be wrong, which verification finds out, but what it yields parses."""

    @property
    def name(self) -> str:
        """Kebab-case; the first part of the tags of its edits."""

    @property
    def limiters(self) -> frozenset[str]:
        """Which of LIMITERS it aims at."""

    def rewrites(self, unit: Unit) -> Iterator[Edit]:
        """Each place and parameter where its precondition holds."""


def _problem_names(task: Task) -> frozenset[str]:
    """The names by which the problem is told: those in shapes, values and distributions, and the reference's own."""
    from ir.expression import Expression

    found: set[str] = set()
    for a in task.arguments:
        values = [a.value, a.distribution.low, a.distribution.high]
        expressions = [*a.shape, *(v for v in values if isinstance(v, Expression))]
        found |= {name for e in expressions for name in e.names}
    return frozenset(found | _reference_parameters(task))


def _reference_parameters(task: Task) -> set[str]:
    import ast

    tree = ast.parse(task.reference_file.read_text(encoding="utf-8"))
    functions = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == task.reference_function)
    return {a.arg for f in functions for a in (*f.args.args, *f.args.kwonlyargs)}
