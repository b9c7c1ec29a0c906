"""`pratique inquiry …`: verification requests, refused preference, the Parties-only view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable

Id = Annotated[str, typer.Argument(help="The inquiry's id (pratique inquiry list).")]
Text = Annotated[str, typer.Option("--text", help="In words.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Customs and issuing bodies about proofs of origin.",
                        no_args_is_help=True)  # fmt: skip
    commands: dict[str, Callable[..., None]] = {
        "ask": ask,
        "refused": refused,
        "list": list_inquiries,
        "answer": answer,
        "determine": determine,
        "look": look,
    }
    for name, function in commands.items():
        group.command(name)(function)
    app.add_typer(group, name="inquiry")


def ask(
    certificate: Annotated[str, typer.Argument(help="Digest of the proof, as held here.")],
    reason: Annotated[list[str], typer.Option("--reason", help="Why; may be repeated.")],
    days: Annotated[int, typer.Option("--days", min=30, max=90, help="To answer in.")] = 90,
    declaration: Annotated[str, typer.Option("--declaration", help="The import.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask the issuing body to verify a proof (RCEP 3.24); the goods are released meanwhile."""
    order = {"kind": "verification", "certificate": certificate, "reasons": reason, "days": days}
    _post("", order | ({"declaration": declaration} if declaration else {}), home, as_json=as_json)


def refused(
    certificate: Annotated[str, typer.Argument(help="Digest of the proof, as held here.")],
    reason: Annotated[list[str], typer.Option("--reason", help="Why; may be repeated.")],
    declaration: Annotated[str, typer.Option("--declaration", help="The import.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell the issuing body that preference was refused, and why (RCEP 3.25)."""
    order = {"kind": "preference-refused", "certificate": certificate, "reasons": reason}
    _post("", order | {"declaration": declaration}, home, as_json=as_json)


def answer(
    id_: Id,
    outcome: Annotated[
        str, typer.Option("--outcome", help="CONFIRMED, NOT_CONFIRMED, CORRECTED or DISPUTED.")
    ],
    text: Text,
    replacement: Annotated[
        str, typer.Option("--replacement", help="Digest of the certificate that replaces it.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer as the issuing body."""
    said = {"outcome": outcome, "text": text}
    said |= {"replacement": replacement} if replacement else {}
    _post(f"/{quote(id_)}/answer", said, home, as_json=as_json)


def determine(
    id_: Id,
    outcome: Annotated[
        str, typer.Option("--outcome", help="PREFERENCE_GRANTED or PREFERENCE_DENIED.")
    ],
    text: Text,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Determine in writing, after the answer or when the days are over."""
    said = {"outcome": outcome, "text": text}
    _post(f"/{quote(id_)}/determination", said, home, as_json=as_json)


def _post(path: str, order: dict[str, Any], home: Any, *, as_json: bool) -> None:
    with _operator(home) as client:
        body = client.post(f"/v1/origin-inquiries{path}", order)
    if as_json:
        output.print_json(body)
        return
    output.line(f"{body['stage']}  {body['kind']}  {body['id']}")
    _print_course(body)


def _print_course(body: dict[str, Any]) -> None:
    for name in ("receivedAt", "answerDue", "answeredAt", "determinationDue", "determinedAt"):
        if name in body:
            output.line(f"  {name} {body[name]}")


def list_inquiries(
    certificate: Annotated[str, typer.Option("--certificate", help="Only about it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List inquiries put by this node and to it, with deadlines and answers."""
    with _operator(home) as client:
        body = client.get("/v1/origin-inquiries", certificate=certificate or None)
    if as_json:
        output.print_json(body)
        return
    lines = [
        (one["id"], one["kind"], one["askedBy"], one["stage"], one.get("answerDue", ""),
         one.get("answer", {}).get("outcome", ""),
         one.get("determination", {}).get("outcome", ""))
        for one in body["items"]
    ]  # fmt: skip
    columns = ("id", "kind", "asked by", "stage", "answer due", "answer", "determination")
    output.table("Inquiries", columns, lines)


def look(
    at: Annotated[str, typer.Argument(help="DID of the issuing body.")],
    number: Annotated[str, typer.Option("--number", help="Only this certificate.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Look up certificates in an issuing body's Parties-only view (RCEP 3.17(7))."""
    with _operator(home) as client:
        body = client.get("/v1/origin-certificates", at=at, number=number or None)
    if as_json:
        output.print_json(body)
        return
    lines = [
        (one["number"], one["issueDate"], one["exporter"], line["hs"], line["description"],
         " ".join((line.get("quantity") or {}).values()),
         "revoked" if one["revoked"] else "suspended" if one["suspended"] else "")
        for one in body["items"]
        for line in one["goods"]
    ]  # fmt: skip
    columns = ("number", "date", "exporter", "HS", "description", "quantity", "status")
    output.table("Certificates", columns, lines)


def _operator(home: Any) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
