"""`optimize` and `resume`: a task to a verified faster kernel, with all evidence in one file."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ir.diagnostics import Diagnostic, ExitCode, Location, UserError, fail
from ir.task import Task, load_task
from optiml.candidate import candidate_of
from optiml.evaluate.job import Job, Limits, Sizes
from optiml.evaluate.judge import Judge
from optiml.evaluate.pool import Evaluator, Pool
from optiml.evaluate.questions import guarded, in_full, question
from optiml.memory import session as memory
from optiml.memory.features import features
from optiml.memory.session import offer_of
from optiml.propose.llm.options import ModelOptions
from optiml.propose.registry import from_anywhere, make_proposer, make_ready, watch
from optiml.search.budget import Budget
from optiml.search.driver import Driver, Searched, Told
from optiml.search.finalists import Final, choose
from optiml.search.lessons import Lessons
from optiml.search.protocol import Scored
from optiml.search.space import RecordedSpace
from optiml.search.strategies import STRATEGIES, make_strategy
from optiml.store.store import Store
from optiml.verdict import Metrics, Status, Verdict

if TYPE_CHECKING:
    from ir.machine import Machine
    from optiml.propose.protocol import Proposer

_PACKAGES = ("twill-optiml", "triton", "torch", "numpy", "tree-sitter-cuda", "cuda-bindings", "openai", "anthropic")


@dataclass(frozen=True)
class Settings:
    """What a run is: with the same settings it ends in the same winner.

    task: the task file. target: machine name or file. width: evaluations under way at once, see search.driver.
    all_sizes: time every report size during the search, else the first alone; finalists are always timed at all.
    device: `emulator`, where times are modelled, or `cuda`, where those of what passed are measured on the GPU, whose
    machine the target names. models: for proposers that ask one. memory: whether proposers hear what earlier runs
    learnt, and this run adds to it; then the winner depends on the memory as well, see optiml.memory.
    """

    task: str
    variant: str = ""
    target: str = "a100"
    proposer: str = "rules"
    strategy: str = "mcts"
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    width: int = 4
    all_sizes: bool = False
    limits: Limits = field(default_factory=Limits)
    models: ModelOptions = field(default_factory=ModelOptions)
    memory: bool = False
    device: str = "emulator"


@dataclass(frozen=True)
class Watcher:
    """What is called as a run goes on: with a line about a stage, with each step and the baseline's time, and with what
    the run does without."""

    stage: Callable[[str], None] = lambda _line: None
    step: Callable[[Told, Metrics], None] = lambda _told, _baseline: None
    warning: Callable[[Diagnostic], None] = lambda _problem: None


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    settings: Settings
    path: Path
    searched: Searched
    final: Final

    @property
    def speedup(self) -> float:
        """The baseline's time over the winner's; 1 where there is no winner."""
        winner, base = self.final.winner, self.final.baseline
        return base.time_us / winner.time_us if winner else 1.0


@dataclass(frozen=True)
class _Ground:
    """What the settings name, loaded."""

    task: Task
    machine: Machine
    settings: Settings
    proposer: Proposer
    digest: str = field(repr=False, default="")


def optimize(
    settings: Settings,
    path: Path,
    watcher: Watcher = Watcher(),
    workers: int | None = None,
    evaluator: Evaluator | None = None,
) -> Result:
    """Search from a task's own kernel, and keep all evidence in a new file at `path`.

    Raises UserError: what loading the task and making the proposer raise; run-exists; bad-baseline where the kernel
    fails its own task.
    """
    ground = _ground(_anywhere(settings))
    with _begun(ground, path, watcher) as store:
        return _run(ground, store, watcher, workers, evaluator)


def search(settings: Settings, path: Path, evaluator: Evaluator) -> Searched:
    """The search alone, without a winner that was examined again: what a comparison of strategies needs.

    It begins a run at `path`, or goes on with the one that is there. Raises UserError as `optimize` does.
    """
    ground = _ground(_anywhere(settings))
    with Store.open(path) if path.exists() else _begun(ground, path, Watcher()) as store:
        return _Run(ground, store, Watcher(), evaluator).search()[1]


def _begun(ground: _Ground, path: Path, watcher: Watcher) -> Store:
    make_ready(ground.proposer)
    facts = {
        "settings": asdict(ground.settings),
        "digest": ground.digest,
        "task": _task_facts(ground.task),
        "environment": _environment(),
        "memory": _offered(ground, watcher),
    }
    return Store.create(path, facts)


def resume(
    path: Path, watcher: Watcher = Watcher(), workers: int | None = None, evaluator: Evaluator | None = None
) -> Result:
    """Go on with a run that was stopped at any moment; of a finished one, the result.

    Raises UserError: no-run; task-changed where kernel, task file or reference are not those that the run began with.
    """
    with Store.open(path) as store:
        facts = store.facts()
        ground = _ground(settings_of(facts["settings"]))
        if ground.digest != facts["digest"]:
            place = Location(ground.settings.task)
            raise fail("task-changed", "the task is not what it was when the run began", place, "begin another run")
        return _run(ground, store, watcher, workers, evaluator)


def _anywhere(settings: Settings) -> Settings:
    """The same from any working folder."""
    is_file = settings.target.endswith(".toml")
    target = str(Path(settings.target).absolute()) if is_file else settings.target
    path = Path(settings.task).absolute()
    task = str(path / "task.toml" if path.is_dir() else path)
    return replace(settings, task=task, target=target, proposer=from_anywhere(settings.proposer))


def settings_of(document: Mapping[str, Any]) -> Settings:
    """The settings as a run's file has them."""
    parts = {"budget": Budget, "limits": Limits, "models": ModelOptions}
    return Settings(**{**document, **{name: make(**document[name]) for name, make in parts.items()}})


