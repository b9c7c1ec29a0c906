"""`pratique ebl issue|issuances|decide|ask|surrenders|answer|chain|notifications`.

The carrier's and the issuing platform's part of a bill's life (DCSA ISS, SUR and END 3.0.4).
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.ebl import code_of, group_of
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_BYTES = 10 * 1024 * 1024
ReferenceArgument = Annotated[str, typer.Argument(help="The transport document reference.")]
ReferenceOption = Annotated[
    str, typer.Option("--reference", help="Only of this transport document reference.")
]
SideOption = Annotated[
    str, typer.Option("--side", help="Only what this node is in it: carrier or platform.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the group `ebl`."""
    group = group_of(app)
    commands: dict[str, Callable[..., None]] = {
        "issue": issue,
        "issuances": issuances,
        "decide": decide,
        "ask": ask,
        "surrenders": surrenders,
        "answer": answer,
        "chain": chain,
        "notifications": notifications,
    }
    for name, function in commands.items():
        group.command(name)(function)


def issue(
    file: Annotated[Path, typer.Argument(help="The bill: a DCSA transport document in JSON.")],
    platform: Annotated[str, typer.Option("--to-platform", help="The platform's code.")],
    party: Annotated[str, typer.Option("--party", help="Name of the first possessor.")],
    code: Annotated[
        list[str],
        typer.Option(
            "--code", help="Its DID, or provider:code, or provider:list:code; repeatable."
        ),
    ],
    endorsee: Annotated[
        str,
        typer.Option("--endorsee", help="DID of the endorsee or consignee, if not in the bill."),
    ] = "",
    replaces: Annotated[
        str, typer.Option("--replaces", help="Reference of the bill it replaces, which has ended.")
    ] = "",
    visualisation: Annotated[
        Path | None, typer.Option("--visualisation", help="The carrier's picture of it: a PDF.")
    ] = None,
    arbiter: Annotated[
        str, typer.Option("--arbiter", help="Who orders its title: log, evm, or a name.")
    ] = "",
    consignment: Annotated[str, typer.Option(help="UCR of the consignment.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Issue a bill as its carrier: sign it, and put it before a platform.

    The platform answers later; its title begins when it has answered ISSU (`ebl issuances`).
    """
    from node.operator import operator

    document = {"payload": base64.b64encode(_read(file)).decode(), "type": "bill-of-lading"}
    document |= {"consignment": consignment} if consignment else {}
    issue_to = {
        "partyName": party,
        "sendToPlatform": platform,
        "identifyingCodes": [code_of(one) for one in code],
    }
    wanted = {"endorsee": endorsee, "replaces": replaces, "arbiter": arbiter}
    body: dict[str, Any] = {name: value for name, value in wanted.items() if value}
    if visualisation is not None:
        content = base64.b64encode(_read(visualisation)).decode()
        body["visualisation"] = {"name": visualisation.name[:100], "content": content}
    with operator(home, lang=output.lang()) as client:
        signed = client.post("/v1/documents", document)
        body |= {"document": signed["digest"], "issueTo": issue_to}
        made = client.post("/v1/ebl/issuances", body)
    if as_json:
        output.print_json(made)
    else:
        output.pairs("Bill", _pairs(made))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise MalformedError("file_unreadable", f"{file}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise TooLargeError("document_too_large", f"{file} has more than {MAX_BYTES} bytes")
    return data


def _pairs(item: Mapping[str, Any]) -> list[tuple[str, object]]:
    told: list[tuple[str, object]] = [
        ("reference", item["transportDocumentReference"]),
        ("state", item["state"]),
        ("with", item["counterpart"]),
        ("issued to", item["issueTo"]["partyName"]),
    ]
    if "title" in item:
        told.append(("title", item["title"]))
    return told + [(name, text) for name, text in (("answer", _answer(item)),) if text]


def _answer(item: Mapping[str, Any]) -> str:
    """What was answered, or how our own call stands."""
    said = item.get("answer")
    if said:
        parts = [said.get("issuanceResponseCode"), said.get("action"), said.get("reason")]
        parts += [said.get("comments")]
        parts += [f"{one.get('errorCode')}: {one.get('reason')}" for one in said.get("errors", ())]
        if "titleRefused" in item:
            parts.append(f"its arbiter refused the title: {item['titleRefused']}")
        return "\n".join(str(part) for part in parts if part)
    call = item.get("call")
    return f"{call['state']}, tries: {call['tries']}, {call['why'] or 'no answer'}" if call else ""


def issuances(
    reference: ReferenceOption = "",
    side: SideOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List bills put up for issuance, by this carrier or on this platform, and the answers."""
    body = _get(home, "/v1/ebl/issuances", reference=reference or None, side=side or None)
    if as_json:
        output.print_json(body)
        return
    rows = [
        (
            one["transportDocumentReference"],
            one["side"],
            one["counterpart"],
            one["state"],
            one["issueTo"]["partyName"],
            one.get("title", "")[:16],
            _answer(one),
        )
        for one in body["issuances"]
    ]
    columns = ("reference", "we are", "with", "state", "issued to", "title", "answer")
    output.table("Bills put up for issuance", columns, rows)


def decide(
    reference: ReferenceArgument,
    issued: Annotated[bool, typer.Option("--issue", help="Issue it (ISSU).")] = False,
    content: Annotated[
        bool, typer.Option("--content-error", help="Something in it is wrong (BREQ).")
    ] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="It cannot be issued here (REFU).")] = (
        False
    ),
    reason: Annotated[str, typer.Option("--reason", help="Why not.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Decide, as the platform, what a carrier put up, where `ebl.issuance` is operator."""
    chosen = [
        code for code, said in (("ISSU", issued), ("BREQ", content), ("REFU", refuse)) if said
    ]
    if len(chosen) != 1:
        raise typer.BadParameter("say one of --issue, --content-error and --refuse")
    body = {"code": chosen[0]} | ({"reason": reason} if reason else {})
    made = _post(home, f"/v1/ebl/issuances/{reference}/decision", body)
    if as_json:
        output.print_json(made)
    else:
        output.pairs("Bill", _pairs(made))


def ask(
    reference: ReferenceArgument,
    amendment: Annotated[
        bool, typer.Option("--for-amendment", help="To be amended, not for delivery.")
    ] = False,
    reason: Annotated[
        str,
        typer.Option("--reason", help="Of an amendment: SWTP paper, COD destination, SWI switch."),
    ] = "",
    comment: Annotated[str, typer.Option("--comment", help="What is asked for.")] = "",
    by: Annotated[
        str, typer.Option("--by", help="DID of who gives it back; by default who has it.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Give a bill that was issued on this platform back to its carrier, for a party here."""
    code = "AREQ" if amendment or reason else "SREQ"
    optional = {"reason": reason, "comments": comment, "by": by}
    body = {"reference": reference, "code": code}
    body |= {name: value for name, value in optional.items() if value}
    made = _post(home, "/v1/ebl/surrenders", body)
    if as_json:
        output.print_json(made)
    else:
        _show("Surrender", [made])


_COLUMNS = ("request", "we are", "bill", "asks for", "state", "with", "answer", "master bills")


def _show(title: str, found: Sequence[Mapping[str, Any]]) -> None:
    """The table, and below it what to mind of the master bills of house bills."""
    output.table(title, _COLUMNS, [_row(one) for one in found])
    for one in found:
        for master in one.get("masterBills", ()):
            if "code" in master:
                number = master["transportDocumentReference"]
                output.line(f"{number}: {master['message']} [{master['code']}]")
                output.line(f"  {output.say('next')}: {master['next']}")


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        one["surrenderRequestReference"],
        one["side"],
        one["transportDocumentReference"],
        " ".join(filter(None, (one["surrenderRequestCode"], one.get("reasonCode")))),
        one["state"],
        one["counterpart"],
        _answer(one),
        ", ".join(
            f"{master['transportDocumentReference']}: {master['state']}"
            for master in one.get("masterBills", ())
        ),
    )


def surrenders(
    reference: ReferenceOption = "",
    side: SideOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List surrenders: those asked of this carrier, and those asked by this platform."""
    body = _get(home, "/v1/ebl/surrenders", reference=reference or None, side=side or None)
    if as_json:
        output.print_json(body)
    else:
        _show("Surrenders", body["surrenders"])


def answer(
    request: Annotated[str, typer.Argument(help="The reference of the surrender request.")],
    accept: Annotated[
        bool, typer.Option("--accept/--reject", help="Accept the surrender, or give it back.")
    ],
    comment: Annotated[str, typer.Option("--comment", help="Why; a rejection needs it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer a surrender as the carrier, once: SURR ends the bill, SREJ gives it back."""
    body: dict[str, Any] = {"accept": accept} | ({"comment": comment} if comment else {})
    made = _post(home, f"/v1/ebl/surrenders/{request}/answer", body)
    if as_json:
        output.print_json(made)
    else:
        _show("Surrender", [made])


def chain(
    reference: ReferenceArgument,
    home: HomeOption = DEFAULT_HOME,
    as_json: Annotated[
        bool, typer.Option("--json/--table", help="DCSA END 3.0.4 JSON, or a table.")
    ] = False,
) -> None:
    """Print the endorsement chain of a bill, as an auditor reads it."""
    found = _get(home, f"/v1/ebl/chains/{reference}")
    if as_json:
        output.print_json(found)
        return
    for one in found:
        rows = [
            (
                link["actionDateTime"],
                output.say(link["actionCode"].lower().replace("_", " ")),
                _party(link["actor"]),
                _party(link.get("recipient")),
            )
            for link in one["endorsementChain"]
        ]
        title = " ".join(
            filter(None, (one["transportDocumentReference"], one.get("carrierSCACCode")))
        )
        told = output.say("Endorsement chain of {title}", title=title)
        output.table(told, ("when", "action", "by", "to"), rows)


def _party(party: Mapping[str, Any] | None) -> str:
    return f"{party['partyName']} ({party['eblPlatform']})" if party else ""


def notifications(
    reference: ReferenceOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List what was told and heard of transport documents (EBL 3.0.4 notifications)."""
    body = _get(home, "/v1/ebl/notifications", reference=reference or None)
    if as_json:
        output.print_json(body)
        return
    rows = [
        (
            one["at"],
            one["direction"],
            one["counterpart"],
            one["transportDocumentReference"],
            one["transportDocumentStatus"],
        )
        for one in body["notifications"]
    ]
    output.table("Notifications", ("when", "", "with", "bill", "status"), rows)


def _get(home: Path, path: str, **query: Any) -> Any:
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        return client.get(path, **query)


def _post(home: Path, path: str, body: Mapping[str, Any]) -> Any:
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        return client.post(path, body)
