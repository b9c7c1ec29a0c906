"""What a receiving platform answers, and what a sender may conclude from an answer.

EnvelopeTransferStartedResponse is unsigned; EnvelopeTransferFinishedResponse is signed, its body a
bare JSON string that holds the compact JWS. The signed code decides, whatever the HTTP status says;
an answer without signature leaves the outcome unknown, and the sender asks again (R13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from protocols.fields import Fields
from protocols.pint import signed
from protocols.pint.chain import payload_fields
from protocols.pint.reading import (
    CODE,
    COMPACT,
    Json,
    checksums,
    in_hex,
    optional_compact,
    present,
    word,
)
from protocols.pint.words import ACCEPTED, HTTP_STATUS, Response
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from protocols.keys import Signer
    from protocols.pint.platforms import Signatory
    from protocols.pint.signed import Signed

MAX_ANSWER = 2 * 1024 * 1024
MAX_REASON = 255
_DUPLICATE = "duplicateOfAcceptedEnvelopeTransferChainEntrySignedContent"
_LAST = "lastEnvelopeTransferChainEntrySignedContentChecksum"


@dataclass(frozen=True, slots=True)
class StartedResponse:
    """201: the transfer is active and these documents are still to come (at least one)."""

    reference: str
    document: bytes
    last: bytes
    missing: tuple[bytes, ...]

    def to_json(self) -> Json:
        """The body; raises ValueError when nothing is missing, which is RECE instead."""
        if not self.missing:
            raise ValueError("a transfer that lacks no document is finished at once")
        return {
            "envelopeReference": self.reference,
            "transportDocumentChecksum": self.document.hex(),
            _LAST: self.last.hex(),
            "missingAdditionalDocumentChecksums": [one.hex() for one in self.missing],
        }


def read_started(fields: Fields) -> StartedResponse:
    """The unsigned answer to a started transfer."""
    missing = checksums(fields, "missingAdditionalDocumentChecksums")
    if not missing:
        raise fields.fault("missingAdditionalDocumentChecksums", "at least one document is missing")
    return StartedResponse(
        fields.text("envelopeReference", max_length=100),
        fields.digest("transportDocumentChecksum"),
        fields.digest(_LAST),
        missing,
    )


@dataclass(frozen=True, slots=True)
class FinishedResponse:
    """The payload of a signed answer; made by the functions below, one for each code.

    last: SHA-256 of the last entry's text in the request; duplicate_of: the accepted last entry
    missing, received: None where the code has no such list
    """

    last: bytes
    response: Response
    duplicate_of: str | None = None
    reason: str | None = None
    missing: tuple[bytes, ...] | None = None
    received: tuple[bytes, ...] | None = None

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return HTTP_STATUS[self.response]

    def to_json(self) -> Json:
        """The signed object."""
        return {
            _LAST: self.last.hex(),
            "responseCode": self.response.value,
            **present(
                reason=self.reason,
                missingAdditionalDocumentChecksums=_in_hex(self.missing),
                receivedAdditionalDocumentChecksums=_in_hex(self.received),
            ),
            **present(**{_DUPLICATE: self.duplicate_of}),
        }

    def sign(self, signer: Signer, x5c: Sequence[bytes] = ()) -> str:
        """The compact JWS by the receiving platform's key."""
        return signed.sign(strict_json.canonical(self.to_json()), signer=signer, x5c=x5c)


def _in_hex(values: tuple[bytes, ...] | None) -> list[strict_json.JsonValue] | None:
    return None if values is None else [in_hex(one) for one in values]


def received(last: bytes, documents: Iterable[bytes]) -> FinishedResponse:
    """RECE: the transfer is accepted; all documents of the manifest, also those held before."""
    return FinishedResponse(last, Response.RECE, received=tuple(documents))


