"""`pratique log chain`: every entry of one document in a log, and what was left out of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import (
    MalformedError,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from node.operator import OperatorClient
    from schemas.errors import TradeError

MAX_DOCUMENT = 16 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


def chain(
    subject: Annotated[
        str,
        typer.Argument(
            help="A signed document's file, the digest of one held here, or a subject (hex)."
        ),
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    log: Annotated[str, typer.Option("--log", help="Origin of a listed log; default: ours.")] = "",
    pinned: Annotated[
        list[str] | None,
        typer.Option("--pinned", help="Leaf hash that a receipt names; may be repeated."),
    ] = None,
) -> None:
    """Show every entry of a document in a log, and whether any was left out.

    Exit code 1 when some were, when the log has none, or when it could not be read to its end.
    """
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        asked: dict[str, Any] = {"subject": _subject(client, subject), "pinned": pinned or []}
        if log:
            asked["origin"] = log
        body = _advance(client, asked)
    if as_json:
        output.print_json(body)
    else:
        _show(body)
    error = _fault(body)
    if error is not None:
        if not as_json:
            output.report(error)
        raise typer.Exit(output.ExitCode.FAILED)


def _fault(body: dict[str, Any]) -> TradeError | None:
    """Why the answer is no whole history; None when it is one."""
    if not body["done"]:
        read = f"entries read: {body['read']} of {body['size']}"
        return UnavailableError("log_chain_unfinished", read)
    if not body["ok"]:
        return RefusedError("log_chain_broken", "; ".join(body["faults"]))
    if not body["leaves"]:
        read = f"subject {body['subject']}: nothing, entries: {body['size']}"
        return NotFoundError("log_chain_empty", read)
    return None


def _subject(client: OperatorClient, given: str) -> str:
    """The subject in hexadecimal, out of a document when its file or digest is given."""
    file = Path(given)
    if file.is_file():
        if file.stat().st_size > MAX_DOCUMENT:
            raise TooLargeError("document_too_large", f"{given} has more than {MAX_DOCUMENT} bytes")
        document = file.read_bytes()
    elif (held := _held(client, given)) is not None:
        document = held
    else:
        return given
    from node.exchange.identity import subject_of

    subject = subject_of(document)
    if subject is None:
        raise MalformedError("leaf_malformed", f"{given} is no document with a salt")
    return subject.hex()


def _held(client: OperatorClient, digest: str) -> bytes | None:
    """The document of this digest, None when the node holds none: it is a subject then."""
    if _DIGEST.fullmatch(digest) is None:
        return None
    accept = {"Accept": "application/octet-stream"}
    try:
        return client.request("GET", f"/v1/documents/{digest}", headers=accept).body
    except NotFoundError:
        return None


def _advance(client: OperatorClient, asked: dict[str, Any]) -> dict[str, Any]:
    """Ask again until everything was read or it gets no further."""
    body: dict[str, Any] = client.post("/v1/log/chain", asked)
    before = -1
    while not body["done"] and body["read"] > before:
        output.progress(f"entries read: {body['read']} of {body['size']}")
        before = body["read"]
        body = client.post("/v1/log/chain", asked)
    return body


def _show(body: dict[str, Any]) -> None:
    rows = [
        (item["index"], item["kind"], _moment(item["at"]), item["hash"][:16] + "…")
        for item in body["leaves"]
    ]
    title = output.say("Entries in {origin}", origin=body["origin"])
    output.table(title, ("index", "what", "claimed", "leaf"), rows)
    if _fault(body) is None:
        output.line(f"complete: the chain has no gap, entries: {body['size']}")
    if body["done"] and not body["witnessed"]:
        output.line("no quorum of witnesses has seen this state: others may be shown another")


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
