"""`pratique log chain`: every entry of one document in a log, and what was left out of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from node.operator import OperatorClient

MAX_DOCUMENT = 16 * 1024 * 1024


def chain(
    subject: Annotated[
        str, typer.Argument(help="A signed document's file, or the subject in hexadecimal.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    log: Annotated[str, typer.Option("--log", help="Origin of a listed log; default: ours.")] = "",
    pinned: Annotated[
        list[str] | None,
        typer.Option("--pinned", help="Leaf hash that a receipt names; may be repeated."),
    ] = None,
) -> None:
    """Show every entry of a document in a log, and whether any was left out."""
    from node.operator import operator

    asked: dict[str, Any] = {"subject": _subject(subject), "pinned": pinned or []}
    if log:
        asked["origin"] = log
    with operator(home, lang=output.lang()) as client:
        body = _advance(client, asked)
    if as_json:
        output.print_json(body)
    else:
        _show(body)
    if not body["ok"]:
        error = RefusedError("log_chain_broken", "; ".join(body["faults"]))
        if not as_json:
            output.report(error)
        raise typer.Exit(output.ExitCode.FAILED)


def _subject(given: str) -> str:
    """The subject in hexadecimal, out of a document when a file is given."""
    file = Path(given)
    if not file.is_file():
        return given
    from node.exchange.identity import subject_of

    if file.stat().st_size > MAX_DOCUMENT:
        raise TooLargeError("document_too_large", f"{given} has more than {MAX_DOCUMENT} bytes")
    subject = subject_of(file.read_bytes())
    if subject is None:
        raise MalformedError("leaf_malformed", f"{given} is no document with a salt")
    return subject.hex()


def _advance(client: OperatorClient, asked: dict[str, Any]) -> dict[str, Any]:
    """Ask again until everything was read or it gets no further."""
    body: dict[str, Any] = client.post("/v1/log/chain", asked)
    before = -1
    while not body["done"] and body["read"] > before:
        output.progress(f"{body['read']} of {body['size']} entries read")
        before = body["read"]
        body = client.post("/v1/log/chain", asked)
    return body


def _show(body: dict[str, Any]) -> None:
    rows = [
        (item["index"], item["kind"], _moment(item["at"]), item["hash"][:16] + "…")
        for item in body["leaves"]
    ]
    output.table(f"Entries in {body['origin']}", ("index", "what", "claimed", "leaf"), rows)
    if body["ok"]:
        output.line(f"complete: the chain has no gap in {body['size']} entries")


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