def duplicate(last: bytes, accepted_entry: str, documents: Iterable[bytes]) -> FinishedResponse:
    """DUPE: an earlier transfer stands; its last entry as it was accepted."""
    return FinishedResponse(last, Response.DUPE, accepted_entry, received=tuple(documents))


def rejected(last: bytes, response: Response, reason: str) -> FinishedResponse:
    """BSIG, BENV, INCD or DISE, with a sentence of at most 255 characters."""
    if response in ACCEPTED or response is Response.MDOC:
        raise ValueError(f"{response.value} has lists of its own")
    return FinishedResponse(last, response, reason=reason[:MAX_REASON] or None)


def missing_documents(last: bytes, documents: Iterable[bytes], reason: str) -> FinishedResponse:
    """MDOC: the transfer cannot be finished before these documents are here."""
    listed = tuple(documents)
    if not listed:
        raise ValueError("MDOC lists what is missing")
    return FinishedResponse(last, Response.MDOC, reason=reason[:MAX_REASON], missing=listed)


def read_finished(fields: Fields) -> FinishedResponse:
    """The payload of a signed answer; lists that its code should not have are left alone."""
    response = word(fields, "responseCode", Response)
    found = FinishedResponse(
        last=fields.digest(_LAST),
        response=response,
        duplicate_of=optional_compact(fields, _DUPLICATE),
        reason=_reason(fields),
        missing=_optional_list(fields, "missingAdditionalDocumentChecksums"),
        received=_optional_list(fields, "receivedAdditionalDocumentChecksums"),
    )
    if response is Response.DUPE and found.duplicate_of is None:
        raise fields.fault(_DUPLICATE, "DUPE names the entry that was accepted")
    if response is Response.MDOC and not found.missing:
        raise fields.fault("missingAdditionalDocumentChecksums", "MDOC lists what is missing")
    return found


def _reason(fields: Fields) -> str | None:
    return (
        None
        if fields.members.get("reason") == ""
        else fields.optional_text("reason", max_length=MAX_REASON)
    )


def _optional_list(fields: Fields, name: str) -> tuple[bytes, ...] | None:
    return checksums(fields, name) if fields.has(name) else None


def open_finished(text: str) -> tuple[Signed, FinishedResponse]:
    """A signed answer from its JWS, not yet verified."""
    parsed = signed.parse(text)
    return parsed, read_finished(payload_fields(parsed))


def body_of(text: str) -> bytes:
    """The body of a signed answer: the JWS as a bare JSON string."""
    return strict_json.canonical(text)


# What a sender makes of an answer.


@dataclass(frozen=True, slots=True)
class Decided:
    """A signed answer by the platform that was asked, about the envelope that was sent."""

    text: str
    finished: FinishedResponse

    @property
    def accepted(self) -> bool:
        """Whether the bill is with the receiving platform."""
        return self.finished.response in ACCEPTED


@dataclass(frozen=True, slots=True)
class Started:
    """The transfer is active and waits for documents."""

    started: StartedResponse


@dataclass(frozen=True, slots=True)
class DocumentTaken:
    """204: a document was taken; nothing is signed yet."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing that could be relied on: the sender keeps asking. detail: why."""

    status: int
    detail: str


Answer: TypeAlias = Decided | Started | DocumentTaken | Unknown


def read_answer(
    status: int, body: bytes, *, last_entry: str, receiver: Signatory, at: datetime
) -> Answer:
    """What an answer says to the sender of the envelope with that last entry.

    DUPE counts when the entry it names says the same, though its signature may be another. Never
    raises: what is not understood is `Unknown`, which is never a refusal (R13).
    """
    if status == 204 and not body:
        return DocumentTaken()
    try:
        value = strict_json.loads(body, max_bytes=MAX_ANSWER)
        if isinstance(value, str) and COMPACT.fullmatch(value):
            return _decided(value, last_entry, receiver, at)
        if status == 201 and isinstance(value, dict):
            return Started(_about(read_started(Fields(value, CODE)), signed.checksum(last_entry)))
    except TradeError as error:
        return Unknown(status, error.code)
    return Unknown(status, "unsigned")


