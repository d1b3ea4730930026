"""The `optiml` command: finds the subcommand, loads only what it needs, turns errors into exit codes."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from ir.diagnostics import ExitCode, UserError

# Subcommand -> module of optiml.cli that defines `command`, and the line that `optiml --help` shows.
COMMANDS = {
    "init": ("init", "Write a task for a kernel: what can be read off its source, and what is left to fill in."),
    "check": ("check", "Prove that a task tells right from wrong."),
    "optimize": ("optimize", "Search for a faster kernel that passes the task's checks."),
    "resume": ("resume", "Go on with a run that was stopped."),
    "show": ("show", "List the steps of a run: what was tried, and what came of it."),
    "best": ("best", "Show the best kernel of a run: its times, its limiter, the edits that led to it."),
    "diff": ("diff", "Show what changed between two programs of a run."),
    "export": ("export", "Write the best kernel as a task of its own, with its evidence."),
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
        command: click.Command = import_module(f"optiml.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in COMMANDS.items()])


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("twill-optiml")
        except PackageNotFoundError:
            found = "unknown (not installed)"
        click.echo(f"optiml {found}")
        ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "OPTIML"})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show it.")
def optiml() -> None:
    """Kernel optimization as search under verification.

    Defaults come from flags, then OPTIML_<COMMAND>_<OPTION> in the environment. Exit codes: 0 success, 1 a valid
    negative answer (nothing faster found), 2 usage, 3 time limit, 4 something is missing, 130 interrupted (the state is
    saved).
    """


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs the command and exits with a code of the contract."""
    try:
        code = optiml.main(args=arguments, prog_name="optiml", standalone_mode=False)
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
