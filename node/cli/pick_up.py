"""`pratique pick-up …`: pass the right to pick a container up from company to company."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ConsignmentOption = Annotated[str, typer.Option("--consignment", help="The UCR.")]
SendOption = Annotated[
    list[str] | None,
    typer.Option("--send", help="DID of a node that is to know, e.g. the port; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="The delegated right to pick up.", no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "list": list_links,
        "delegate": delegate,
        "revoke": revoke,
    }
    for name, function in commands.items():
        group.command(name)(function)
    app.add_typer(group, name="pick-up")


def _operator(home: Path) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())


def list_links(
    consignment: ConsignmentOption,
    container: Annotated[
        str | None, typer.Option("--container", help="One container of it.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the delegations known here."""
    with _operator(home) as client:
        body = client.get("/v1/pick-ups", consignment=consignment, container=container)
    if as_json:
        output.print_json(body["items"])
        return
    lines = [
        (one["digest"], one["container"], one["by"], one["to"]["name"],
         one.get("vehicle", ""), one["notAfter"], "revoked" if one["revoked"] else "")
        for one in body["items"]
    ]  # fmt: skip
    columns = ("link", "container", "from", "to", "vehicle", "until", "")
    output.table("Pick-up right", columns, lines)


def delegate(
    container: Annotated[str, typer.Argument(help="The container number.")],
    consignment: ConsignmentOption,
    to: Annotated[str, typer.Option("--to", help="DID of the next company.")],
    by: Annotated[
        str | None, typer.Option("--by", help="DID of the company that delegates; default ours.")
    ] = None,
    vehicle: Annotated[str | None, typer.Option("--vehicle", help="The plate that comes.")] = None,
    hours: Annotated[int, typer.Option("--hours", help="For how long.")] = 72,
    send: SendOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pass the right on: carrier to forwarder, forwarder to haulier."""
    order = {"container": container, "consignment": consignment, "to": to, "hours": hours}
    more = {"by": by, "vehicle": vehicle, "send": send}
    order |= {name: value for name, value in more.items() if value is not None}
    with _operator(home) as client:
        body = client.post("/v1/pick-ups", order)
    if as_json:
        output.print_json(body)
    else:
        output.line(f"{body['digest']}  {body['by']} → {body['to']['name']}")


def revoke(
    link: Annotated[str, typer.Argument(help="The delegation's digest, 64 hexadecimal digits.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    send: SendOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Take a delegation back; an unused order that rests on it is void at once."""
    body = {"reason": reason, **({"send": send} if send else {})}
    with _operator(home) as client:
        client.post(f"/v1/pick-ups/{quote(link)}/revoke", body)
    output.line(f"revoked {link[:16]}")
