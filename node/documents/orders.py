"""What an operator asks for when issuing or revoking, read strictly."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from protocols import approval, keys, times
from protocols.approval import Subject
from protocols.credentials import sd_credential
from protocols.credentials.credential import MAX_DOCUMENT_BYTES
from protocols.credentials.sd_credential import FORMS
from protocols.digest import sha256
from protocols.fields import COUNTRY, Fields
from schemas.errors import MalformedError, NotFoundError, TooLargeError
from schemas.strict_json import JsonValue

CODE = "issue_malformed"
MAX_REASON = 500
_UCR = re.compile(r"[A-Za-z0-9/().: -]{1,35}")
_MEDIA_TYPE = re.compile(r"(?a:[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80})")


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """One document to issue; what is None is taken from the document."""

    payload: bytes = field(repr=False)
    type: str | None = None
    consignment: str | None = None
    media_type: str | None = None
    valid_until: datetime | None = None
    export_country: str | None = None
    import_country: str | None = None
    #: typ of a form with disclosable members, and the public JWK of who may present it.
    form: str | None = None
    holder: Mapping[str, str] | None = None
    #: Persons' signed approvals (R26).
    approvals: tuple[str, ...] = ()
    #: Set by the review alone: the signed batch and the place in it, how many persons it asks for.
    batch: tuple[str, int] | None = None
    persons: int = 0

    @property
    def data(self) -> bytes:
        """The bytes that the credential will carry.

        A document with disclosable members is carried as claims: its bytes are the canonical ones.
        """
        return sd_credential.plain_payload(self.payload) if self.form else self.payload


def subject_of(order: IssueOrder, key: str, number: str) -> Subject:
    """What a person approves who approves this order: the payload, and all that is signed with it.

    key: the document's type, given or detected; number: the document's own
    """
    said: dict[str, JsonValue] = {
        "type": key,
        "consignment": order.consignment,
        "mediaType": order.media_type,
        "validUntil": times.to_text(order.valid_until) if order.valid_until else None,
        "exportCountry": order.export_country,
        "importCountry": order.import_country,
        "form": order.form,
        "holder": {**order.holder} if order.holder else None,
    }
    terms = {name: value for name, value in said.items() if value is not None}
    return approval.subject(approval.ISSUE, sha256(order.data), terms, type_=key, number=number)


def status_subject(act: str, digest: bytes, key: str, number: str, reason: str) -> Subject:
    """What a person approves who approves a change of a document's status for that reason."""
    return approval.subject(act, digest, {"reason": reason}, type_=key, number=number)


def read_issue(body: Mapping[str, JsonValue]) -> IssueOrder:
    """POST /v1/documents; raises MalformedError `issue_malformed`, TooLargeError."""
    fields = Fields(body, CODE)
    return IssueOrder(
        payload=_payload(fields),
        type=fields.optional_text("type", max_length=100),
        consignment=fields.optional_text("consignment", pattern=_UCR),
        media_type=fields.optional_text("mediaType", pattern=_MEDIA_TYPE),
        valid_until=fields.optional_time("validUntil"),
        export_country=fields.optional_text("exportCountry", pattern=COUNTRY),
        import_country=fields.optional_text("importCountry", pattern=COUNTRY),
        form=_form(fields),
        holder=_holder(fields),
        approvals=read_approvals(fields),
    )


def read_approvals(fields: Fields) -> tuple[str, ...]:
    """Compact JWS texts; whether they count is asked where what they are for is done."""
    found = fields.members.get("approvals", [])
    if not isinstance(found, list) or len(found) > approval.MAX_APPROVALS:
        raise fields.fault("approvals", f"a list of at most {approval.MAX_APPROVALS} approvals")
    texts = [each for each in found if isinstance(each, str) and each.isascii()]
    if len(texts) < len(found):
        raise fields.fault("approvals", "an approval is a compact JWS")
    return tuple(texts)


def _form(fields: Fields) -> str | None:
    form = fields.optional_text("form", max_length=20)
    if form is not None and form not in FORMS:
        raise fields.fault("form", f"form is {' or '.join(sorted(FORMS))}")
    return form


def _holder(fields: Fields) -> Mapping[str, str] | None:
    """The holder's public JWK, checked to be a key that can sign."""
    if not fields.has("holder"):
        return None
    if not fields.has("form"):
        raise fields.fault("holder", "a holder is named in a form with disclosable members only")
    return keys.from_jwk("cnf", fields.members["holder"], pointer="/holder").jwk


def _payload(fields: Fields) -> bytes:
    text = fields.text("payload", max_length=2 * MAX_DOCUMENT_BYTES)
    try:
        payload = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise fields.fault("payload", "the payload is base64 (RFC 4648 §4)") from None
    if len(payload) > MAX_DOCUMENT_BYTES:
        raise TooLargeError("document_too_large", f"more than {MAX_DOCUMENT_BYTES} bytes")
    return payload


def read_change(body: Mapping[str, JsonValue]) -> tuple[str, tuple[str, ...]]:
    """POST …/revoke, suspend, reinstate: why, for those who relied on it, and the approvals."""
    fields = Fields(body, "revoke_malformed")
    return fields.text("reason", max_length=MAX_REASON), read_approvals(fields)


def read_timestamp(text: str, now: datetime) -> datetime:
    """GET /status/…?timestamp=: an XML Schema dateTimeStamp, which has its zone.

    Raises MalformedError `status_timestamp_malformed`; NotFoundError `status_not_then` for a moment
    to come, of which nothing can be said yet.
    """
    try:
        at = times.from_text(text)
    except MalformedError as error:
        raise MalformedError("status_timestamp_malformed", error.detail, name="timestamp") from None
    if at > now:
        raise NotFoundError("status_not_then", "that moment is still to come")
    return at
