"""As a platform: taking a bill from its carrier, and answering ISSU, BREQ or REFU (ISS 3.0.4).

What cannot be read or attributed is an error at once: schema, checksums, the manifest's signature.
A fault in the content (BOL rules) is answered BREQ, a party without an account here REFU. What may
be issued is issued by rule, or waits for the operator (`ebl.issuance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.ebl import rows
from node.ebl.counterparts import CARRIER_ROLE
from node.ebl.issuance_carrier import STATES, tell
from node.ebl.rows import ISSUED, PENDING, PLATFORM, Issuance
from node.pint import keys as platform_keys
from node.pint import outgoing, platforms
from node.pint import rows as pint_rows
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
from protocols.pint.reading import TRIMMED, checksum_of
from protocols.pint.registries import uri_of
from protocols.pint.words import IssuanceCode
from protocols.title_operation import read_manifest
from schemas import registry, strict_json
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    RefusedError,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.ebl.counterparts import Counterpart
    from node.runtime import Node

BILL = "bill-of-lading"
#: The answer follows the 204; a counterpart must bear the other order as well.
ANSWER_PAUSE_MS = 20
MAX_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of a request that can be read. title: under an arbiter of ours"""

    code: IssuanceCode
    reason: str | None = None
    errors: tuple[IssuanceError, ...] = ()
    title: bytes | None = None
    registry: str | None = None


def receive(conn: Connection, node: Node, carrier: Counterpart, body: bytes) -> Issuance:
    """Keep a request, and answer it where the rules decide.

    Raises MalformedError `pint_message_malformed`, `pint_document_malformed`, ConflictError
    `ebl_reference_taken`, ForbiddenError `ebl_not_a_carrier`, RefusedError `pint_not_as_issued`,
    `bad_signature`, `pint_key_unknown`, `title_other_network`.
    """
    if CARRIER_ROLE not in carrier.roles:
        raise ForbiddenError("ebl_not_a_carrier", "only a carrier puts up bills for issuance")
    request = issuance.read_request(body)
    reference = _reference(request, "transportDocumentReference", 20)
    if reference is None:
        raise MalformedError("pint_document_malformed", "it has a reference", pointer="/document")
    verdict = judge(conn, node, carrier, request)
    number = rows.put_issuance(
        conn,
        {
            "side": PLATFORM,
            "counterpart": carrier.name,
            "reference": reference,
            "sub_reference": _reference(request, "transportDocumentSubReference", 100),
            "state": PENDING,
            "body": body,
            "checksum": checksum_of(request.document),
            "title": verdict.title,
            "created_at": node.clock.now_ms(),
        },
    )
    held = rows.issuance(conn, number)
    tell(conn, node, held, "ebl-asked")
    if verdict.code is not IssuanceCode.ISSU or node.settings.ebl.issuance != "operator":
        answer(conn, node, held, verdict.code, verdict.reason, verdict.errors)
    return rows.issuance(conn, number)


def _reference(request: IssuanceRequest, name: str, longest: int) -> str | None:
    value = request.document.get(name)
    if not isinstance(value, str) or len(value) > longest or TRIMMED.fullmatch(value) is None:
        return None
    return value


def judge(conn: Connection, node: Node, carrier: Counterpart, request: IssuanceRequest) -> Verdict:
    """What the rules say; raises for what cannot be attributed, see `receive`."""
    examination = registry.examine_parsed(BILL, dict(request.document))
    broken = [one for one in examination.errors if one.rule.startswith("SCH")]
    if broken:
        raise MalformedError(
            "pint_document_malformed",
            "the transport document does not obey its schema",
            pointer="/document" + broken[0].pointer,
            findings=broken,
        )
    parsed, _ = issuance.require_manifest(request)
    members = members_of(node)
    node.ebl.counterparts.signatory(carrier, members).verify(parsed, node.clock.now())
    title, where = None, None
    if parsed.typ in ISSUANCE_TYPES:
        title, where = _title(node, carrier, request)
    faults = [
        IssuanceError(one.message[:255].strip(), one.rule[:50])
        for one in examination.errors[:MAX_ERRORS]
    ]
    if faults:
        return Verdict(IssuanceCode.BREQ, "the bill breaks rules of the standard", tuple(faults))
    if request.issue_to.platform != platform_keys.platform_code(node):
        return Verdict(IssuanceCode.REFU, "issueTo names another platform")
    if platforms.account_of(conn, node, request.issue_to.codes) is None:
        return Verdict(IssuanceCode.REFU, "issueTo has no account on this platform")
    return Verdict(IssuanceCode.ISSU, title=title, registry=where)


def _title(node: Node, carrier: Counterpart, request: IssuanceRequest) -> tuple[bytes, str | None]:
    """The title that the manifest makes, and where it is tracked; raises `title_other_network`."""
    members = members_of(node)
    _, manifest = read_manifest(request.manifest)
    if (manifest.network, manifest.carrier) != (members.network, carrier.name):
        raise RefusedError("title_other_network", "the manifest is another network's or carrier's")
    return manifest.title(), uri_of(members, manifest.arbiter)


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
    answer(conn, node, pending[0], code, reason)
    return rows.issuance(conn, pending[0].number)


def answer(
    conn: Connection,
    node: Node,
    held: Issuance,
    code: IssuanceCode,
    reason: str | None = None,
    errors: tuple[IssuanceError, ...] = (),
) -> None:
    """Decide a request, keep the call that says so, and take the bill over when it is issued."""
    relation = TransportDocumentRelation(held.reference, held.sub_reference)
    response = IssuanceResponse(relation, code, reason, errors)
    body, now = strict_json.canonical(response.to_json()), node.clock.now_ms()
    state = STATES[code]
    values = {"state": state, "answer": body.decode(), "answered_at": now}
    rows.change_issuance(conn, held.number, values, only=(PENDING,))
    if state == ISSUED:
        _take_over(conn, node, held)
    draft = rows.Draft(held.counterpart, "POST", issuance.RESPONSES, body, "response", held.number)
    rows.put_call(conn, draft, now + ANSWER_PAUSE_MS)
    tell(conn, node, held, f"ebl-{state}", {"code": code.value})


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
