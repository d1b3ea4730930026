"""What the commands `twill` and `optiml` share: subcommands loaded when they run, `--version`, errors as exit codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from ir.diagnostics import ExitCode, UserError

_DISTRIBUTION = "twill-optiml"


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are run, so that `--help` stays fast.

    package: where the modules are that define `command`. commands: subcommand -> module there, and its line of help.
    """

    def __init__(self, *args: Any, package: str, commands: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.package = package
        self.table = commands

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Subcommands in the order of the table."""
        return list(self.table)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in self.table:
            return None
        command: click.Command = import_module(f"{self.package}.{self.table[cmd_name][0]}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in self.table.items()])


def print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """The callback of `--version`."""
    if value:
        click.echo(f"{ctx.info_name} {_version()}")
        ctx.exit()


def run(command: click.Command, program: str, arguments: list[str] | None) -> None:
    """Run a command and exit with a code of the contract."""
    try:
        code = command.main(args=arguments, prog_name=program, standalone_mode=False)
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


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown (not installed)"


def _fail(message: str, code: int) -> None:
    click.echo(message, err=True)
    sys.exit(code)