def _ground(settings: Settings) -> _Ground:
    from backends.machines import load_machine

    task = load_task(settings.task)
    task = task.variant(settings.variant) if settings.variant else task
    if settings.strategy not in STRATEGIES:
        raise fail("unknown-strategy", f"there is no strategy `{settings.strategy}`", remedy=", ".join(STRATEGIES))
    for name in ("search", "report"):
        if not task.sizes[name]:
            raise fail("no-sizes", f"task {task.name} has no sizes `{name}`", task.document.place("sizes"))
    machine = load_machine(settings.target)
    if settings.device == "cuda":
        from optiml.evaluate.on_gpu import require_gpu

        require_gpu(machine)
    texts = [p.read_bytes() for p in (task.document.path, task.source, task.reference_file)]
    proposer = make_proposer(settings.proposer, settings.models, settings.budget)
    return _Ground(task, machine, settings, proposer, hashlib.sha256(b"\0".join(texts)).hexdigest())


def _run(ground: _Ground, store: Store, watcher: Watcher, workers: int | None, evaluator: Evaluator | None) -> Result:
    chosen = evaluator or _evaluator(ground, workers)
    try:
        return _Run(ground, store, watcher, chosen).result()
    finally:
        if evaluator is None:
            chosen.close()


def _evaluator(ground: _Ground, workers: int | None) -> Evaluator:
    pool = Pool(workers, ground.task.language)
    if ground.settings.device != "cuda":
        return pool
    from optiml.evaluate.on_gpu import OnGpu

    return OnGpu(pool)


