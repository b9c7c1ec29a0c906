"""The envelope that starts a transfer: document, manifest, chain (PINT 3.0.0 EblEnvelope).

The transport document is kept as the parsed value, because its checksum is over the RFC 8785 form
of exactly that value: members unknown here survive, and nothing is put in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols.fields import Fields
from protocols.pint import signed
from protocols.pint.chain import payload_fields, read_chain_texts
from protocols.pint.reading import CODE, TRIMMED, Json, checksum_of, compact, whole
from protocols.pint.signed import Signed
from schemas import strict_json
from schemas.strict_json import JsonValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.keys import Signer

MAX_ENVELOPE = 8 * 1024 * 1024
MAX_ENTRIES = 200
MAX_DOCUMENTS = 100
MAX_SIZE = 2**40
_NAMES = frozenset({"transportDocument", "envelopeManifestSignedContent", "envelopeTransferChain"})


@dataclass(frozen=True, slots=True)
class DocumentMetadata:
    """An additional document. size: decoded bytes; checksum: SHA-256 of the decoded bytes."""

    name: str
    size: int
    media_type: str
    checksum: bytes

    def to_json(self) -> Json:
        """The object in the manifest."""
        return {
            "name": self.name,
            "size": self.size,
            "mediaType": self.media_type,
            "documentChecksum": self.checksum.hex(),
        }


def read_metadata(fields: Fields) -> DocumentMetadata:
    """One additional document as announced."""
    return DocumentMetadata(
        fields.text("name", pattern=TRIMMED),
        whole(fields, "size", 1, MAX_SIZE),
        fields.text("mediaType", max_length=100),
        fields.digest("documentChecksum"),
    )


@dataclass(frozen=True, slots=True)
class EnvelopeManifest:
    """What the sending platform signs about one envelope.

    document: SHA-256 of the transport document; last: of the last chain entry's text
    visualisation: the carrier's picture of the bill, the same at every hop
    supporting: documents that are between these two platforms only
    """

    document: bytes
    last: bytes
    visualisation: DocumentMetadata | None = None
    supporting: tuple[DocumentMetadata, ...] = ()

    @property
    def additional(self) -> Mapping[bytes, DocumentMetadata]:
        """All additional documents by checksum, the visualisation first."""
        listed = (*((self.visualisation,) if self.visualisation else ()), *self.supporting)
        found: dict[bytes, DocumentMetadata] = {}
        for one in listed:
            found.setdefault(one.checksum, one)
        return found

    def to_json(self) -> Json:
        """The signed object."""
        body: Json = {
            "transportDocumentChecksum": self.document.hex(),
            "lastEnvelopeTransferChainEntrySignedContentChecksum": self.last.hex(),
        }
        if self.visualisation is not None:
            body["eBLVisualisationByCarrier"] = self.visualisation.to_json()
        if self.supporting:
            body["supportingDocuments"] = [one.to_json() for one in self.supporting]
        return body

    def sign(self, signer: Signer, x5c: Sequence[bytes] = ()) -> str:
        """The compact JWS by the sending platform's key."""
        return signed.sign(strict_json.canonical(self.to_json()), signer=signer, x5c=x5c)


def open_envelope_manifest(text: str) -> tuple[Signed, EnvelopeManifest]:
    """The manifest from its JWS, not yet verified; raises as `signed.parse` and
    MalformedError `pint_message_malformed`.
    """
    parsed = signed.parse(text)
    fields = payload_fields(parsed)
    if fields.has("responseCode") or fields.has("transactions"):
        raise fields.fault("", "the signed object is an answer or a chain entry, no manifest")
    picture = fields.optional_child("eBLVisualisationByCarrier")
    return parsed, EnvelopeManifest(
        document=fields.digest("transportDocumentChecksum"),
        last=fields.digest("lastEnvelopeTransferChainEntrySignedContentChecksum"),
        visualisation=None if picture is None else read_metadata(picture),
        supporting=tuple(
            read_metadata(item) for item in fields.children("supportingDocuments", MAX_DOCUMENTS)
        ),
    )


@dataclass(frozen=True, slots=True)
class EblEnvelope:
    """The body of POST /v3/envelopes. manifest, chain: JWS texts; further: unknown members."""

    document: Mapping[str, JsonValue]
    manifest: str
    chain: tuple[str, ...]
    further: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def document_checksum(self) -> bytes:
        """SHA-256 of the document's RFC 8785 form."""
        return checksum_of(self.document)

    @property
    def last_checksum(self) -> bytes:
        """SHA-256 of the last entry's text: what every answer names."""
        return signed.checksum(self.chain[-1])

    def to_bytes(self) -> bytes:
        """The body as it is sent; the JWS texts as they are."""
        return strict_json.canonical(
            {
                **self.further,
                "transportDocument": dict(self.document),
                "envelopeManifestSignedContent": self.manifest,
                "envelopeTransferChain": list(self.chain),
            }
        )


def read_envelope(data: bytes) -> EblEnvelope:
    """The body of POST /v3/envelopes; inside the JWS texts nothing is looked at.

    Raises MalformedError json_* or `pint_message_malformed`, TooLargeError json_*: all of these are
    answered unsigned, because there is no envelope to speak of yet.
    """
    members = strict_json.loads_object(data, max_bytes=MAX_ENVELOPE)
    fields = Fields(members, CODE)
    return EblEnvelope(
        document=dict(fields.child("transportDocument").members),
        manifest=compact(fields, "envelopeManifestSignedContent"),
        chain=read_chain_texts(fields, "envelopeTransferChain", MAX_ENTRIES),
        further={name: value for name, value in members.items() if name not in _NAMES},
    )


def envelope(
    document: Mapping[str, JsonValue],
    chain: Sequence[str],
    signer: Signer,
    *,
    x5c: Sequence[bytes] = (),
    visualisation: DocumentMetadata | None = None,
    supporting: Sequence[DocumentMetadata] = (),
) -> EblEnvelope:
    """An envelope with a new manifest for a chain whose last entry is this platform's."""
    manifest = EnvelopeManifest(
        checksum_of(document), signed.checksum(chain[-1]), visualisation, tuple(supporting)
    )
    return EblEnvelope(document, manifest.sign(signer, x5c), tuple(chain))
