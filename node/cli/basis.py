"""`pratique basis …`: which documents stand on a revoked proof, with or without a node (R25)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Proofs of origin that lost their basis.", no_args_is_help=True)
    group.command("list")(list_lost)
    group.command("check")(check)
    app.add_typer(group, name="basis")


def list_lost(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the documents here that stand on a revoked proof, the newest flag first."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/basis-lost")
    if as_json:
        output.print_json(body)
    else:
        _print(body["items"])


def _print(items: list[dict[str, Any]]) -> None:
    lines = [
        (one["document"][:16], one["type"], one["number"], one["since"],
         " → ".join(each[:8] for each in one["path"]), one["by"])
        for one in items
    ]  # fmt: skip
    columns = ("document", "type", "number", "since", "stands on", "told by")
    output.table("Basis lost", columns, lines)


def check(
    file: Annotated[Path, typer.Argument(help="A document file or an evidence bundle.")],
    trust: Annotated[Path, typer.Option("--trust", help="The member list.")],
    as_json: JsonOption = False,
) -> None:
    """Ask the issuers of what FILE holds, online and without a node, what was lost or revoked.

    Exit code 1: something was; 3: an issuer could not be asked.
    """
    from node.basis.online import ask

    found = ask(file, trust)
    if as_json:
        output.print_json(found)
    else:
        for one in found["documents"]:
            output.line(f"{one['standing']}  {one['type']}  {one['number']}  {one['digest'][:16]}")
            for lost in one["basisLost"]:
                words = " → ".join(each[:8] for each in lost["path"])
                output.line(f"! basis lost: {words}, says {lost['by']}")
    raise typer.Exit(
        output.ExitCode.FAILED
        if found["lost"]
        else output.ExitCode.UNREACHABLE
        if found["unknown"]
        else output.ExitCode.OK
    )
