"""`pratique keys create`: another key for this node."""

from __future__ import annotations

from typing import Annotated

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="This node's own keys.", no_args_is_help=True)
    group.callback()(_nothing)
    group.command("create")(create)
    app.add_typer(group, name="keys")


def _nothing() -> None:
    pass


def create(
    purpose: Annotated[
        str,
        typer.Argument(
            help="credential, exchange, title, release, approval, platform; and once each "
            "registry, witness, registry-witness."
        ),
    ],
    algorithm: Annotated[
        str, typer.Option(help="Of a credential key: ES256, ES384, Ed25519 or ML-DSA-65.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make another key. It signs nothing until the member list has it: pratique trust ask."""
    from node.operator import operator

    body = {"purpose": purpose, **({"algorithm": algorithm} if algorithm else {})}
    with operator(home, lang=output.lang()) as client:
        made = client.post("/v1/keys", body)
    if as_json:
        output.print_json(made)
    else:
        output.line(f"{made['kid']} ({made['algorithm']})")
        output.progress("next: pratique trust ask")
