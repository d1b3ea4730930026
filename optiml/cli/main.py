"""The `optiml` command: finds the subcommand, loads only what it needs, turns errors into exit codes."""

from __future__ import annotations

import click

from twill.cli.entry import LazyGroup, print_version, run

# Subcommand -> module of optiml.cli that defines `command`, and the line that `optiml --help` shows.
COMMANDS = {
    "import": ("import_", "Make a task of a problem of another collection: kernelbench:FILE."),
    "init": ("init", "Write a task for a kernel: what can be read off its source, and what is left to fill in."),
    "check": ("check", "Prove that a task tells right from wrong."),
    "optimize": ("optimize", "Search for a faster kernel that passes the task's checks."),
    "resume": ("resume", "Go on with a run that was stopped."),
    "show": ("show", "List the steps of a run: what was tried, and what came of it."),
    "best": ("best", "Show the best kernel of a run: its times, its limiter, the edits that led to it."),
    "diff": ("diff", "Show what changed between two programs of a run."),
    "report": ("report", "Write a run as one HTML page: tree, curve, diffs, what the profiler said."),
    "memory": ("memory", "What earlier runs learnt: list, export, clear."),
    "export": ("export", "Write the best kernel as a task of its own, with its evidence."),
}


@click.command(
    cls=LazyGroup,
    package="optiml.cli",
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "OPTIML"},
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=print_version, help="Show it.")
def optiml() -> None:
    """Kernel optimization as search under verification.

    Defaults come from flags, then OPTIML_<COMMAND>_<OPTION> in the environment. Exit codes: 0 success, 1 a valid
    negative answer (nothing faster found), 2 usage, 3 time limit, 4 something is missing, 130 interrupted (the state is
    saved).
    """


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs the command and exits with a code of the contract."""
    run(optiml, "optiml", arguments)
