"""Additional documents, receiver validation and the paths of the four PINT endpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.digest import sha256
from protocols.fields import Fields
from protocols.pint.parties import MAX_NAME, IdentifyingCode, read_code
from protocols.pint.reading import CODE, TRIMMED, Json, from_base64, to_base64
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.words import Response
from schemas import strict_json

if TYPE_CHECKING:
    from protocols.pint.envelope import DocumentMetadata, EnvelopeManifest

ENVELOPES = "/v3/envelopes"
ADDITIONAL_DOCUMENT = "/v3/envelopes/{envelopeReference}/additional-documents/{documentChecksum}"
FINISH = "/v3/envelopes/{envelopeReference}/finish-transfer"
RECEIVER_VALIDATION = "/v3/receiver-validation"
#: A document of 16 MiB in base64, with its quotes.
MAX_BODY = 24 * 1024 * 1024


def document_body(document: bytes) -> bytes:
    """The body of PUT …/additional-documents: base64 as a JSON string."""
    return strict_json.canonical(to_base64(document))


def read_document_body(body: bytes) -> bytes:
    """The decoded document; raises MalformedError json_*, `pint_message_malformed`."""
    return from_base64(strict_json.loads(body, max_bytes=MAX_BODY))


def take_document(
    announced: Mapping[bytes, DocumentMetadata], checksum: bytes, document: bytes
) -> DocumentMetadata:
    """The metadata of a document that is the announced one.

    checksum: of the URL path. Raises EnvelopeRefusedError INCD `pint_document_not_announced`,
    `pint_document_altered`, `pint_document_size`: none of them ends the transfer.
    """
    metadata = announced.get(checksum)
    if metadata is None:
        raise _inconclusive("pint_document_not_announced", "the manifest lists no such document")
    if sha256(document) != checksum:
        raise _inconclusive("pint_document_altered", "the document has another checksum")
    if len(document) != metadata.size:
        raise _inconclusive("pint_document_size", "the document has another size")
    return metadata


def _inconclusive(code: str, detail: str) -> EnvelopeRefusedError:
    return EnvelopeRefusedError(Response.INCD, code, detail)


def missing(manifest: EnvelopeManifest, held: Collection[bytes]) -> tuple[bytes, ...]:
    """The checksums of the manifest's documents that are not held, in its order."""
    return tuple(checksum for checksum in manifest.additional if checksum not in held)


def require_all(manifest: EnvelopeManifest, held: Collection[bytes]) -> None:
    """Raise EnvelopeRefusedError MDOC `pint_documents_missing` unless all documents are held."""
    if missing(manifest, held):
        raise EnvelopeRefusedError(
            Response.MDOC, "pint_documents_missing", "documents of the manifest are missing"
        )


@dataclass(frozen=True, slots=True)
class ReceiverValidationRequest:
    """POST /v3/receiver-validation: whom a code names."""

    code: IdentifyingCode

    def to_json(self) -> Json:
        """The body."""
        return self.code.to_json()


def read_validation_request(body: bytes) -> ReceiverValidationRequest:
    """The request; raises MalformedError."""
    return ReceiverValidationRequest(read_code(Fields(_object(body), CODE)))


@dataclass(frozen=True, slots=True)
class ReceiverValidationResponse:
    """200: the name to show to the sending user. All else is one vague 404."""

    name: str

    def to_json(self) -> Json:
        """The body."""
        return {"partyName": self.name}


def read_validation_response(body: bytes) -> ReceiverValidationResponse:
    """The answer; raises MalformedError."""
    fields = Fields(_object(body), CODE)
    return ReceiverValidationResponse(
        fields.text("partyName", pattern=TRIMMED, max_length=MAX_NAME)
    )


def _object(body: bytes) -> dict[str, strict_json.JsonValue]:
    return strict_json.loads_object(body, max_bytes=64 * 1024)