def _decided(text: str, last_entry: str, receiver: Signatory, at: datetime) -> Decided:
    parsed, finished = open_finished(text)
    receiver.verify(parsed, at)
    _require_about(finished.last, signed.checksum(last_entry))
    if finished.response is Response.DUPE and finished.duplicate_of is not None:
        ours, accepted = signed.parse(last_entry), signed.parse(finished.duplicate_of)
        _require_about(accepted.payload_digest, ours.payload_digest)
    return Decided(text, finished)


def _about(started: StartedResponse, last: bytes) -> StartedResponse:
    _require_about(started.last, last)
    return started


def _require_about(named: bytes, last: bytes) -> None:
    if named != last:
        raise RefusedError("pint_answer_elsewhere", "the answer is about another envelope")


# Unsigned errors.


@dataclass(frozen=True, slots=True)
class DetailedError:
    """One fault. code: 7000 to 9999; path: JSONPath of the place."""

    text: str
    message: str
    code: int | None = None
    path: str | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        return {
            "errorCodeText": self.text[:100],
            "errorCodeMessage": self.message[:5000],
            **present(errorCode=self.code, jsonPath=self.path),
        }


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The unsigned error of all DCSA APIs."""

    method: str
    uri: str
    status: int
    status_text: str
    at: str
    errors: tuple[DetailedError, ...]
    reference: str | None = None

    def to_json(self) -> Json:
        """The body."""
        return {
            "httpMethod": self.method,
            "requestUri": self.uri,
            "statusCode": self.status,
            "statusCodeText": self.status_text[:50],
            "errorDateTime": self.at,
            "errors": [one.to_json() for one in self.errors],
            **present(providerCorrelationReference=self.reference and self.reference[:100]),
        }


#: 7xxx is technical, 8xxx functional: a convention that is left of DCSA's older lists.
TECHNICAL, FUNCTIONAL = 7000, 8000


def errors_of(error: TradeError) -> tuple[DetailedError, ...]:
    """The faults of one error, the single findings where there are any."""
    number = FUNCTIONAL if error.status in {403, 404, 409, 422} else TECHNICAL
    if error.findings:
        return tuple(
            DetailedError(one.rule, one.message, number, json_path(one.pointer))
            for one in error.findings
        )
    sentence = error.detail or error.code
    return (DetailedError(error.code, sentence, number, json_path(error.pointer)),)


def json_path(pointer: str) -> str | None:
    """The JSONPath of a JSON pointer: `/a/0/b` is `$.a[0].b`; None for no place."""
    if not pointer.startswith("/"):
        return None
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    steps = (f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
    return ("$" + "".join(steps))[:500]


def read_error(body: bytes) -> ErrorResponse:
    """An unsigned error as another platform wrote it; raises MalformedError."""
    fields = Fields(strict_json.loads_object(body, max_bytes=MAX_ANSWER), CODE)
    errors = tuple(_read_detail(item) for item in fields.children("errors", 1000))
    if not errors:
        raise MalformedError(CODE, "an error names at least one fault", pointer="/errors")
    return ErrorResponse(
        method=fields.text("httpMethod", max_length=20),
        uri=fields.text("requestUri", max_length=8000),
        status=fields.integer("statusCode", 100, 599),
        status_text=fields.text("statusCodeText", max_length=50),
        at=fields.text("errorDateTime", max_length=50),
        errors=errors,
        reference=fields.optional_text("providerCorrelationReference", max_length=100),
    )


def _read_detail(fields: Fields) -> DetailedError:
    number = fields.integer("errorCode", 7000, 9999) if fields.has("errorCode") else None
    return DetailedError(
        text=fields.text("errorCodeText", max_length=100),
        message=fields.text("errorCodeMessage", max_length=5000),
        code=number,
        path=fields.optional_text("jsonPath", max_length=500),
    )
