"""`pratique verify FILE`: what a document is worth; `pratique challenge`: what a holder answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, CountryOption, HomeOption, JsonOption

if TYPE_CHECKING:
    from datetime import datetime

    from node.operator import OperatorClient

_DIGEST = re.compile(r"[0-9a-f]{64}")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("verify")(verify)
    app.command("challenge")(challenge)


def verify(
    file: Annotated[
        Path,
        typer.Argument(help="A document file, an evidence bundle, or a held document's digest."),
    ],
    home: HomeOption = DEFAULT_HOME,
    offline: Annotated[
        bool, typer.Option("--offline", help="Without any node or network; needs --trust.")
    ] = False,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="The member list (pratique trust export).")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Another moment, RFC 3339: a historical report.")
    ] = None,
    country: CountryOption = None,
    audience: Annotated[
        str, typer.Option("--audience", help="With --nonce: the holder must have signed for it.")
    ] = "",
    nonce: Annotated[
        str, typer.Option("--nonce", help="With --audience: the challenge given; it counts once.")
    ] = "",
    contexts: Annotated[
        Path | None,
        typer.Option("--contexts", help="With --trust: a folder of JSON-LD contexts."),
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="Its receipt file (pratique log receipt).")
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option("--block", help="Hash of a block, got elsewhere, for the receipt's anchor."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a document file; exit code 0 only when every check passed.

    Recognition is asked for --country; a node asks it for its own unless told. Of an evidence
    bundle each document is asked, as of the export or --at.

    With --trust nothing but the two files is used. Beside FILE may lie NAME.status.jwt (the
    issuer's status list; NAME.status.cwt in CWT form), NAME.register.jwt (its register's answer
    about a ship certificate) and the receipt NAME.leaf with NAME.tlog-proof; --receipt names a
    receipt file, which may bring an anchor on a chain and renewals.
    """
    from node.verification import report_view

    alone = offline or trust is not None
    if contexts is not None and not alone:
        raise typer.BadParameter("a node has its own: pratique contexts import")
    if alone:
        given = _Given(receipt, _blocks(block or []), contexts)
        body = _offline(file, trust, at, country, _asked(audience, nonce), given)
    else:
        asked = _asked(audience, nonce) | _receipt(receipt, _blocks(block or []))
        body = _by_node(file, home, at, country, asked)
    if as_json:
        output.print_json(body)
    else:
        report_view.show(body)
        if country is None:
            report_view.show_unasked(body)
    raise typer.Exit(report_view.exit_code(body))


def challenge(
    audience: Annotated[
        str, typer.Option("--audience", help="Who asks; this node's DID if left out.")
    ] = "",
    seconds: Annotated[
        int, typer.Option("--seconds", min=10, max=3600, help="How long it can be answered.")
    ] = 300,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a challenge: give it to the holder, who answers it once (pratique present --key).

    Then pratique verify --audience … --nonce … takes the first valid answer and no other.
    """
    from node.operator import operator

    body: dict[str, Any] = {"seconds": seconds} | ({"audience": audience} if audience else {})
    with operator(home, lang=output.lang()) as client:
        given = client.post("/v1/challenges", body)
    if as_json:
        output.print_json(given)
        return
    for name in ("audience", "nonce", "expires"):
        output.line(f"{name}: {given[name]}")


def _moment(text: str | None) -> Any:
    """The moment of ``--at``; a bare day counts from its first moment in UTC."""
    from protocols import times

    if text is None:
        return None
    return times.from_text(f"{text}T00:00:00Z" if len(text) == 10 else text, pointer="--at")


def _asked(audience: str, nonce: str) -> dict[str, str]:
    """The challenge asked for; one half of it alone is asked for, too, and then refused."""
    asked = {"audience": audience, "nonce": nonce}
    return asked if audience or nonce else {}


@dataclass(frozen=True)
class _Given:
    """What lies beside the file: its receipt, hashes of blocks, JSON-LD contexts."""

    receipt: Path | None
    blocks: frozenset[bytes]
    contexts: Path | None


def _blocks(texts: list[str]) -> frozenset[bytes]:
    from protocols.digest import from_hex

    return frozenset(from_hex(text.removeprefix("0x"), pointer="--block") for text in texts)


def _receipt(path: Path | None, blocks: frozenset[bytes]) -> dict[str, Any]:
    """The receipt file and the hashes as a node is asked."""
    import base64

    from node.verification.offline import read_capped
    from protocols.log import receipt as log_receipt

    asked: dict[str, Any] = {"blocks": sorted(each.hex() for each in blocks)} if blocks else {}
    if path is not None:
        data = read_capped(path, log_receipt.MAX_BYTES)
        asked["receiptFile"] = base64.b64encode(data).decode()
    return asked


def _offline(
    file: Path,
    trust: Path | None,
    at: str | None,
    country: str | None,
    asked: dict[str, str],
    given: _Given,
) -> Any:
    from datetime import UTC, datetime

    from node.verification import offline
    from protocols.credentials.key_binding import Challenge
    from schemas.errors import SettingsError

    if trust is None:
        raise SettingsError("trust_needed", "no --trust was given")
    moment = _moment(at)
    now = datetime.now(UTC)
    challenge = Challenge(asked["audience"], asked["nonce"]) if asked else None
    report = offline.verify_file(
        file,
        trust=trust,
        now=now,
        at=moment,
        country=country,
        challenge=challenge,
        contexts=given.contexts,
        receipt=given.receipt,
        blocks=given.blocks,
    )
    return report.to_json(output.lang())


def _by_node(
    file: Path, home: Path, at: str | None, country: str | None, asked: dict[str, Any]
) -> Any:
    import base64

    from node.operator import operator
    from node.verification.offline import MAX_BUNDLE, bundle_question, is_bundle, read_capped
    from protocols import times

    moment = _moment(at)
    question: dict[str, Any] = {**asked}
    if moment is not None:
        question["at"] = times.to_text(moment)
    if country is not None:
        question["country"] = country
    with operator(home, lang=output.lang()) as client:
        if _DIGEST.fullmatch(str(file)) and not file.exists():
            accept = {"Accept": "application/octet-stream"}
            data = client.request("GET", f"/v1/documents/{file}", headers=accept).body
        else:
            data = read_capped(file, MAX_BUNDLE)
        if is_bundle(data):
            if asked:
                raise bundle_question()
            return _bundle(data, client, moment, country)
        question["file"] = base64.b64encode(data).decode()
        stamp = file.with_suffix(".tsr")
        if stamp.is_file():
            question["timestamp"] = base64.b64encode(read_capped(stamp, MAX_BUNDLE)).decode()
        return client.post("/v1/verify", question)


def _bundle(data: bytes, client: OperatorClient, at: datetime | None, country: str | None) -> Any:
    """An evidence bundle under the member lists that the node holds, for its country by default."""
    from datetime import UTC, datetime

    from protocols import member_list
    from protocols.evidence.verification import verify_bundle

    now = datetime.now(UTC)
    lists = client.request("GET", "/v1/trust/export").body
    *earlier, newest = member_list.open_versions(lists, now=now)
    if country is None:
        node = client.get("/v1/status")
        entry = newest.node(node["did"])
        country = entry.country if entry else node["country"] or None
    report = verify_bundle(data, newest, now=now, earlier=earlier, at=at, country=country)
    return report.to_json(output.lang())