@dataclass(frozen=True)
class _Run:
    ground: _Ground
    store: Store
    watcher: Watcher
    evaluator: Evaluator

    def result(self) -> Result:
        """Baseline, search, finalists."""
        baseline, searched, metrics = self.search()
        final = self._final(baseline, searched, metrics)
        winner = final.winner
        self.store.state({"winner": winner.scored.key if winner else None, "ended": searched.ended})
        self._remember(searched)
        return Result(self.ground.settings, self.store.path, searched, final)

    def search(self) -> tuple[Scored, Searched, Metrics]:
        """The baseline, all that was told of the search, and the baseline's metrics."""
        settings = self.ground.settings
        self.watcher.stage("evaluating the baseline")
        baseline, metrics = self._baseline()
        judge = Judge(self.evaluator, self._guarded(metrics), settings.seed, self.store, "search")
        ground = self.ground
        watch(ground.proposer, self.watcher.stage, self.watcher.warning)
        offer = offer_of(self.store.facts().get("memory", []))
        space = RecordedSpace(
            ground.task, ground.proposer, ground.machine, settings.seed, self.store, baseline, offer, settings.budget
        )
        strategy = make_strategy(settings.strategy, baseline, space, settings.seed)

        def step(told: Told) -> None:
            self.watcher.step(told, metrics)

        driver = Driver(strategy, judge, metrics, settings.budget, self.store, settings.width, space, step)
        return baseline, driver.run(), metrics

    def _remember(self, searched: Searched) -> None:
        ground = self.ground
        if ground.settings.memory:
            task = f"{ground.digest} {ground.settings.variant}".rstrip()
            lessons = Lessons(ground.task, task, ground.machine.architecture)
            _warn(self.watcher, memory.end(lessons.of(searched.told)))

    def _final(self, baseline: Scored, searched: Searched, metrics: Metrics) -> Final:
        self.watcher.stage("examining the fastest again, with fresh inputs")
        sizes = self.ground.task.sizes["report"]
        job, seed = self._guarded(metrics, sizes), self.ground.settings.seed
        judge = Judge(self.evaluator, job, seed, self.store, "confirm")

        def whole(found: Metrics) -> Judge:
            return Judge(self.evaluator, in_full(job, self.ground.task, found), seed, self.store, "whole")

        return choose(baseline, [t.result for t in searched.told], judge, whole, self.watcher.stage)

    def _baseline(self) -> tuple[Scored, Metrics]:
        candidate = candidate_of(self.ground.task)
        judge = Judge(self.evaluator, self._job(), self.ground.settings.seed, self.store, "baseline")
        verdict = judge.verdict(candidate)
        if not verdict.is_ok or verdict.metrics is None:
            raise _bad_baseline(self.ground.task, verdict)
        return Scored(candidate, verdict, 0.0), verdict.metrics

    def _job(self) -> Job:
        settings, sizes = self.ground.settings, self.ground.task.sizes["report"]
        profile = sizes if settings.all_sizes else sizes[:1]
        return question(self.ground.task, settings.target, profile, settings.seed, settings.limits)

    def _guarded(self, baseline: Metrics, profile: Sequence[Sizes] = ()) -> Job:
        job = self._job()
        return guarded(
            replace(job, profile=tuple(profile) or job.profile), self.ground.task, self.ground.machine, baseline
        )


def _offered(ground: _Ground, watcher: Watcher) -> list[dict[str, Any]]:
    """The records that the run may use, once and for all."""
    if not ground.settings.memory:
        return []
    candidate = candidate_of(ground.task)
    question = memory.question_of(ground.digest, asdict(ground.settings))
    found = memory.begin(question, candidate.language, features(candidate, ground.task))
    _warn(watcher, found.problem)
    return found.document()


def _warn(watcher: Watcher, problem: Diagnostic | None) -> None:
    if problem is not None:
        watcher.warning(problem)


def _bad_baseline(task: Task, verdict: Verdict) -> UserError:
    message = f"the kernel does not pass its own task: {verdict.status} at {verdict.stage}\n{verdict.evidence}"
    codes = {Status.TIMEOUT: ExitCode.TIME_LIMIT}
    found = Diagnostic("bad-baseline", message, Location(str(task.source)), "see: twill run TASK")
    return UserError(found, exit_code=codes.get(verdict.status, ExitCode.USAGE))


def _task_facts(task: Task) -> dict[str, Any]:
    """What a reader of the run needs of the task file: candidates override these."""
    given = task.document.data
    return {name: given[name] for name in ("name", "entry", "constants", "launch", "compile") if name in given}


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
