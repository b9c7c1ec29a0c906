"""`pratique ebl received`, `incoming`, `accounts`, `account`: what comes by transfers, to whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.ebl import group_of
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What stands against a second transfer of a bill, in words (R19).
GUARANTEES = {
    "arbiter": "a title arbiter of this network",
    "registry": "a register of records that a member keeps",
    "platforms": "nothing but the platforms' word: no registry guards this bill",
}


def register(app: typer.Typer) -> None:
    """Adds to the group `ebl`."""
    group = group_of(app)
    group.command("received")(received)
    group.command("incoming")(incoming)
    group.command("accounts")(accounts)
    group.command("account")(account)


def received(
    bill: Annotated[str, typer.Argument(help="A bill's checksum, to see all of it.")] = "",
    reference: Annotated[str, typer.Option(help="A transport document reference.")] = "",
    status: Annotated[str, typer.Option(help="here, sent, surrendered or ended.")] = "",
    save: Annotated[str, typer.Option(help="Checksum of a document to save; with --out.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write it to.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the bills that came by transfers, or show one: chain, documents, what was checked."""
    from node.operator import operator

    if save:
        _save(home, bill, save, out)
        return
    path = "/v1/ebl/received" + (f"/{bill}" if bill else "")
    asked = {} if bill else {"reference": reference or None, "status": status or None}
    with operator(home, lang=output.lang()) as client:
        found = client.get(path, **asked)
    if as_json:
        output.print_json(found)
    elif bill:
        _show(found)
    else:
        _list(found)


def _save(home: Path, bill: str, checksum: str, out: Path | None) -> None:
    from node.operator import operator

    if not bill or out is None:
        raise typer.BadParameter("a document is saved of one bill, to a file: BILL and --out")
    with operator(home, lang=output.lang()) as client:
        content = client.request("GET", f"/v1/ebl/received/{bill}/documents/{checksum}").body
    out.write_bytes(content)
    output.line(f"{len(content)} bytes: {out}")


def _list(found: Mapping[str, Any]) -> None:
    columns = ("bill", "reference", "status", "possessor", "platform", "changed")
    output.table(
        "Bills across platforms",
        columns,
        [
            (one["document"], one["transportDocumentReference"], one["status"],
             one["possessor"] or "", one["platform"] or "", one["updatedAt"])
            for one in found["bills"]
        ],
    )  # fmt: skip


def _show(bill: Mapping[str, Any]) -> None:
    output.pairs(
        "Bill",
        [
            ("checksum", bill["document"]),
            ("reference", bill["transportDocumentReference"]),
            ("carrier", bill["carrier"]),
            ("status", bill["status"]),
            ("possessor", f"{bill['possessor'] or ''} at {bill['platform'] or ''}"),
            ("title", bill["title"] or "none in this network"),
            ("registry", bill["controlTrackingRegistry"] or "none"),
            ("guaranteed by", GUARANTEES[bill["guarantee"]]),
        ],
    )
    output.table(
        "Transactions",
        ("at", "action", "actor", "recipient", "signed by"),
        [
            (one["actionDateTime"], one["actionCode"], one["actor"]["partyName"],
             one.get("recipient", {}).get("partyName", ""), one["signedBy"])
            for one in bill["transactions"]
        ],
    )  # fmt: skip
    output.table(
        "Documents that came with it",
        ("checksum", "name", "kind, as its sender says", "bytes", "from"),
        [
            (one["documentChecksum"], one["name"], one["mediaType"], one["size"], one["from"])
            for one in bill["additionalDocuments"]
        ],
    )
    report = bill["report"]
    if report is not None:
        columns = ("check", "outcome", "code", "what was found")
        checks = [
            (one["id"], one["outcome"], one["code"], one["reason"]) for one in report["checks"]
        ]
        output.table(f"Checked when it was received, {report['at']}", columns, checks)


def incoming(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the transfers to this platform that wait for documents or for the title's arbiter."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        found = client.get("/v1/ebl/incoming")
    if as_json:
        output.print_json(found)
        return
    columns = ("from", "state", "bill", "reference", "since")
    rows = [
        (one["from"], one["state"], one["document"], one["envelopeReference"], one["at"])
        for one in found["transfers"]
    ]
    output.table("Transfers under way", columns, rows)


def accounts(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List who has an account here beside the parties of the member list."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        found = client.get("/v1/ebl/accounts")
    if as_json:
        output.print_json(found)
        return
    columns = ("provider", "list", "code", "name", "title key of", "active")
    rows = [
        (one["provider"], one["list"], one["code"], one["name"], one["did"] or "",
         "yes" if one["active"] else "no")
        for one in found["accounts"]
    ]  # fmt: skip
    output.table("Accounts", columns, rows)


def account(
    name: Annotated[str, typer.Argument(help="The party's name, as senders will see it.")],
    code: Annotated[str, typer.Argument(help="Its identifying code.")],
    provider: Annotated[str, typer.Option(help="Who keeps the code list: GLEIF, W3C, SMDG …")],
    code_list: Annotated[str, typer.Option("--list", help="Which of its lists: LEI, DID …")] = "",
    did: Annotated[str, typer.Option(help="The party whose title key acts for it.")] = "",
    close: Annotated[bool, typer.Option("--close", help="It receives nothing any more.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Let a code name a party with an account here, or close the account."""
    from node.operator import operator

    named = {"codeListProvider": provider, "partyCode": code}
    body: dict[str, Any] = {
        "code": named | ({"codeListName": code_list} if code_list else {}),
        "name": name,
        "active": not close,
        **({"did": did} if did else {}),
    }
    with operator(home, lang=output.lang()) as client:
        kept = client.post("/v1/ebl/accounts", body)
    if as_json:
        output.print_json(kept)
    else:
        output.line(f"{provider} {code} names {name}" + (", closed" if close else ""))
