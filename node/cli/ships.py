"""`pratique ship-certificate NUMBER`: what registers know of a ship certificate's number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("ship-certificate")(ship_certificate)


def ship_certificate(
    number: Annotated[
        str, typer.Argument(help="The unique tracking number (UTN), as the certificate shows it.")
    ],
    of: Annotated[
        str, typer.Option("--register", help="DID of the issuer; all listed ones are asked if not.")
    ] = "",
    save: Annotated[
        Path | None,
        typer.Option("--save", help="Keep the answer that knows it: NAME.register.jwt, offline."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask who issued a ship certificate under this tracking number; exit code 0 when one did.

    1: every register answered, and none knows it. 3: none knows it, and one could not be heard.
    """
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/ship-certificates", number=number, register=of or None)
    said = {one["says"] for one in body["registers"]}
    known = [one["answer"] for one in body["registers"] if one["says"] == "known"]
    if save is not None and known:
        save.write_text(known[0] + "\n", encoding="ascii")
    if as_json:
        output.print_json(body)
    else:
        output.table(
            "Registers",
            ("register", "says", "documents", "answered at"),
            [
                (one["register"], one["says"], ", ".join(d[:16] for d in one.get("documents", ())),
                 one.get("answeredAt") or one.get("code"))
                for one in body["registers"]
            ],
        )  # fmt: skip
        held = [
            (one["document"][:16] + "…", one["number"], one["issuer"], one.get("verdict"))
            for one in body["held"]
        ]
        output.table("Held here", ("document", "number", "issuer", "verdict"), held)
    if known:
        raise typer.Exit(output.ExitCode.OK)
    silent = "silent" in said
    raise typer.Exit(output.ExitCode.UNREACHABLE if silent else output.ExitCode.FAILED)
