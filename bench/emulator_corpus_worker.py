"""Runs uses of the corpus, each in a process of its own: on the emulated device, or in Triton's interpreter.

    python bench/emulator_corpus_worker.py interpreter|device TARGET CHECKS FOLDER LIMIT_S

Names of uses are read from stdin. For each, FOLDER/<use>.<role>.jsonl gets one line a launch and one at the end, and
stdout one line with how the process ended. The interpreter leaves the tensors before and after each launch in
FOLDER/<use>.<launch>.pt. The device compares its own with them, goes on from them after a launch that failed, and
launches a kernel that differs once more from exactly the tensors that the interpreter had.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROLE = sys.argv[1] if __name__ == "__main__" else "device"
if ROLE == "interpreter":
    os.environ["TRITON_INTERPRET"] = "1"
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import torch  # noqa: E402
from emulator_corpus_arguments import tensors  # noqa: E402
from emulator_corpus_compare import difference  # noqa: E402
from emulator_corpus_interpreter import compute_libdevice, make_scalars_tensors, multiply_bfloat16  # noqa: E402
from emulator_corpus_uses import USES, Use, run_reference, run_use  # noqa: E402

from backends.compilers.architecture import capability_of  # noqa: E402
from backends.compilers.pretended_gpu import pretended_gpu  # noqa: E402
from backends.run.devices import DeviceOptions, open_device  # noqa: E402
from backends.run.interception import LaunchError, LaunchRecord, launches_on  # noqa: E402
from backends.run.storages import tensors_in  # noqa: E402
from ir.diagnostics import UserError  # noqa: E402

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Options:
    """How a worker runs: architecture, names of checks or `none`, folder of results, seconds for each use."""

    target: str
    checks: str
    folder: Path
    limit_s: float


@dataclass
class Journal:
    """The launches of one use so far, each a line of a file as soon as it is known."""

    path: Path
    launches: int = 0
    seen: list[LaunchRecord] = field(default_factory=list)

    def write(self, **line: Any) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def state_of(arguments: Any) -> State:
    """Whole storages of the tensors among arguments by name, as flat tensors of the tensor's type."""
    found = ((name, tensor) for name, value in arguments.items() for tensor in tensors_in(value))
    return {name: _storage(tensor).clone() for name, tensor in found}


def _storage(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(0, dtype=tensor.dtype).set_(tensor.detach().untyped_storage())


def _put(arguments: Any, state: State) -> None:
    for name, value in arguments.items():
        for tensor in tensors_in(value):
            if name in state and state[name].numel() == _storage(tensor).numel():
                _storage(tensor).copy_(state[name])


def _name(kernel: Any) -> str:
    return f"{kernel.fn.__module__}:{kernel.fn.__name__}"


def _bound(kernel: Any, args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(kernel.arg_names, args, strict=False)), **options}


# In Triton's interpreter


def _interpreted(original: Callable[..., Any], journal: Journal, stem: str) -> Callable[..., Any]:
    def run(kernel: Any, *args: Any, grid: Any, warmup: bool = False, **options: Any) -> Any:
        if warmup:
            return None
        arguments = _bound(kernel, args, options)
        before = state_of(arguments)
        started = time.perf_counter()
        result = original(kernel, *args, grid=grid, warmup=False, **options)
        spent_s = time.perf_counter() - started
        saved = {"kernel": _name(kernel), "before": before, "after": state_of(arguments)}
        torch.save(saved, f"{stem}.{journal.launches}.pt")
        journal.write(kernel=_name(kernel), run_s=round(spent_s, 3))
        journal.launches += 1
        return result

    return run


# On the device


def _emulated(original: Callable[..., Any], journal: Journal, stem: str) -> Callable[..., Any]:
    def run(kernel: Any, *args: Any, grid: Any, **options: Any) -> Any:
        if options.get("warmup"):
            return original(kernel, *args, grid=grid, **options)
        arguments = _bound(kernel, args, options)
        path = Path(f"{stem}.{journal.launches}.pt")
        journal.launches += 1
        wanted = torch.load(path) if path.is_file() else None
        if wanted and wanted["kernel"] != _name(kernel):
            wanted = None
        line: dict[str, Any] = {"kernel": _name(kernel)}
        if wanted and (drift := difference(state_of(arguments), wanted["before"])).is_wrong:
            line["drift"] = drift.text
            _put(arguments, wanted["before"])
        journal.write(**line, status="started")

        def attempt() -> dict[str, Any]:
            try:
                original(kernel, *args, grid=grid, **options)
            except LaunchError as error:
                return _failure(error.record)
            return _outcome(journal.seen[-1], arguments, wanted)

        found = attempt()
        if found["status"] == "wrong" and "drift" not in line:
            line["drift"] = f"first, from what earlier launches left: {found['reason']}"
            _put(arguments, wanted["before"])
            found = attempt()
        line |= found
        journal.write(**line)
        if line["status"] not in ("agrees", "ran"):
            if wanted is None:
                raise RuntimeError(f"{_name(kernel)} failed, and the interpreter has no results to go on from")
            _put(arguments, wanted["after"])
        return None

    return run


