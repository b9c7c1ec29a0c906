"""`pratique consistency UCR`: do the papers of a consignment speak of the same goods?"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("consistency")(consistency)


def consistency(
    ucr: Annotated[str, typer.Argument(help="The consignment's UCR.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hold the papers of a consignment against each other; exit code 1 when any two disagree."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"/v1/consignments/{quote(ucr)}/consistency")
    if as_json:
        output.print_json(body)
    else:
        papers, pairs = len(body["papers"]), body["compared"]
        output.line(f"{body['consignment']}: papers: {papers}, pairs compared: {pairs}")
        for one in body["findings"]:
            values = one["values"]
            output.line(f"{one['severity']} {one['rule']} {one['title']}")
            for side in ("left", "right"):
                document, place = values[f"{side}Document"], values[f"{side}Pointer"]
                output.line(f"    {values[side]}  in {document} at {place}")
            output.line(f"    next: {one['next']}")
        if not body["findings"]:
            output.line("they agree")
    if body["findings"]:
        raise typer.Exit(output.ExitCode.FAILED)
