"""As a platform: taking a bill from its carrier, and answering ISSU, BREQ or REFU (ISS 3.0.4).

What cannot be read or attributed is an error at once: schema, checksums, the manifest's signature.
A fault in the content (BOL rules) is answered BREQ, a party without an account here REFU. What may
be issued is issued by rule, or waits for the operator (`ebl.issuance`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.ebl import notices, rows
from node.ebl.counterparts import CARRIER_ROLE
from node.ebl.issuance_carrier import STATES, tell
from node.ebl.rows import ISSUED, PENDING, PLATFORM, TITLE_REFUSED, Issuance
from node.pint import keys as platform_keys
from node.pint import outgoing, platforms
from node.pint import rows as pint_rows
from node.title import law
from node.title import rows as title_rows
from node.title.partners import members_of
from protocols.digest import sha256
from protocols.pint import issuance
from protocols.pint.chain import ISSUANCE_TYPES
from protocols.pint.envelope import DocumentMetadata
from protocols.pint.issuance import (
    IssuanceError,
    IssuanceRequest,
    IssuanceResponse,
    TransportDocumentRelation,
)
from protocols.pint.notification import Status
from protocols.pint.reading import TRIMMED, checksum_of
from protocols.pint.registries import uri_of
from protocols.pint.words import IssuanceCode
from protocols.title.operation import read_manifest
from schemas import registry, strict_json
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.ebl.counterparts import Counterpart
    from node.runtime import Node
    from schemas.findings import Finding

BILL = "bill-of-lading"
#: The answer follows the 204; a counterpart must bear the other order as well.
ANSWER_PAUSE_MS = 20
MAX_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Examined:
    """A request that can be read and is its carrier's. title: under an arbiter of ours

    refused: why the rules forbid it, None where only its party is still to be looked up
    """

    request: IssuanceRequest
    body: bytes
    reference: str
    title: bytes | None = None
    refused: IssuanceResponse | None = None


def examine(node: Node, carrier: Counterpart, body: bytes) -> Examined:
    """Everything that needs no store.

    Raises MalformedError `pint_message_malformed`, `pint_document_malformed`, ForbiddenError
    `ebl_not_a_carrier`, RefusedError `pint_not_as_issued`, `bad_signature`, `pint_key_unknown`,
    `title_other_network`.
    """
    if CARRIER_ROLE not in carrier.roles:
        raise ForbiddenError("ebl_not_a_carrier", "only a carrier puts up bills for issuance")
    request = issuance.read_request(body)
    examination = registry.examine_parsed(BILL, dict(request.document))
    broken = [one for one in examination.errors if one.rule.startswith("SCH")]
    reference = _reference(request, "transportDocumentReference", 20)
    if broken or reference is None:
        raise MalformedError(
            "pint_document_malformed",
            "the transport document does not obey its schema",
            pointer="/document" + (broken[0].pointer if broken else ""),
            findings=broken,
        )
    parsed, _ = issuance.require_manifest(request)
    node.ebl.counterparts.signatory(carrier).verify(parsed, node.clock.now())
    made = Examined(request, body, reference)
    if parsed.typ in ISSUANCE_TYPES:
        made = replace(made, title=_title(node, carrier, request))
    return replace(made, refused=_refused(node, made, examination.errors))


def _refused(node: Node, made: Examined, errors: Sequence[Finding]) -> IssuanceResponse | None:
    """BREQ for what is wrong in the bill, REFU for what cannot be issued here."""
    relation = _relation(made.request, made.reference)
    if errors:
        faults = tuple(
            IssuanceError(one.message[:255].strip(), one.rule[:50]) for one in errors[:MAX_ERRORS]
        )
        told = "the bill breaks rules of the standard"
        return IssuanceResponse(relation, IssuanceCode.BREQ, told, faults)
    if made.request.issue_to.platform != platform_keys.platform_code(node):
        return IssuanceResponse(relation, IssuanceCode.REFU, "issueTo names another platform")
    if made.title is not None:
        try:
            law.require_manifest(node, made.request.manifest)
        except RefusedError as error:
            reason = f"{error.code}: {error.detail}"[:255]
            return IssuanceResponse(relation, IssuanceCode.REFU, reason)
    return None


def _relation(request: IssuanceRequest, reference: str) -> TransportDocumentRelation:
    sub_reference = _reference(request, "transportDocumentSubReference", 100)
    return TransportDocumentRelation(reference, sub_reference)


def receive(conn: Connection, node: Node, carrier: Counterpart, made: Examined) -> Issuance:
    """Keep a request, and answer it where the rules decide.

    Raises ConflictError `ebl_reference_taken`.
    """
    relation = _relation(made.request, made.reference)
    number = rows.put_issuance(
        conn,
        {
            "side": PLATFORM,
            "counterpart": carrier.name,
            "reference": relation.reference,
            "sub_reference": relation.sub_reference,
            "state": PENDING,
            "body": made.body,
            "checksum": checksum_of(made.request.document),
            "title": made.title,
            "created_at": node.clock.now_ms(),
        },
    )
    held = rows.issuance(conn, number)
    tell(conn, node, held, "ebl-asked")
    said = made.refused
    if said is None and platforms.account_of(conn, node, made.request.issue_to.codes) is None:
        reason = "issueTo has no account on this platform"
        said = IssuanceResponse(relation, IssuanceCode.REFU, reason)
    if said is None and _has_moved(conn, made):
        reason = "a chain of this very document has ended here; re-issue it amended"
        said = IssuanceResponse(relation, IssuanceCode.BREQ, reason)
    if said is None and node.settings.ebl.issuance != "operator":
        said = IssuanceResponse(relation, IssuanceCode.ISSU)
    if said is not None:
        answer(conn, node, held, said)
    return rows.issuance(conn, number)


def _has_moved(conn: Connection, made: Examined) -> bool:
    """Whether a chain stands for this very document: who holds it would call a new one DISE."""
    known = pint_rows.known_chain(conn, checksum_of(made.request.document))
    return known is not None and bool(known.texts)


def _reference(request: IssuanceRequest, name: str, longest: int) -> str | None:
    value = request.document.get(name)
    if not isinstance(value, str) or len(value) > longest or TRIMMED.fullmatch(value) is None:
        return None
    return value


def _title(node: Node, carrier: Counterpart, request: IssuanceRequest) -> bytes:
    """The title that the manifest makes; raises `title_other_network`."""
    members = members_of(node)
    _, manifest = read_manifest(request.manifest)
    if (manifest.network, manifest.carrier) != (members.network, carrier.name):
        raise RefusedError("title_other_network", "the manifest is another network's or carrier's")
    return manifest.title()


# -- answering ---------------------------------------------------------------------------------


def decide(
    conn: Connection, node: Node, reference: str, code: IssuanceCode, reason: str | None
) -> Issuance:
    """The operator's word on a pending request.

    Raises NotFoundError `ebl_bill_unknown`, ConflictError `ebl_answered`,
    `ebl_reference_ambiguous`, MalformedError `ebl_reason_missing`.
    """
    found = rows.of_reference(conn, reference, side=PLATFORM)
    pending = [one for one in found if one.state == PENDING]
    if len(pending) > 1:
        raise ConflictError("ebl_reference_ambiguous", "two carriers use this reference")
    if not pending and found:
        raise ConflictError("ebl_answered", f"the bill is {found[0].state}", state=found[0].state)
    if not pending:
        raise NotFoundError("ebl_bill_unknown", "nothing was put up under that reference")
    if code is not IssuanceCode.ISSU and not reason:
        raise MalformedError("ebl_reason_missing", "say why", pointer="/reason")
    held = pending[0]
    relation = TransportDocumentRelation(held.reference, held.sub_reference)
    answer(conn, node, held, IssuanceResponse(relation, code, reason))
    return rows.issuance(conn, pending[0].number)


def answer(conn: Connection, node: Node, held: Issuance, response: IssuanceResponse) -> None:
    """Decide a request, keep the call that says so, and take the bill over when it is issued."""
    body, now = strict_json.canonical(response.to_json()), node.clock.now_ms()
    state = STATES[response.response]
    values = {"state": state, "answer": body.decode(), "answered_at": now}
    rows.change_issuance(conn, held.number, values, only=(PENDING,))
    if state == ISSUED:
        _take_over(conn, node, held)
    draft = rows.Draft(held.counterpart, "POST", issuance.RESPONSES, body, "response", held.number)
    rows.put_call(conn, draft, now + ANSWER_PAUSE_MS)
    tell(conn, node, held, f"ebl-{state}", {"code": response.response.value})


def _take_over(conn: Connection, node: Node, held: Issuance) -> None:
    """The bill is here: its document, manifest and picture, from which its chain begins (PINT)."""
    request, now = issuance.read_request(held.body), node.clock.now_ms()
    where = _title_place(node, request, held)
    pint_rows.put_bill(
        conn,
        held.checksum,
        now,
        reference=held.reference,
        carrier=held.counterpart,
        title=held.title,
        registry=where,
        issuance=request.manifest,
        body=strict_json.canonical(request.document).decode(),
        status=pint_rows.HERE,
    )
    picture = request.visualisation
    if picture is not None:
        announced = DocumentMetadata(
            picture.name, len(picture.content), picture.content_type, sha256(picture.content)
        )
        outgoing.put_picture(conn, held.checksum, announced, picture.content, now)


def _title_place(node: Node, request: IssuanceRequest, held: Issuance) -> str | None:
    if held.title is None:
        return None
    _, manifest = read_manifest(request.manifest)
    return uri_of(members_of(node), manifest.arbiter)


# -- what the carrier says afterwards ----------------------------------------------------------


def hear(conn: Connection, node: Node, carrier: Counterpart, body: bytes) -> None:
    """Keep what a carrier tells of a bill; one whose title was refused is not in force here."""
    event = notices.receive(conn, node, carrier, body)
    if event is None or event.status != Status.VOIDED.value:
        return
    fault = next((one for one in event.feedback if one.code == notices.TITLE_REFUSED), None)
    reference, sub = event.relation.reference, event.relation.sub_reference
    found = rows.of_reference(conn, reference, side=PLATFORM, counterpart=carrier.name)
    living = [one for one in found if one.state == ISSUED and one.sub_reference == sub]
    if fault is None or not living:
        return
    _let_fall(conn, node, living[0], fault.message[:100])


def _let_fall(conn: Connection, node: Node, held: Issuance, why: str) -> None:
    """Its carrier says so, and must: it signed the ISSUE. A title that is final here stands."""
    if held.title is None or title_rows.find(conn, held.title) is not None:
        return
    values = {"state": TITLE_REFUSED, "fault": why}
    rows.change_issuance(conn, held.number, values, only=(ISSUED,))
    bill = pint_rows.bill(conn, held.checksum)
    if bill is not None and bill.title == held.title:
        now = node.clock.now_ms()
        pint_rows.put_bill(conn, held.checksum, now, status=pint_rows.ENDED)
    tell(conn, node, held, "ebl-title-refused", {"why": why})
    tell(conn, node, held, "alarm", {"area": "ebl", "code": "ebl_title_refused", "why": why})
