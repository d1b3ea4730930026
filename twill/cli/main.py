"""The `twill` command: finds the subcommand, loads only what it needs, turns errors into exit codes."""

from __future__ import annotations

import click

from twill.cli.entry import LazyGroup, print_version, run

# Subcommand -> module of twill.cli that defines `command`, and the line that `twill --help` shows.
COMMANDS = {
    "schedule": ("schedule", "Schedule a kernel's loop: smallest II, proven, explained."),
    "loops": ("loops", "List the loops of a kernel as a tree."),
    "capture": ("capture", "Run a script and record its kernel launches, with no GPU."),
    "run": ("run", "Run a task or a Triton script on a device and check its results."),
    "profile": ("profile", "Model the time of a task's kernel on a GPU that is not here, and say what limits it."),
    "machines": ("machines", "List the machines, or show one with its sources."),
    "verify": ("verify", "Check a saved schedule with the independent verifier."),
    "schema": ("schema", "Print the JSON Schema of graphs and schedules."),
}


@click.command(
    cls=LazyGroup,
    package="twill.cli",
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "TWILL"},
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=print_version, help="Show it.")
@click.pass_context
def twill(ctx: click.Context) -> None:
    """Optimal software pipelining and warp specialization for GPU kernels, with proofs.

    Defaults come from flags, then TWILL_<COMMAND>_<OPTION> in the environment, then twill.toml or [tool.twill] in
    pyproject.toml. Exit codes: 0 success, 1 a valid negative answer, 2 usage, 3 time limit, 4 something is missing.
    """
    from twill.cli.config import read_defaults

    ctx.default_map = read_defaults()


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs the command and exits with a code of the contract."""
    run(twill, "twill", arguments)
