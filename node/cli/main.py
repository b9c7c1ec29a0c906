"""The command `pratique`: gathers the groups of all areas and turns errors into exit codes.

Areas of the node are modules beside this one with `register(app)`; modules without it are what
several of them share. Other packages contribute commands by the entry-point group
`pratique.commands`, so the node never knows the test network; they are loaded only when asked for,
because the node itself stays lean.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import entry_points, version
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

import node.cli
from node.cli import output
from schemas.errors import MalformedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

_GROUP = "pratique.commands"
_NAME = "pratique"


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application with every command that `arguments` may call."""
    app = typer.Typer(
        name=_NAME,
        help="Signed trade documents between ports, customs, carriers and banks.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for module in sorted(found.name for found in iter_modules(node.cli.__path__)):
        register = getattr(import_module(f"node.cli.{module}"), "register", None)
        if register is not None:
            register(app)
    _add_contributed(app, arguments)
    return app


def main() -> None:
    """Entry point; ends the process with one of the fixed exit codes."""
    arguments = sys.argv[1:]
    try:
        sys.exit(_run(arguments))
    except TradeError as error:
        output.report(error, as_json="--json" in arguments)
        sys.exit(output.exit_code(error))


def _run(arguments: Sequence[str]) -> int:
    """The exit code of the command; whatever goes wrong is a TradeError."""
    try:
        ended = build(arguments)(arguments, prog_name=_NAME, standalone_mode=False)
    except TyperException as error:
        return _wrong_use(error)
    except BrokenPipeError:
        # Whoever read the output has seen enough (`pratique documents | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return output.ExitCode.OK
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise MalformedError("file_unusable", place + (error.strerror or str(error))) from None
    return ended if isinstance(ended, int) else output.ExitCode.OK


def _wrong_use(error: TyperException) -> int:
    """What cannot be understood is said in one sentence; a bare group has shown its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return output.ExitCode.USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else _NAME
    raise MalformedError("wrong_use", error.format_message(), next=f"{path} --help")


def _told_version(wanted: bool) -> None:
    if wanted:
        output.line(f"{_NAME} {version(_NAME)}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_told_version, is_eager=True),
    ] = False,
) -> None:
    """Signed trade documents between ports, customs, carriers and banks."""


def _add_contributed(app: typer.Typer, arguments: Sequence[str]) -> None:
    first = arguments[0] if arguments else "--help"
    for point in entry_points(group=_GROUP):
        if first in {point.name, "--help"}:
            try:
                command = point.load()
            except ModuleNotFoundError:
                if first == point.name:
                    raise
                continue
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=point.name)
            else:
                app.command(point.name)(command)


if __name__ == "__main__":
    main()
