"""`pratique declare UCR --export|--import`: a declaration drawn from the signed papers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("declare")(declare)


def declare(
    ucr: Annotated[str, typer.Argument(help="The consignment's UCR.")],
    number: Annotated[str, typer.Option("--number", help="The declaration's number.")],
    office: Annotated[str, typer.Option("--office", help="The customs office, e.g. CN2225.")],
    procedure: Annotated[str, typer.Option("--procedure", help="The customs procedure.")],
    export: Annotated[bool, typer.Option("--export", help="An export declaration (830).")] = False,
    import_: Annotated[bool, typer.Option("--import", help="An import declaration (929).")] = False,
    preference: Annotated[
        bool, typer.Option("--preference", help="At import: claim the proof's preference.")
    ] = False,
    accept: Annotated[
        list[str] | None, typer.Option("--accept", help="A warning's id, e.g. XDC-016.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw an export or import declaration from the consignment's signed papers and sign it.

    The rules across documents run first: an error refuses it, a warning wants --accept. At import
    the data set is the one that the export declaration names, when that is here.
    """
    from node.operator import operator

    if export == import_:
        raise typer.BadParameter("say either --export or --import", param_hint="--export")
    body: dict[str, Any] = {
        "consignment": ucr,
        "side": "export" if export else "import",
        "number": number,
        "office": office,
        "procedure": procedure,
        "preference": preference,
        "accept": accept or [],
    }
    with operator(home, lang=output.lang()) as client:
        made = client.post("/v1/declarations", body)
    if as_json:
        output.print_json(made)
        return
    output.line(f"{made['type']} {made['number']} {made['digest']}")
    output.line(f"  data set {made['dataSet']}")
    for one in made["declaration"]["references"]:
        output.line(f"    {one['type']} {one['number']} {one['digest'][:16]}…")
    for one in made["accepted"]:
        output.progress(f"  accepted: {one['rule']} {one['message']}")
