"""The `twill` command: finds the subcommand, loads only what it needs, turns errors into exit codes."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import click

from ir.diagnostics import ExitCode, UserError

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


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are run, so that `--help` stays fast."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Subcommands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"twill.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in COMMANDS.items()])


def _version() -> str:
    try:
        return version("twill-optiml")
    except PackageNotFoundError:
        return "unknown (not installed)"


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"twill {_version()}")
        ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "TWILL"})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show it.")
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
    try:
        code = twill.main(args=arguments, prog_name="twill", standalone_mode=False)
    except UserError as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(ExitCode.SUCCESS)
    except Exception as error:  # noqa: BLE001 - the last resort: a defect here, reported with a reproducer
        from twill.cli.crash import report_crash

        _fail(report_crash(error), ExitCode.INTERNAL)
    sys.exit(code if isinstance(code, int) else ExitCode.SUCCESS)


def _fail(message: str, code: int) -> None:
    click.echo(message, err=True)
    sys.exit(code)
