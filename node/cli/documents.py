"""`pratique issue`, `revoke`, `suspend`, `reinstate`, `documents`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.approving import (
    ApprovalOption,
    ConsignmentOption,
    DisclosableOption,
    ExportOption,
    FormOption,
    HolderOption,
    ImportOption,
    TypeOption,
    UntilOption,
    order_body,
    read_approvals,
)
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from node.operator import OperatorClient


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("issue")(issue)
    app.command("revoke")(revoke)
    app.command("suspend")(suspend)
    app.command("reinstate")(reinstate)
    app.command("documents")(documents)


def issue(
    file: Annotated[Path, typer.Argument(help="The document: JSON or XML.")],
    home: HomeOption = DEFAULT_HOME,
    type_: TypeOption = "",
    consignment: ConsignmentOption = "",
    export_country: ExportOption = "",
    import_country: ImportOption = "",
    valid_until: UntilOption = "",
    disclosable: DisclosableOption = False,
    form: FormOption = "vc+sd-jwt",
    holder: HolderOption = None,
    approval: ApprovalOption = None,
    to: Annotated[list[str] | None, typer.Option(help="Send it to this DID at once.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Write the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Examine a document, sign it, log it, and perhaps send it.

    With -o NAME.pratique the issuer's status lists are written beside it, as NAME.status.jwt and
    NAME.status.suspension.jwt.
    """
    from node.operator import operator

    wanted = {
        "type": type_,
        "consignment": consignment,
        "exportCountry": export_country,
        "importCountry": import_country,
        "validUntil": valid_until,
    }
    body = order_body(file, wanted, form if disclosable else None, holder)
    if approval:
        body["approvals"] = read_approvals(approval)
    with operator(home, lang=output.lang()) as client:
        document = client.post("/v1/documents", body)
        path = f"/v1/documents/{document['digest']}"
        if to:
            document |= client.post(f"{path}/send", {"to": to})
        if out is not None:
            _write(client, document, out)
    if as_json:
        output.print_json(document)
        return
    output.line(f"{document['type']} {document['number']} {document['digest']}")
    for did in to or []:
        output.line(f"  to {did}")
    for one in document.get("warnings", ()):
        output.progress(f"  warning: {one['rule']} {one['message']} ({one['pointer']})")


def _write(client: OperatorClient, document: dict[str, Any], out: Path) -> None:
    """The document file, and beside it the status lists that `verify --trust` looks for."""
    headers = {"Accept": document["mediaType"]}
    path = f"/v1/documents/{document['digest']}"
    out.write_bytes(client.request("GET", path, headers=headers).body)
    for name, ending in (("list", ""), ("suspensionList", ".suspension")):
        url = document["status"][name]
        if url is not None:
            signed = client.request("GET", f"/status/{url.rpartition('/')[2]}").body
            out.with_suffix(f".status{ending}.jwt").write_bytes(signed)


def revoke(
    digest: Annotated[str, typer.Argument(help="The document's digest, 64 digits.")],
    reason: Annotated[str, typer.Option(help="Why, for those who relied on it.")],
    approval: ApprovalOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Revoke a document this node issued, for good, and tell everybody it went to."""
    _change(digest, "revoke", "revoked", _body(reason, approval), home, as_json=as_json)


def suspend(
    digest: Annotated[str, typer.Argument(help="The document's digest, 64 digits.")],
    reason: Annotated[str, typer.Option(help="Why, for those who rely on it.")],
    approval: ApprovalOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Suspend a document this node issued until it is reinstated, and tell everybody it went to."""
    _change(digest, "suspend", "suspended", _body(reason, approval), home, as_json=as_json)


def reinstate(
    digest: Annotated[str, typer.Argument(help="The document's digest, 64 digits.")],
    reason: Annotated[str, typer.Option(help="Why, for those who wait for it.")],
    approval: ApprovalOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End the suspension of a document, and tell everybody it went to. No revocation ends."""
    _change(digest, "reinstate", "reinstated", _body(reason, approval), home, as_json=as_json)


def _body(reason: str, approval: list[Path] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"reason": reason}
    return body | ({"approvals": read_approvals(approval)} if approval else {})


def _change(
    digest: str, act: str, done: str, body: dict[str, Any], home: Path, *, as_json: bool
) -> None:
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        document = client.post(f"/v1/documents/{digest}/{act}", body)
    if as_json:
        output.print_json(document)
    else:
        output.line(f"{done} {document['type']} {document['number']} {document['digest']}")


def documents(
    home: HomeOption = DEFAULT_HOME,
    consignment: Annotated[str, typer.Option(help="Only of this UCR.")] = "",
    type_: Annotated[str, typer.Option("--type", help="Only of this type.")] = "",
    number: Annotated[str, typer.Option(help="Only with this number.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Documents at most.")] = 100,
    after: Annotated[int, typer.Option(min=0, help="The `next` of the page before.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """List the documents this node issued or received."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(
            "/v1/documents",
            consignment=consignment or None,
            type=type_ or None,
            number=number or None,
            limit=limit,
            after=after,
        )
    if as_json:
        output.print_json(body)
        return
    output.table(
        "Documents",
        ("digest", "type", "number", "consignment", "issuer", "origin", "status"),
        [
            (one["digest"], one["type"], one["number"], one.get("consignment"), one["issuer"],
             output.say(one["origin"]), _standing(one))
            for one in body["documents"]
        ],
    )  # fmt: skip
    if body["next"] is not None:
        output.progress(f"{output.say('more')}: --after {body['next']}")


def _standing(document: dict[str, Any]) -> str:
    if document["status"]["revoked"]:
        return output.say("revoked")
    if document["status"]["suspended"]:
        return output.say("suspended")
    standing: str = document.get("verdict") or output.say("in force")
    return f"{standing}, {output.say('basis lost')}" if document.get("basisLost") else standing
