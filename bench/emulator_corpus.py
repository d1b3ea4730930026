"""Run the kernels of Liger Kernel and flash-linear-attention on the emulated device, beside Triton's interpreter.

    python bench/emulator_corpus.py [--target sm_90] [--check race,memory] [--only NAME] [--limit-s 60] [--json]
                                    [--folder FOLDER] [--resume]

The packages' own functions are called with small arguments, forward and backward, each in a process of its own: once
with `TRITON_INTERPRET=1` and once on the device, with the same seeds. All tensors of each launch are compared, then the
function's results and gradients, also with the package's reference in torch where it has one. A kernel counts as run
if no launch of it was refused, at fault, out of time or (with --check) followed by findings, and as agreeing if no
compared launch differs. Exit code 1 where a kernel is wrong or at fault, 4 where a package is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from corpus_packages import PACKAGES, sources  # noqa: E402
from emulator_corpus_uses import USES, Use  # noqa: E402

from ir.diagnostics import UserError  # noqa: E402

SCHEMA_VERSION = 1
WORKER = Path(__file__).with_name("emulator_corpus_worker.py")
ROLES = ("interpreter", "device")
# How a kernel ended, worst first: its worst launch decides.
STATUSES = (
    "crash", "fault", "wrong", "findings", "unsupported", "failed-compile", "timeout", "budget-spent", "ran", "agrees",
)  # fmt: skip
RAN = ("wrong", "ran", "agrees")
COLUMNS = ("known", "seen", "run", "agree", "wrong", "refused", "other", "run %")
BAD = ("crash", "fault", "wrong", "findings")
# Imports, and the end of a process that was killed.
_SLACK_S = 300.0


@dataclass(frozen=True)
class LaunchRow:
    """One launch of a use; `error` is the largest difference in parts of the scale."""

    use: str
    kernel: str
    status: str
    rule: str = ""
    reason: str = ""
    error: float = 0.0
    drift: str = ""
    compile_s: float = 0.0
    run_s: float = 0.0


@dataclass(frozen=True)
class UseRow:
    """One use: launches on the device, how either process ended ("" if well), and differences of the results."""

    use: str
    launches: tuple[LaunchRow, ...]
    device_end: str
    interpreter_end: str
    against_interpreter: str | None = None
    against_reference: str | None = None

    @property
    def status(self) -> str:
        """`agrees`, or in a word what is wrong with the use as a whole."""
        if self.device_end:
            return "incomplete"
        differs = self.against_interpreter or self.against_reference
        return "wrong" if differs else "ran" if self.against_interpreter is None else "agrees"


class Server:
    """A worker, which runs one use after another."""

    def __init__(self, role: str, target: str, checks: str, folder: Path, limit_s: float) -> None:
        self.role, self.folder, self.limit_s = role, folder, limit_s
        command = [sys.executable, "-W", "ignore", str(WORKER), role, target, checks, str(folder), str(limit_s)]
        self.errors = folder / f"{role}.stderr"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def run(self, use: Use) -> str:
        """How the process of the use ended, "" if well. Raises RuntimeError where the worker itself ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{use.name}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], self.limit_s + _SLACK_S)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(f"the {self.role}'s worker ended at {use.name}, see {self.errors}")
        return str(json.loads(line)["ended"])

    def close(self) -> None:
        """End the worker."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def row_of(use: Use, folder: Path, ended: Mapping[str, str]) -> UseRow:
    """What the two processes of a use have left in the folder."""
    lines = {role: list(_lines(folder / f"{use.file}.{role}.jsonl")) for role in ROLES}
    last = {role: next((line for line in found if "end" in line), {}) for role, found in lines.items()}
    ends = {role: ended[role] or str(last[role].get("end", "no-answer")) for role in ROLES}
    return UseRow(
        use.name,
        tuple(_launches(use, lines["device"], ended["device"])),
        ends["device"],
        ends["interpreter"],
        last["device"].get("against_interpreter"),
        last["device"].get("against_reference"),
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def _launches(use: Use, lines: Sequence[dict[str, Any]], ended: str) -> Iterator[LaunchRow]:
    launches = [line for line in lines if "kernel" in line]
    yield from (LaunchRow(use.name, **line) for line in launches if line["status"] != "started")
    if launches and launches[-1]["status"] == "started":
        status = "timeout" if ended == "time-limit" else "crash"
        yield LaunchRow(use.name, launches[-1]["kernel"], status, ended or "no-answer", ended)


@dataclass(frozen=True)
class KernelRow:
    """All launches of one kernel; rule and reason are those of its worst launch."""

    kernel: str
    status: str
    launches: int
    rule: str = ""
    reason: str = ""
    use: str = ""
    error: float = 0.0

    @property
    def package(self) -> str:
        """The import package."""
        return self.kernel.partition(".")[0]


def kernels_of(rows: Iterable[UseRow]) -> list[KernelRow]:
    """Kernels by name."""
    found: dict[str, list[LaunchRow]] = {}
    for launch in (launch for row in rows for launch in row.launches):
        found.setdefault(launch.kernel, []).append(launch)
    return [_kernel(name, found[name]) for name in sorted(found)]


def _kernel(name: str, launches: Sequence[LaunchRow]) -> KernelRow:
    # One launch with results to compare with is enough to be compared.
    compared = any(launch.status == "agrees" for launch in launches)
    counted = [launch for launch in launches if not (compared and launch.status == "ran")]
    worst = min(counted, key=lambda launch: STATUSES.index(launch.status))
    error = max((launch.error for launch in counted if launch.status == "agrees"), default=0.0)
    return KernelRow(name, worst.status, len(launches), worst.rule, worst.reason, worst.use, error)


@dataclass(frozen=True)
class Summary:
    """Kernels of a package: `known` by reading it, `seen` in a launch, and of these by status."""

    package: str
    known: int
    seen: int
    statuses: Mapping[str, int]

    @property
    def ran(self) -> int:
        """Kernels that ran to their end every time."""
        return sum(self.statuses[status] for status in RAN)

    @property
    def ran_fraction(self) -> float:
        """Of those seen, 0 to 1."""
        return self.ran / max(1, self.seen)


def summarize(package: str, kernels: Sequence[KernelRow], known: int) -> Summary:
    """Counts of one package."""
    own = [kernel for kernel in kernels if kernel.package == package]
    counts = Counter(kernel.status for kernel in own)
    return Summary(package, known, len(own), {status: counts[status] for status in STATUSES})


def table(summaries: Sequence[Summary], kernels: Sequence[KernelRow], rows: Sequence[UseRow]) -> str:
    """Counts of each package, then what did not run or agree, then uses that differ or did not end."""
    lines = [f"{'package':<14}" + "".join(f"{name:>9}" for name in COLUMNS)]
    for s in summaries:
        refused = s.statuses["unsupported"]
        counts = (s.known, s.seen, s.ran, s.statuses["agrees"], s.statuses["wrong"], refused, s.seen - s.ran - refused)
        lines.append(f"{s.package:<14}{''.join(f'{count:>9}' for count in counts)}{s.ran_fraction:>9.1%}")
    lines += [f"\nuses: {dict(Counter(row.status for row in rows))} of {len(rows)}", "\nkernels that did not agree:"]
    for k in sorted((k for k in kernels if k.status != "agrees"), key=lambda k: (STATUSES.index(k.status), k.rule)):
        lines.append(f"  {k.status:<12} {k.kernel}  in {k.use}\n      {k.reason[:400]}")
    lines.append("\nuses that did not agree:")
    lines += [f"  {row.status:<12} {row.use}{_why(row)}" for row in rows if row.status != "agrees"]
    return "\n".join(lines)


def _why(row: UseRow) -> str:
    told = {
        "device": row.device_end,
        "interpreter": row.interpreter_end,
        "results beside the interpreter's": row.against_interpreter,
        "results beside the reference's": row.against_reference,
    }
    return "".join(f"\n      {what}: {text}" for what, text in told.items() if text)


def run(uses: Sequence[Use], options: argparse.Namespace, folder: Path) -> list[UseRow]:
    """Each use in the interpreter, then on the device."""
    path = folder / "rows.jsonl"
    done = {name: ended for line in _lines(path) for name, ended in line.items()} if options.resume else {}
    servers = {role: Server(role, options.target, options.check, folder, options.limit_s) for role in ROLES}
    for number, use in enumerate(uses, 1):
        if use.name not in done:
            done[use.name] = {role: servers[role].run(use) for role in ROLES}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({use.name: done[use.name]}) + "\n")
            for saved in folder.glob(f"{use.file}.*.pt"):
                saved.unlink()
        row = row_of(use, folder, done[use.name])
        ended = Counter(launch.status for launch in row.launches)
        print(f"{number}/{len(uses)} {use.name}: {row.status} {dict(ended)}", file=sys.stderr, flush=True)
    for server in servers.values():
        server.close()
    return [row_of(use, folder, done[use.name]) for use in uses]


def known_kernels(package: str) -> int:
    """Kernels that a package has, launched or not. Raises UserError where it is missing."""
    distribution = next(name for name, root in PACKAGES.items() if root == package)
    return len(sources(distribution)[0])


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="sm_90", help="architecture that Triton compiles for")
    parser.add_argument("--check", default="none", help="checkers of the device, such as race,memory")
    parser.add_argument("--only", default="", help="part of the names of the uses to run")
    parser.add_argument("--limit-s", type=float, default=60.0, help="seconds for one use, in either process")
    parser.add_argument("--folder", help="where the workers leave what they find; default: one that is removed")
    parser.add_argument("--resume", action="store_true", help="do not run again what the folder has")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(argv)
    os.environ.pop("TRITON_INTERPRET", None)
    uses = [use for name, use in USES.items() if options.only in name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return _report(run(uses, options, folder), options)
        except UserError as error:
            print(error, file=sys.stderr)
            return int(error.exit_code)


def _report(rows: Sequence[UseRow], options: argparse.Namespace) -> int:
    kernels = kernels_of(rows)
    packages = [root for root in PACKAGES.values() if any(row.use.startswith(f"{root}.") for row in rows)]
    summaries = [summarize(package, kernels, known_kernels(package)) for package in packages]
    if options.json:
        told = {
            "schema_version": SCHEMA_VERSION,
            "target": options.target,
            "checks": options.check,
            "packages": [{**asdict(s), "ran_fraction": round(s.ran_fraction, 4)} for s in summaries],
            "kernels": [asdict(kernel) for kernel in kernels],
            "uses": [{**asdict(row), "status": row.status} for row in rows],
        }
        print(json.dumps(told, indent=1))
    else:
        print(table(summaries, kernels, rows))
    return int(any(kernel.status in BAD for kernel in kernels) or any(row.status == "wrong" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
