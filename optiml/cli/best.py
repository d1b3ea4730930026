"""`optiml best`: the best kernel of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ir.diagnostics import ExitCode

if TYPE_CHECKING:
    from optiml.store.reading import Reading

SCHEMA_VERSION = 1


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--source", is_flag=True, help="Print the kernel's source alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(run: Path, source: bool, as_json: bool) -> int:
    """Show the best kernel of the run in the file RUN: its times, its limiter, and the edits that led to it."""
    from optiml.store.reading import read_run

    reading = read_run(run)
    if reading.best is None:
        click.echo("nothing faster than the baseline was found", err=True)
        return ExitCode.NEGATIVE
    found = document(reading, reading.best)
    if source:
        click.echo(reading.candidates[reading.best].source, nl=False)
    elif as_json:
        click.echo(json.dumps(found, indent=2, sort_keys=True))
    else:
        click.echo("\n".join(_lines(found)))
    return ExitCode.SUCCESS


def document(reading: Reading, key: str) -> dict[str, Any]:
    """A program with its evidence; `is_confirmed` says whether it was examined again with fresh inputs."""
    found = reading.comparison(key)
    assert found is not None, "what passed has metrics"
    before, metrics = found.before, found.after
    return {
        "schema_version": SCHEMA_VERSION,
        "key": key,
        "is_confirmed": found.is_confirmed,
        "kind": metrics.kind,
        "speedup": found.speedup,
        "times": [
            {"sizes": dict(new.sizes), "time_us": new.time_us, "baseline_us": old.time_us}
            for new, old in zip(metrics.times, before.times, strict=True)
        ],
        "limiter": {"before": before.limiter, "after": metrics.limiter},
        "registers": metrics.registers,
        "smem_bytes": metrics.smem_bytes,
        "occupancy": metrics.occupancy,
        "overrides": dict(reading.candidates[key].overrides),
        "edits": [
            {"tag": s.tag, "aimed_at": s.limiter, "why": s.why, "proposer": s.proposer, "key": s.key}
            for s in reading.way(key)
        ],
    }


def _lines(found: dict[str, Any]) -> list[str]:
    from optiml.cli.render import aligned
    from optiml.evaluate.job import text_of

    state = "verified again with fresh inputs" if found["is_confirmed"] else "not examined again yet"
    rows = [["size", "baseline us", "best us", "speed-up"]]
    for t in found["times"]:
        ratio = f"{t['baseline_us'] / t['time_us']:.2f}x"
        rows.append([text_of(t["sizes"]), f"{t['baseline_us']:.4g}", f"{t['time_us']:.4g}", ratio])
    return [
        f"{found['speedup']:.2f}x ({found['kind']}), {state}",
        *aligned(rows),
        "",
        f"limiter: {found['limiter']['before']} -> {found['limiter']['after']}",
        f"registers {found['registers']}, shared memory {found['smem_bytes']} bytes, "
        f"occupancy {found['occupancy']:.0%}",
        *(f"{name} = {value}" for name, value in found["overrides"].items()),
        "",
        *(f"{number}. {e['tag']} ({e['aimed_at']}): {e['why']}" for number, e in enumerate(found["edits"], 1)),
    ]