def _failure(record: LaunchRecord) -> dict[str, Any]:
    told = record.fault or record.diagnostics[0]
    location = getattr(told, "location", None)
    reason = f"{told.rule}: {location}: {told.message}"
    return {"status": str(record.status), "rule": told.rule, "reason": reason, **_times(record)}


def _times(record: LaunchRecord) -> dict[str, Any]:
    timing = record.timing
    return {"compile_s": round(timing.compile_s, 3), "run_s": round(timing.run_s, 3)}


def _outcome(record: LaunchRecord, arguments: Any, wanted: Any) -> dict[str, Any]:
    line = _times(record)
    finding = next((f for f in record.findings if f.is_error), None)
    if finding is not None:
        return {**line, "status": "findings", "rule": finding.rule, "reason": finding.message}
    if wanted is None:
        return {**line, "status": "ran", "reason": "the interpreter has no results"}
    found = difference(state_of(arguments), wanted["after"])
    if found.is_wrong:
        return {**line, "status": "wrong", "rule": "wrong-result", "reason": found.text, "error": found.error}
    return {**line, "status": "agrees", "error": found.error}


# One use


def _child(use: Use, options: Options) -> None:
    stem = str(options.folder / use.file)
    path = Path(f"{stem}.{ROLE}.jsonl")
    path.unlink(missing_ok=True)
    journal = Journal(path)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - compilers and packages print there
        os.dup2(nowhere.fileno(), 2)
        os.dup2(nowhere.fileno(), 1)
    try:
        with _patched(journal, stem, options):
            results = run_use(use)
        _finish(use, journal, stem, results)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - another project's code may raise anything: a row of the report
        frame = traceback.extract_tb(error.__traceback__)[-1]
        journal.write(end=f"{type(error).__name__}: {str(error)[:300]} ({Path(frame.filename).name}:{frame.lineno})")


def _finish(use: Use, journal: Journal, stem: str, results: Any) -> None:
    line: dict[str, Any] = {"end": ""}
    found = [tensor.detach() for tensor in tensors(results)]
    named = {str(i): tensor for i, tensor in enumerate(found)}
    if ROLE == "interpreter":
        torch.save(named, f"{stem}.results.pt")
    elif Path(f"{stem}.results.pt").is_file():
        line["against_interpreter"] = difference(named, torch.load(f"{stem}.results.pt")).text
    if use.reference:
        wanted = {str(i): t.detach() for i, t in enumerate(run_reference(use)) if i < len(found)}
        line["against_reference"] = difference({name: named[name] for name in wanted}, wanted, 4).text
    journal.write(**line)


@contextlib.contextmanager
def _patched(journal: Journal, stem: str, options: Options) -> Iterator[None]:
    if ROLE == "interpreter":
        from triton.runtime.interpreter import InterpretedFunction as Function

        wrapper = _interpreted
    else:
        from triton.runtime.jit import JITFunction as Function

        wrapper = _emulated
    chosen = DeviceOptions(tuple(options.checks.split(",")), time_limit_s=options.limit_s)
    with launches_on(open_device("emulator", chosen), options.target, seen=journal.seen.append):
        saved = Function.run
        Function.run = wrapper(saved, journal, stem)
        try:
            yield
        finally:
            Function.run = saved


def _serve(options: Options) -> None:
    context = multiprocessing.get_context("fork")
    for name in map(str.strip, sys.stdin):
        process = context.Process(target=_child, args=(USES[name], options))
        process.start()
        process.join(options.limit_s)
        timed_out = process.is_alive()
        if timed_out:
            process.kill()
            process.join()
        ended = "time-limit" if timed_out else f"process ended with code {process.exitcode}" if process.exitcode else ""
        print(json.dumps({"use": name, "ended": ended}), flush=True)


def main(argv: list[str]) -> int:
    """Import the packages as on a GPU of the target, then run what is asked for."""
    target, checks, folder, limit_s = argv
    options = Options(target, checks, Path(folder), float(limit_s))
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    if ROLE == "interpreter":
        make_scalars_tensors()
        compute_libdevice()
        multiply_bfloat16()
    with pretended_gpu(capability_of(target), lambda *_: None, computes=True):
        for use in USES.values():
            with contextlib.suppress(ImportError, AttributeError):  # told again, and recorded, where the use runs
                use.function()
    _serve(options)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[2:]))
    except UserError as error:
        raise SystemExit(str(error)) from error
