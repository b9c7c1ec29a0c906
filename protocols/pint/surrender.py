"""Surrender between platform and carrier (DCSA EBL SUR 3.0.4): delivery, amendment, to paper.

The platform that the bill was issued on asks (204), the carrier answers later and once (SURR or
SREJ; a second answer is 409). A request reference is never used again. The carrier possesses the
bill from the request until its answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.fields import Fields
from protocols.pint.endorsement import EndorsementLink, links_of, read_link
from protocols.pint.issuance import TransportDocumentRelation, read_relation
from protocols.pint.reading import CODE, MAX_LIST, TRIMMED, Json, loose, present, word
from protocols.pint.words import (
    ENDING,
    FROM_REQUEST,
    TO_REQUEST,
    LinkAction,
    Reason,
    SurrenderAction,
    SurrenderCode,
)
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.pint.transactions import Transaction
    from protocols.title.machine import Ending

REQUESTS = "/v3/ebl-surrender-requests"
RESPONSES = "/v3/ebl-surrender-responses"
MAX_LINKS = 10_000
_NOT_ASKED = frozenset({LinkAction.TRANSFER, LinkAction.SURRENDERED})


@dataclass(frozen=True, slots=True)
class SurrenderRequest:
    """The body of POST /v3/ebl-surrender-requests."""

    reference: str
    relation: TransportDocumentRelation
    code: SurrenderCode
    reason: Reason | None = None
    comments: str | None = None
    links: tuple[EndorsementLink, ...] = ()

    @property
    def ending(self) -> Ending:
        """How the title ends once the carrier accepts."""
        return ENDING[FROM_REQUEST[self.code], self.reason]

    def to_json(self) -> Json:
        """The body."""
        body: Json = {
            "surrenderRequestReference": self.reference,
            **self.relation.to_json(),
            "surrenderRequestCode": self.code.value,
            **present(reasonCode=self.reason and self.reason.value, comments=self.comments),
        }
        if self.links:
            body["endorsementChain"] = [link.to_json(no_party_named=True) for link in self.links]
        return body


def read_request(data: bytes) -> SurrenderRequest:
    """The platform's request; raises MalformedError json_*, `pint_message_malformed`."""
    fields = Fields(strict_json.loads_object(data), CODE)
    code = word(fields, "surrenderRequestCode", SurrenderCode)
    reason = loose(fields, "reasonCode", 4)
    if reason is not None and code is not SurrenderCode.AREQ:
        raise fields.fault("reasonCode", "a reason is given for an amendment only")
    return SurrenderRequest(
        reference=_reference(fields),
        relation=read_relation(fields),
        code=code,
        reason=None if reason is None else word(fields, "reasonCode", Reason),
        comments=fields.optional_text("comments", pattern=TRIMMED, max_length=255),
        links=tuple(
            read_link(item, recipient_required=True)
            for item in fields.children("endorsementChain", MAX_LINKS)
        ),
    )


def _reference(fields: Fields) -> str:
    return fields.text("surrenderRequestReference", pattern=TRIMMED, max_length=100)


def request_of(
    reference: str, relation: TransportDocumentRelation, transactions: Sequence[Transaction]
) -> SurrenderRequest:
    """The request that the last transaction, a surrender, stands for.

    Only what SUR's toolkit takes is listed of the chain before it: transfers of possession are left
    out, the surrender itself is there. Raises KeyError when the last one is no surrender.
    """
    last = transactions[-1]
    kept = [one for one in links_of(transactions) if one.action not in _NOT_ASKED]
    return SurrenderRequest(
        reference, relation, TO_REQUEST[last.action], last.reason, last.comments, tuple(kept)
    )


@dataclass(frozen=True, slots=True)
class FeedbackElement:
    """Why a request could not be processed. severity: ERROR, WARN or INFO."""

    severity: str | None = None
    message: str | None = None
    path: str | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        return present(severity=self.severity, message=self.message, propertyPath=self.path)


@dataclass(frozen=True, slots=True)
class SurrenderAnswer:
    """The body of POST /v3/ebl-surrender-responses."""

    reference: str
    action: SurrenderAction
    comments: str | None = None
    feedback: tuple[FeedbackElement, ...] = ()

    def to_json(self) -> Json:
        """The body."""
        body: Json = {
            "surrenderRequestReference": self.reference,
            "action": self.action.value,
            **present(comments=self.comments),
        }
        if self.feedback:
            body["feedbackElements"] = [one.to_json() for one in self.feedback]
        return body


def read_answer(data: bytes, *, reason_required: bool = True) -> SurrenderAnswer:
    """The carrier's answer; a rejection says why. Raises as `read_request`.

    reason_required: False for a peer in a test that leaves it out (R7), and for what was taken
    """
    fields = Fields(strict_json.loads_object(data), CODE)
    answer = SurrenderAnswer(
        reference=_reference(fields),
        action=word(fields, "action", SurrenderAction),
        comments=fields.optional_text("comments", pattern=TRIMMED, max_length=255),
        feedback=tuple(
            FeedbackElement(
                loose(item, "severity", 50),
                loose(item, "message", 5000),
                loose(item, "propertyPath", 1000),
            )
            for item in fields.children("feedbackElements", MAX_LIST)
        ),
    )
    unexplained = answer.action is SurrenderAction.SREJ and answer.comments is None
    if unexplained and reason_required:
        raise fields.fault("comments", "a rejection says why")
    return answer
