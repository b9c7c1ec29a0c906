"""As a carrier: putting a bill before a platform, and what its answer sets off (ISS 3.0.4).

The manifest is signed first, so the title's id is known to both before there is a title (R19); the
title is issued at its arbiter when the platform has answered ISSU, and never otherwise. Everything
is kept before the call goes out: an answer that arrives before the 204 finds its request. A title
that its arbiter refuses for good is said to the platform, and the bill may be put up again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select

from node.documents import documents, signing
from node.ebl import notices, rows
from node.ebl.rows import CARRIER, ISSUED, PENDING, TITLE_REFUSED, VOID, Issuance
from node.ebl.tables import issuances
from node.store import events
from node.title import making
from node.title.making import IssueOrder
from node.title.partners import members_of
from node.title.tables import submissions, titles
from protocols.digest import sha256
from protocols.pint import issuance
from protocols.pint.chain import issuance_manifest
from protocols.pint.issuance import (
    IssuanceRequest,
    IssuanceResponse,
    IssueToParty,
    Replacements,
    TransportDocumentRelation,
    Visualisation,
)
from protocols.pint.notification import Feedback, Status
from protocols.pint.parties import document_party, is_did
from protocols.pint.reading import checksum_of
from protocols.pint.words import IssuanceCode
from protocols.title import operation as title_operation
from protocols.title.machine import Kind
from schemas import strict_json
from schemas.errors import ConflictError, NotFoundError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.ebl.counterparts import Counterpart
    from node.runtime import Node
    from schemas.strict_json import JsonValue

STATES = {
    IssuanceCode.ISSU: ISSUED,
    IssuanceCode.BREQ: "content-error",
    IssuanceCode.REFU: "refused",
}
#: A submission to the arbiter in one of these is decided, and the title was not issued by it.
LOST = ("refused", "failed")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the operator asks for. document: digest of an own bill of lading

    endorsee: DID where the bill does not say it; replaces: reference of an ended bill
    """

    document: bytes
    issue_to: IssueToParty
    endorsee: str | None = None
    replaces: str | None = None
    arbiter: str = ""
    visualisation: Visualisation | None = None


def request(conn: Connection, node: Node, platform: Counterpart, asked: Asked) -> Issuance:
    """Keep the request and the call that carries it.

    Raises ConflictError `ebl_reference_taken`, RefusedError `title_not_a_bill`,
    `ebl_endorsee_unnamed`, NotFoundError `ebl_bill_unknown`, and as `making.manifest_of` and
    `making.succeeding`.
    """
    held = documents.require(conn, asked.document)
    document = strict_json.loads_object(held.payload)
    replaced = _replaced(conn, asked.replaces)
    order = _title_order(platform, asked, document, replaced)
    if order is not None:
        order = making.succeeding(conn, node, order)
        replaced = _predecessor(conn, order) or replaced
    manifest, title = _manifest(conn, node, asked, order, held, document)
    made = IssuanceRequest(
        document=document,
        issue_to=asked.issue_to,
        issue_to_value=asked.issue_to.to_json(),
        manifest=manifest,
        visualisation=asked.visualisation,
        replacements=None if replaced is None else Replacements((_relation(replaced),)),
    )
    intent: dict[str, JsonValue] = {"document": asked.document.hex()}
    if order is not None:
        intent |= _intent(order)
    now = node.clock.now_ms()
    body = strict_json.canonical(made.to_json())
    number = rows.put_issuance(
        conn,
        {
            "side": CARRIER,
            "counterpart": platform.name,
            "reference": held.number,
            "sub_reference": _sub_reference(document),
            "state": PENDING,
            "body": body,
            "checksum": checksum_of(document),
            "title": title,
            "intent": strict_json.canonical(intent).decode(),
            "created_at": now,
        },
    )
    draft = rows.Draft(platform.name, "PUT", issuance.REQUESTS, body, "issuance", number)
    rows.put_call(conn, draft, now)
    return rows.issuance(conn, number)


def _replaced(conn: Connection, reference: str | None) -> Issuance | None:
    if reference is None:
        return None
    ended = [one for one in rows.of_reference(conn, reference, side=CARRIER) if one.state == VOID]
    if not ended:
        raise NotFoundError("ebl_bill_unknown", "no ended bill of that reference was issued here")
    return ended[0]


