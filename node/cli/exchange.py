"""`pratique send`, `inbox`, `outbox`: documents on their way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from node.operator import OperatorClient

SHORT = 12

ConsignmentOption = Annotated[str, typer.Option("--consignment", help="Only of this UCR.")]
StateOption = Annotated[str, typer.Option("--state", help="Only in this state.")]
AfterOption = Annotated[int, typer.Option("--after", help="Continue after this number.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=500, help="Rows at most.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("send")(send)
    app.command("inbox")(inbox)
    app.command("outbox")(outbox)


def send(
    digest: Annotated[str, typer.Argument(help="The document's digest (64 hex digits).")],
    to: Annotated[list[str], typer.Option("--to", help="A recipient's DID; may be repeated.")],
    again: Annotated[
        bool, typer.Option("--again", help="Send also what was sent to them before.")
    ] = False,
    disclose: Annotated[
        list[str] | None,
        typer.Option("--disclose", help="Show only this member (JSON pointer); may be repeated."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send a document to other nodes. It is kept and tried until it is receipted."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        order: dict[str, Any] = {"to": to, "again": again}
        if disclose:
            # "" shows nothing that can be withheld.
            order["disclose"] = [place for place in disclose if place]
        body = client.post(f"/v1/documents/{quote(digest)}/send", order)
    if as_json:
        output.print_json(body)
        return
    rows = [(message["to"], message["id"]) for message in body["messages"]]
    output.table("Promised", ("to", "message"), rows)
    output.progress("The receipts appear in `pratique outbox`.")


def inbox(
    consignment: ConsignmentOption = "",
    state: StateOption = "",
    after: AfterOption = 0,
    limit: LimitOption = 100,
    save: Annotated[
        tuple[str, Path] | None,
        typer.Option("--save", metavar="DIGEST FILE", help="Write a payload's bytes to a file."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what was received, or save a received payload byte for byte."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        if save is not None:
            digest, file = _whole(client, save[0]), save[1]
            got = client.request("GET", f"/v1/inbox/{quote(digest)}/payload")
            _write(file, got.body, as_json=as_json)
            return
        body = client.get("/v1/inbox", **_filters(consignment, state, after, limit))
    if as_json:
        output.print_json(body)
        return
    rows = [(*_who(row), row["state"], row["code"] or "", _short(row)) for row in body["items"]]
    columns = ("n", "from", "type", "consignment", "state", "code", "document")
    output.table("Inbox", columns, rows)
    _more(body)


def outbox(
    consignment: ConsignmentOption = "",
    state: StateOption = "",
    after: AfterOption = 0,
    limit: LimitOption = 100,
    peers: Annotated[
        bool, typer.Option("--peers", help="What waits for each peer, and since when.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what was promised to others and what became of it."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        if peers:
            body = client.get("/v1/peers")
        else:
            body = client.get("/v1/outbox", **_filters(consignment, state, after, limit))
    if as_json:
        output.print_json(body)
    elif peers:
        _show_peers(body["items"])
    else:
        _show_outbox(body)


def _show_outbox(body: dict[str, Any]) -> None:
    rows = [(*_who(row), _outcome(row), row["code"] or "", _short(row)) for row in body["items"]]
    columns = ("n", "to", "type", "consignment", "state", "code", "document")
    output.table("Outbox", columns, rows)
    _more(body)


def _show_peers(peers: list[dict[str, Any]]) -> None:
    rows = [
        (
            peer["did"],
            peer["queued"],
            peer["oldest"] or "",
            peer["failures"],
            peer["next_at"] or "",
            "paused" if peer["paused"] else "",
        )
        for peer in peers
    ]
    columns = ("peer", "waiting", "since", "failures", "next try", "")
    output.table("Peers", columns, rows)


def _outcome(row: dict[str, Any]) -> str:
    """The highest level reached: receipted, then what the recipient found and decided."""
    told = [row["state"], row["validated"], row["decided"]]
    return " → ".join(word for word in told if word)


def _who(row: dict[str, Any]) -> tuple[object, ...]:
    kind = row["type"].removeprefix("urn:pratique:").removeprefix("document:")
    return row["n"], row["peer"].removeprefix("did:web:"), kind, row["consignment"] or ""


def _short(row: dict[str, Any]) -> str:
    """The first digits of the document's digest; `--save` takes them, `--json` shows all."""
    return (row["document"] or "")[:SHORT]


def _whole(client: OperatorClient, digest: str) -> str:
    """The digest of the one received document that begins with these digits."""
    rows = client.get("/v1/inbox", document=digest, limit=500)["items"]
    found = {row["document"] for row in rows}
    if len(found) != 1:
        raise NotFoundError(
            "document_unreceived", f"documents that begin with {digest}: {len(found)}"
        )
    return str(found.pop())


def _filters(consignment: str, state: str, after: int, limit: int) -> dict[str, Any]:
    return {
        "consignment": consignment or None,
        "state": state or None,
        "after": after,
        "limit": limit,
    }


def _more(body: dict[str, Any]) -> None:
    if body["next"] is not None:
        output.progress(f"more: --after {body['next']}")


def _write(file: Path, data: bytes, *, as_json: bool) -> None:
    file.write_bytes(data)
    if as_json:
        output.print_json({"file": str(file), "size": len(data)})
    else:
        output.line(f"{len(data)} bytes → {file}")
