"""`twill verify`: check a saved schedule with the verifier that shares no code with the solvers."""

from __future__ import annotations

from pathlib import Path

import click

from ir.diagnostics import ExitCode
from ir.serialize import SCHEMA_VERSION, read_schedule, to_text


@click.command()
@click.argument("schedule", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(schedule: Path, as_json: bool) -> int:
    """Check SCHEDULE (a JSON document of `twill schedule --json`) cycle by cycle; exit code 1 if a rule is broken."""
    from twill.problem.verify import verify

    loaded = read_schedule(schedule)
    findings = verify(loaded)
    if as_json:
        violations = [{"rule": f.rule, "message": f.message} for f in findings]
        document = {"schema_version": SCHEMA_VERSION, "valid": not findings, "violations": violations}
        click.echo(to_text(document), nl=False)
    elif findings:
        click.echo("\n".join(finding.render() for finding in findings))
    else:
        click.echo(f"valid: {loaded.status}, II {loaded.ii_cycles} cycles, {len(loaded.placements)} ops")
    return ExitCode.NEGATIVE if findings else ExitCode.SUCCESS