def _predecessor(conn: Connection, order: IssueOrder) -> Issuance | None:
    """The issuance of the title that the new one follows; one alone may follow it."""
    if order.replaces is None:
        return None
    if (other := rows.in_place_of(conn, order.replaces)) is not None:
        raise ConflictError("title_already_replaced", f"{other.reference} is put up in its place")
    return rows.issuance_of_title(conn, order.replaces, CARRIER)


def _relation(held: Issuance) -> TransportDocumentRelation:
    return TransportDocumentRelation(held.reference, held.sub_reference)


def _sub_reference(document: Mapping[str, JsonValue]) -> str | None:
    found = document.get("transportDocumentSubReference")
    return found if isinstance(found, str) else None


def did_of(party: IssueToParty) -> str | None:
    """The DID among the codes of the first possessor, if there is one."""
    return next((code.code for code in party.codes if is_did(code)), None)


def _title_order(
    platform: Counterpart,
    asked: Asked,
    document: Mapping[str, JsonValue],
    replaced: Issuance | None,
) -> IssueOrder | None:
    """How the title is to be issued; None where the platform is outside: it keeps its own record"""
    holder = did_of(asked.issue_to)
    if not platform.is_member or holder is None:
        return None
    role = "endorsee" if document.get("isToOrder") is True else "consignee"
    endorsee = asked.endorsee or _document_did(document, role)
    if endorsee is None and document_party(document, role) is not None:
        raise RefusedError("ebl_endorsee_unnamed", f"which DID is the {role}?", pointer=f"/{role}")
    return IssueOrder(
        document=asked.document,
        holder=holder,
        endorsee=endorsee,
        replaces=None if replaced is None else replaced.title,
        arbiter=asked.arbiter,
    )


def _document_did(document: Mapping[str, JsonValue], role: str) -> str | None:
    party = document_party(document, role)
    codes = () if party is None else party.codes
    return next((code.code for code in codes if is_did(code)), None)


def _intent(order: IssueOrder) -> dict[str, JsonValue]:
    values: dict[str, JsonValue] = {"holder": order.holder, "arbiter": order.arbiter}
    if order.endorsee is not None:
        values["endorsee"] = order.endorsee
    if order.replaces is not None:
        values["replaces"] = order.replaces.hex()
    return values


def _manifest(
    conn: Connection,
    node: Node,
    asked: Asked,
    order: IssueOrder | None,
    held: StoredDocument,
    document: Mapping[str, JsonValue],
) -> tuple[str, bytes | None]:
    """The signed manifest, and the id of the title that it makes.

    Under our arbiter by the title key and under its own typ; for a platform outside in DCSA's plain
    form by the credential key, with its certificates.
    """
    picture = None if asked.visualisation is None else asked.visualisation.content
    shown = None if picture is None else sha256(picture)
    if order is None:
        members = members_of(node)
        keys = signing.signing(node, members)
        plain = issuance_manifest(document, asked.issue_to.to_json(), shown)
        return plain.sign(keys.signer, keys.x5c), None
    making.bill_of(conn, order)
    making.require_untitled(conn, order.document)
    arbiter = making.arbiter_id(node, order.arbiter)
    manifest = replace(
        making.manifest_of(node, order, arbiter, held),
        issue_to_checksum=checksum_of(asked.issue_to.to_json()),
        visualisation=shown,
    )
    members, now = members_of(node), node.clock.now()
    signer = making.signer_for(node, making.recipient(members, node.did, now))
    return title_operation.sign_manifest(manifest, signer), manifest.title()


# -- the platform's answer ---------------------------------------------------------------------


def take_response(
    conn: Connection, node: Node, platform: Counterpart, response: IssuanceResponse
) -> None:
    """Keep the answer; the same one again changes nothing.

    Raises NotFoundError `ebl_bill_unknown`, ConflictError `ebl_answered`.
    """
    found = rows.of_reference(
        conn, response.relation.reference, side=CARRIER, counterpart=platform.name
    )
    sub = response.relation.sub_reference
    found = [one for one in found if sub is None or one.sub_reference in (None, sub)]
    if not found:
        raise NotFoundError("ebl_bill_unknown", "no such bill was put before this platform")
    held, text = found[0], strict_json.canonical(response.to_json()).decode()
    if held.state != PENDING:
        if held.answer == text:
            return
        raise ConflictError("ebl_answered", f"the bill is {held.state}", state=held.state)
    now = node.clock.now_ms()
    state = STATES[response.response]
    values = {"state": state, "answer": text, "answered_at": now}
    rows.change_issuance(conn, held.number, values)
    # The answer says that the request arrived, whatever became of its own 204.
    for call in rows.calls_of(conn, "issuance", held.number):
        if call.state == "waiting":
            rows.change_call(conn, call.number, {"state": "done"})
    tell(conn, node, held, f"ebl-{state}", {"code": response.response.value})
    if response.response is IssuanceCode.ISSU:
        notices.send(conn, node, held, Status.ISSUED)


