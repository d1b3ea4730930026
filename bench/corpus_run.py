"""One kernel of the corpus, from source to verified schedules of its innermost loops, in a process of its own.

Compilers and solvers may hang or end the process; that costs one kernel, and its record says so.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from corpus_arguments import Guess, guesses, smaller
from corpus_packages import Source

from backends.compilers.triton_function import unwrap
from backends.machines import load_machine
from ir.diagnostics import Location, UserError
from ir.loop import Kernel, Loop
from ir.schedule import Schedule, Status

COMPILE_LIMIT_S = 90.0
# What lowering, checking and verifying may take beyond the solver's limit.
MARGIN_S = 30.0


@dataclass(frozen=True)
class LoopRecord:
    """One innermost loop: a schedule's status, or `refused` with the rule, or `internal`.

    subtiles: copies made of the body, where the loop as it is has values larger than the machine's memories.
    """

    loop: str
    status: str
    rule: str = ""
    message: str = ""
    ops: int = 0
    ii_cycles: int | None = None
    lower_bound_cycles: int | None = None
    time_s: float = 0.0
    subtiles: int = 1


@dataclass(frozen=True)
class KernelRecord:
    """One kernel: which guess compiled, or the compiler's reason for the first one, and its loops."""

    package: str
    kernel: str
    machine: str
    limit_s: float
    guess: str = ""
    rule: str = ""
    message: str = ""
    compile_s: float = 0.0
    loops: tuple[LoopRecord, ...] = field(default=())

    @property
    def compiled(self) -> bool:
        """Whether there is a kernel to take loops from."""
        return not self.rule

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> KernelRecord:
        """The record that `as_json` gave."""
        return KernelRecord(**{**data, "loops": tuple(LoopRecord(**loop) for loop in data["loops"])})


def measure(source: Source, machine: str, limit_s: float) -> KernelRecord:
    """Compile, lower, solve and verify in a child process."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, source, machine, limit_s))
    process.start()
    sender.close()
    try:
        return _collect(receiver, process, KernelRecord(source.package, source.name, machine, limit_s))
    finally:
        process.kill()
        process.join()


def _collect(receiver: Connection, process: Any, record: KernelRecord) -> KernelRecord:
    head = _receive(receiver, COMPILE_LIMIT_S)
    if head is None:
        return replace(record, **_lost(process, COMPILE_LIMIT_S))
    loops: list[LoopRecord] = []
    # A loop that is plainly infeasible is scheduled again in sub-tiles.
    limit_s = 2 * record.limit_s + MARGIN_S
    while (message := _receive(receiver, limit_s)) != {}:
        if message is None:
            lost = _lost(process, limit_s)
            loops.append(LoopRecord("?", "internal", lost["rule"], lost["message"]))
            break
        loops.append(LoopRecord(**message))
    return replace(record, **head, loops=tuple(loops))


def _receive(receiver: Connection, limit_s: float) -> dict[str, Any] | None:
    """The next message, the empty one at the end; None where the child is gone or says nothing for too long."""
    try:
        return receiver.recv() if receiver.poll(limit_s) else None
    except EOFError:
        return None


def _lost(process: Any, limit_s: float) -> dict[str, Any]:
    process.join(1.0)
    if process.is_alive():
        return {"rule": "no-answer", "message": f"nothing for {limit_s:.0f} s"}
    return {"rule": "process-ended", "message": f"the process ended with code {process.exitcode}"}


# In the child


def _child(sender: Connection, source: Source, machine: str, limit_s: float) -> None:
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - what compilers print to stderr is in the diagnostics
        os.dup2(nowhere.fileno(), 2)
        os.dup2(nowhere.fileno(), 1)
    started = time.perf_counter()
    kernel, head = _compile(source, machine)
    sender.send({**head, "compile_s": round(time.perf_counter() - started, 3)})
    for record in _schedules(kernel, machine, limit_s) if kernel else ():
        sender.send(asdict(record))
    sender.send({})


def _compile(source: Source, machine: str) -> tuple[Kernel | None, dict[str, str]]:
    first: UserError | None = None
    for guess in _attempts(source):
        try:
            kernel = _load(source, guess, machine)
        except UserError as error:
            first = first or error
            continue
        small = None if source.task or _fits(kernel, machine) else _smaller(source, smaller(guess), machine)
        return small or (kernel, {"guess": guess.name})
    assert first is not None
    diagnostic = first.diagnostics[0]
    place = f"{diagnostic.location}: " if diagnostic.location else ""
    return None, {"rule": diagnostic.rule, "message": f"{place}{diagnostic.message}"}


def _smaller(source: Source, guess: Guess, machine: str) -> tuple[Kernel, dict[str, str]] | None:
    """The kernel with smaller tiles than were guessed before, where that helps."""
    try:
        kernel = _load(source, guess, machine)
    except UserError:
        return None
    return (kernel, {"guess": guess.name}) if _fits(kernel, machine) else None


def _fits(kernel: Kernel, machine: str) -> bool:
    """False where a value of a loop is larger than the machine's registers or memory."""
    from twill.pipeline import Options, lower_loop, make_problem
    from twill.problem.check import check, is_negative_answer

    for loop in (loop for loop in kernel.loops() if loop.is_innermost):
        try:
            problem = make_problem(lower_loop(kernel, loop, load_machine(machine), 1), Options())
        except UserError:
            continue
        if any(map(is_negative_answer, check(problem))):
            return False
    return True


