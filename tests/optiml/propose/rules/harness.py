"""Apply chains of rules to tasks and run the results on the emulated device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.run.devices import DeviceOptions
from backends.run.outcome import Outcome, Status
from backends.run.task import Case, run_case
from ir.task import Task, load_task
from optiml.candidate import Candidate, as_task, candidate_of
from optiml.edit import Edit
from optiml.propose.protocol import Unit
from optiml.propose.rules import rules_for

ROOT = Path(__file__).parents[4]
FOLDERS = (ROOT / "kernels", Path(__file__).parents[2] / "kernels")
TIME_LIMIT_S = 200.0


@dataclass(frozen=True)
class Chain:
    """A task (`sgemm`, `sgemm/naive`, `sgemm:variant`) and tags, or beginnings of tags, to apply in order."""

    task: str
    tags: tuple[str, ...]
    target: str = "sm_80"


def load(name: str) -> Task:
    """A task of kernels/ or of the tests' own."""
    path, _, variant = name.partition(":")
    folder, _, file = path.partition("/")
    root = next(f for f in FOLDERS if (f / folder).is_dir())
    task = load_task(root / folder / f"{file or 'task'}.toml")
    return task.variant(variant) if variant else task


def edits(candidate: Candidate, task: Task) -> list[Edit]:
    """What all rules of the language offer."""
    unit = Unit(candidate, task)
    return [edit for rule in rules_for(candidate.language) for edit in rule.rewrites(unit)]


def applied(chain: Chain) -> tuple[Task, list[Candidate]]:
    """The candidates along a chain, the task's own first; the last tag may match several edits, of which all count."""
    task = load(chain.task)
    here = candidate_of(task)
    for tag in chain.tags[:-1]:
        here = matching(here, task, tag)[0]
    return task, matching(here, task, chain.tags[-1])


def matching(candidate: Candidate, task: Task, tag: str) -> list[Candidate]:
    """The results of the edits whose tags begin like that."""
    offered = edits(candidate, task)
    found = [e.result for e in offered if e.tag.startswith(tag)]
    assert found, f"no `{tag}` among {[e.tag for e in offered]}"
    return found


def verified(candidate: Candidate, task: Task, folder: Path, target: str = "sm_80") -> list[Outcome]:
    """Outcomes at all verify sizes."""
    folder.mkdir(exist_ok=True, parents=True)
    built = as_task(candidate, task, folder)
    options = DeviceOptions(time_limit_s=TIME_LIMIT_S)
    return [run_case(Case(built, target, sizes), "emulator", options) for sizes in task.sizes["verify"]]


def complaint(outcomes: list[Outcome]) -> str:
    """What is wrong with the first bad one; empty if all passed."""
    bad = next((o for o in outcomes if o.status != Status.PASSED), None)
    if bad is None:
        return ""
    told = [d.render() for d in bad.diagnostics] + [str(f) for f in bad.findings] + [str(bad.fault or "")]
    return f"{dict(bad.sizes)} {bad.status}: {bad.comparisons} " + "\n".join(told)
