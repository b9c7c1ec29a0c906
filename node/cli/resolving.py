"""`pratique trust resolve DID`: a DID's document beside the member list's pins."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def resolve(
    did: Annotated[str, typer.Argument(help="did:web, did:key or did:jwk.")],
    home: HomeOption = DEFAULT_HOME,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Fetch it anew, whatever is held.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a DID's document, the keys the member list pins, and whether they agree.

    A DID that is not listed is not called. A document with other keys than the list's is refused,
    and told as an alarm.
    """
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/resolve", did=did, refresh="1" if refresh else None)
    if as_json:
        output.print_json(body)
        return
    _show(body)


def _show(body: dict[str, Any]) -> None:
    output.line(f"{body['did']}")
    agreement = body["agreement"]
    if agreement is None:
        output.line("it carries its key; who holds it, nobody says")
    for method in body["document"].get("verificationMethod", ()):
        output.line(f"  document  {method['id']}")
    for pin in body["pins"]:
        until = pin["validUntil"] or "further notice"
        output.line(f"  pinned    {pin['kid']}  {pin['purpose']}  until {until}")
    if agreement is not None:
        output.line(f"agrees with the member list; fetched {body['ageSeconds']} s ago")
        for name in ("missing", "untimely"):
            if agreement[name]:
                output.line(f"  {name}: {', '.join(agreement[name])}")
