"""Measure a machine by microbenchmarks and write its file.

    python -m bench.micro --machine a6000 --device cuda --name mygpu --write mygpu.toml
    python -m bench.micro --machine a6000 --device emulator            # what the model returns, beside its own numbers

With `--device cuda` the first GPU is measured, and --machine names the file that everything which is not measured is
taken from. With `--device emulator` kernels run on the emulated device and their time is the performance model's, so
that each probe should return the number that stands in the machine's file; probes of a part of a launch are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.machines import load_machine
from bench.micro.machine_file import write_machine
from bench.micro.measure import Measurement, measure
from bench.micro.probes import PROBES
from bench.micro.timer import Timer, open_timer
from ir.diagnostics import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was measured, and write it where asked; exit code 1 where a probe found nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", required=True, help="name or path of the machine file to start from")
    parser.add_argument("--device", choices=("emulator", "cuda"), default="emulator")
    parser.add_argument("--only", default="", help="parameters whose names contain one of these, with commas between")
    parser.add_argument("--name", help="name of the machine in the file that is written (default: that of --machine)")
    parser.add_argument("--write", type=Path, help="machine file to write")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)


def _run(options: argparse.Namespace) -> int:
    machine = load_machine(options.machine)
    timer = open_timer(options.device, machine)
    able = [p for p in PROBES if options.device == "cuda" or not p.is_inside]
    chosen = [p for p in able if any(word in p.parameter for word in options.only.split(","))]
    rates = {**machine.rates, **timer.facts()}
    found = measure(chosen, timer, rates, lambda line: print(line, file=sys.stderr, flush=True))
    print(report(found, machine.rates, timer))
    if options.write:
        write_machine(
            options.machine, found, timer.description, options.name or machine.name, options.write, timer.facts()
        )
    return 1 if any(m.value is None for m in found) else 0


def report(found: Sequence[Measurement], rates: Mapping[str, float], timer: Timer) -> str:
    """A table: parameter, value measured, value in the file, how far they are apart."""
    lines = [timer.description, f"{'parameter':<32}{'measured':>12}{'file':>10}{'off by':>9}  probe"]
    return "\n".join([*lines, *(_row(m, rates.get(m.parameter)) for m in found)])


def _row(found: Measurement, stated: float | None) -> str:
    if found.value is None:
        return f"{found.parameter:<32}{'-':>12}{'':>19}  {found.failure}"
    off = f"{found.value / stated - 1:+.1%}" if stated else "-"
    return f"{found.parameter:<32}{found.value:>12.5g}{stated or 0:>10.6g}{off:>9}  {found.probe}"


if __name__ == "__main__":
    sys.exit(main())
