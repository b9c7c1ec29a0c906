"""`pratique doctor`: looks for what will go wrong later, and says what to do about it.

It only reads. With a running node it asks the node; without one it looks at the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from node.diagnosis import Diagnosis


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(doctor)


def doctor(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Examine the node: store, keys, clock, member list, peers."""
    from node.diagnosis import examine
    from node.home import Home

    place = Home(home)
    place.require()
    found = list(examine(place))
    if as_json:
        output.print_json([item.to_json(output.lang()) for item in found])
    else:
        output.table("Doctor", ("check", "state", "what was found"), map(_row, found))
        for item in found:
            if item.state != "ok":
                output.line(f"{item.code}: next: {item.next_step(output.lang())}")
    if any(item.state == "bad" for item in found):
        raise typer.Exit(output.ExitCode.FAILED)


def _row(item: Diagnosis) -> tuple[str, str, str]:
    return item.code, item.state, item.found