def tell(
    conn: Connection, node: Node, held: Issuance, kind: str, detail: dict[str, Any] | None = None
) -> None:
    """The event of a change."""
    events.record(
        conn,
        kind=kind,
        at=node.clock.now_ms(),
        document=document_of(held),
        actor=held.counterpart,
        detail={"reference": held.reference, "side": held.side, **(detail or {})},
    )


def intent_of(held: Issuance) -> dict[str, Any]:
    """How the carrier wanted it."""
    return {} if held.intent is None else strict_json.loads_object(held.intent.encode())


def document_of(held: Issuance) -> bytes | None:
    """The digest of the carrier's own document."""
    text = intent_of(held).get("document")
    return bytes.fromhex(text) if isinstance(text, str) else None


async def give_title(node: Node, held: Issuance) -> None:
    """Issue the title of a bill that its platform has taken; asked again until it is handed in."""
    wanted = intent_of(held)
    order = IssueOrder(
        document=bytes.fromhex(wanted["document"]),
        holder=wanted["holder"],
        endorsee=wanted.get("endorsee"),
        replaces=bytes.fromhex(wanted["replaces"]) if "replaces" in wanted else None,
        arbiter=wanted["arbiter"],
        issuance=issuance.read_request(held.body).manifest,
    )
    fault = None
    try:
        await node.title.issue(order)
    except TradeError as error:
        if error.retryable:
            raise
        ours = held.title is not None and error.context.get("title") == held.title.hex()
        fault = None if ours else error.code

    def done(conn: Connection) -> None:
        rows.change_issuance(conn, held.number, {"titled_at": node.clock.now_ms()})
        if fault is not None:
            let_fall(conn, node, held, fault)

    await node.store.write(done)


# -- titles that their arbiter refused ---------------------------------------------------------


def refused_titles(conn: Connection) -> list[tuple[int, str]]:
    """Bills that are called issued though their ISSUE was refused for good: number, and the code.

    What was handed in may be refused long after the platform's answer: the arbiter was cut off,
    and meanwhile the carrier's key was retired or the operation's deadline passed.
    """
    issue = submissions.c.kind == Kind.ISSUE.value
    lives = exists().where(titles.c.title == issuances.c.title)
    tried = submissions.alias()
    open_ = exists().where(
        tried.c.title == issuances.c.title,
        tried.c.kind == Kind.ISSUE.value,
        tried.c.status.not_in(LOST),
    )
    query = (
        select(issuances.c.number, submissions.c.code)
        .join(submissions, submissions.c.title == issuances.c.title)
        .where(issue, submissions.c.status.in_(LOST), ~lives, ~open_)
        .where(issuances.c.side == CARRIER, issuances.c.state == ISSUED)
        .order_by(issuances.c.number, submissions.c.created_at)
        .limit(rows.MAX_PAGE)
    )
    found = {number: code or "title_refused" for number, code in conn.execute(query)}
    return list(found.items())


def let_refused_fall(conn: Connection, node: Node) -> None:
    """Every one of `refused_titles`."""
    for number, why in refused_titles(conn):
        let_fall(conn, node, rows.issuance(conn, number), why)


def let_fall(conn: Connection, node: Node, held: Issuance, why: str) -> None:
    """The bill is not in force: say so here, to the operator and to the platform that issued it.

    ISS 3.0.4 has no word for a carrier that takes back what a platform has issued; the notification
    of EBL 3.0.4 has VOIDED.
    """
    values = {"state": TITLE_REFUSED, "fault": why}
    if not rows.change_issuance(conn, held.number, values, only=(ISSUED,)):
        return
    tell(conn, node, held, "ebl-title-refused", {"why": why})
    tell(conn, node, held, "alarm", {"area": "ebl", "code": "ebl_title_refused", "why": why})
    said = Feedback("ERROR", notices.TITLE_REFUSED, why)
    notices.send(conn, node, held, Status.VOIDED, said)