def _attempts(source: Source) -> Iterator[Guess]:
    kernel = unwrap(source.kernel) if source.task is None else None
    if kernel is None:
        yield Guess("task", {}, {})
    else:
        yield from guesses(kernel)


def _load(source: Source, guess: Guess, machine: str) -> Kernel:
    from backends.compilers.python_source import import_file
    from twill.frontend.options import FrontendOptions
    from twill.frontend.triton import find_kernel, load_function, task_choice

    architecture = load_machine(machine).architecture
    options = FrontendOptions(arguments=guess.arguments, constants=guess.constants, architecture=architecture)
    task = source.task
    if task is None:
        return load_function(source.kernel, options)
    kernel = find_kernel(import_file(task.source), task.entry, Location(str(task.source)))
    return load_function(kernel, options, task_choice(task))


def _schedules(kernel: Kernel, machine: str, limit_s: float) -> Iterator[LoopRecord]:
    for loop in kernel.loops():
        if loop.is_innermost:
            yield _schedule(kernel, loop, machine, limit_s)


def _schedule(kernel: Kernel, loop: Loop, machine: str, limit_s: float) -> LoopRecord:
    import twill
    from twill.pipeline import InternalError

    started = time.perf_counter()
    try:
        found = twill.schedule(kernel, machine, loop=loop.name, time_limit_s=limit_s)
        if found.status is Status.INFEASIBLE:
            found = _in_subtiles(kernel, machine, loop, limit_s) or found
    except UserError as error:
        diagnostic = error.diagnostics[0]
        record = LoopRecord(loop.name, "refused", diagnostic.rule, f"{diagnostic.location}: {diagnostic.message}")
    except InternalError as error:
        record = LoopRecord(loop.name, "internal", "verifier-rejects", str(error))
    except Exception as error:  # noqa: BLE001 - a defect found is a row of the report, and the run goes on
        record = LoopRecord(loop.name, "internal", type(error).__name__, f"{loop.location}: {error}")
    else:
        rule = "+".join(found.conflict.families) if found.conflict else ""
        record = LoopRecord(
            loop.name, str(found.status), rule, found.message, len(found.graph.ops), found.ii_cycles,
            found.lower_bound_cycles, subtiles=found.graph.subtiles,
        )  # fmt: skip
    return LoopRecord(**{**asdict(record), "time_s": round(time.perf_counter() - started, 3)})


def _in_subtiles(kernel: Kernel, machine: str, loop: Loop, limit_s: float) -> Schedule | None:
    """The best schedule of a loop split into sub-tiles, None where no split is legal or none helps."""
    import twill

    try:
        found = twill.schedule(kernel, machine, loop=loop.name, subtile="auto", time_limit_s=limit_s)
    except UserError:
        return None
    return found if found.found else None
