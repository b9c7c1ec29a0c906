"""The envelope transfer chain: one signed entry per hop, each naming the text before it.

EnvelopeTransferChainEntry and IssuanceManifest of PINT 3.0.0. A link is the SHA-256 of the whole
JWS text before it, so the texts are sent on byte for byte and never written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from protocols.fields import Fields
from protocols.pint import signed
from protocols.pint.reading import (
    CODE,
    PLATFORM,
    Json,
    checksum_of,
    compact,
    in_hex,
    optional_compact,
    present,
    some,
)
from protocols.pint.signed import Signed
from protocols.pint.transactions import Transaction, read_transaction
from protocols.title.operation import ISSUANCE_TYP
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from protocols.keys import Signer
    from schemas.strict_json import JsonValue

MAX_URI = 1024
#: Our own carriers sign the manifest that also makes the title's id (R19), under its own typ.
ISSUANCE_TYPES = frozenset({ISSUANCE_TYP})


@dataclass(frozen=True, slots=True)
class IssuanceManifest:
    """What the carrier signed when it issued (PINT and ISS 3.0.4). All are SHA-256.

    document: of the transport document's RFC 8785 form; issue_to: of `issueTo`'s, which receivers
    never see; visualisation: of the decoded carrier's picture of the bill, where there is one
    """

    document: bytes
    issue_to: bytes
    visualisation: bytes | None = None

    def to_json(self) -> Json:
        """The signed object."""
        return {
            "documentChecksum": self.document.hex(),
            "issueToChecksum": self.issue_to.hex(),
            **present(eBLVisualisationByCarrierChecksum=in_hex(self.visualisation)),
        }

    def sign(self, signer: Signer, x5c: Sequence[bytes] = ()) -> str:
        """The compact JWS by the carrier."""
        return signed.sign(strict_json.canonical(self.to_json()), signer=signer, x5c=x5c)


def open_manifest(text: str) -> tuple[Signed, IssuanceManifest]:
    """An issuance manifest from its JWS, not yet verified; raises as `signed.parse` and
    MalformedError `pint_message_malformed`.
    """
    parsed = signed.parse(text, expected_typ=ISSUANCE_TYPES)
    fields = payload_fields(parsed)
    return parsed, IssuanceManifest(
        fields.digest("documentChecksum"),
        fields.digest("issueToChecksum"),
        fields.optional_digest("eBLVisualisationByCarrierChecksum"),
    )


def issuance_manifest(
    document: Mapping[str, JsonValue],
    issue_to: Mapping[str, JsonValue],
    visualisation: bytes | None = None,
) -> IssuanceManifest:
    """The manifest over parsed values as they are sent; visualisation: its SHA-256."""
    return IssuanceManifest(checksum_of(document), checksum_of(issue_to), visualisation)


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """What one platform signs about one hop.

    document: SHA-256 of the transport document; previous: of the JWS text before, none in the first
    issuance: the carrier's issuance manifest, in the first entry; registry: the base URI of the
    control tracking registry, in the first entry or nowhere
    """

    platform: str
    document: bytes
    transactions: tuple[Transaction, ...]
    previous: bytes | None = None
    issuance: str | None = None
    registry: str | None = None

    def to_json(self) -> Json:
        """The signed object."""
        return {
            "eblPlatform": self.platform,
            "transportDocumentChecksum": self.document.hex(),
            "transactions": [one.to_json() for one in self.transactions],
            **present(
                previousEnvelopeTransferChainEntrySignedContentChecksum=in_hex(self.previous),
                issuanceManifestSignedContent=self.issuance,
                controlTrackingRegistry=self.registry,
            ),
        }

    def sign(self, signer: Signer, x5c: Sequence[bytes] = ()) -> str:
        """The compact JWS by the platform's key."""
        return signed.sign(strict_json.canonical(self.to_json()), signer=signer, x5c=x5c)


def read_entry(fields: Fields) -> ChainEntry:
    """The payload of one entry."""
    return ChainEntry(
        platform=fields.text("eblPlatform", pattern=PLATFORM, max_length=4),
        document=fields.digest("transportDocumentChecksum"),
        transactions=some(fields, "transactions", read_transaction),
        previous=fields.optional_digest("previousEnvelopeTransferChainEntrySignedContentChecksum"),
        issuance=optional_compact(fields, "issuanceManifestSignedContent"),
        registry=fields.optional_text("controlTrackingRegistry", max_length=MAX_URI),
    )


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """An entry with the text that carries it; the signature is not yet checked."""

    jws: Signed
    entry: ChainEntry

    @property
    def text(self) -> str:
        """What was received, to be sent on unaltered."""
        return self.jws.text

    @property
    def last(self) -> Transaction:
        """The transaction that the envelope is sent for."""
        return self.entry.transactions[-1]


class Dialect(Protocol):
    """How an older dialect of PINT is read; a seam for `interop`, on test networks only (R7)."""

    def entry(self, members: Mapping[str, JsonValue], index: int) -> Mapping[str, JsonValue]:
        """The members of the chain's entry number `index` in the words of 3.0.0."""
        ...


def open_entry(text: str, dialect: Dialect | None = None, index: int = 0) -> SignedEntry:
    """An entry from its JWS, not yet verified; raises as `signed.parse` and
    MalformedError `pint_message_malformed`. What is signed and linked stays the text as it is.
    """
    parsed = signed.parse(text)
    fields = payload_fields(parsed)
    if dialect is not None:
        fields = Fields(dialect.entry(fields.members, index), fields.code)
    return SignedEntry(parsed, read_entry(fields))


def payload_fields(parsed: Signed) -> Fields:
    """The payload as a JSON object (I-JSON: no name twice, no integer beyond 2^53)."""
    return Fields(strict_json.loads_object(parsed.payload), CODE)


def following(
    chain: Sequence[str], platform: str, transactions: Sequence[Transaction]
) -> ChainEntry:
    """The next entry after `chain`, which is what was received and stays as it is."""
    first = open_entry(chain[0]).entry
    return ChainEntry(platform, first.document, tuple(transactions), signed.checksum(chain[-1]))


def read_chain_texts(fields: Fields, name: str, max_items: int) -> tuple[str, ...]:
    """The list of entries: one or more compact JWS texts."""
    value = fields.members.get(name)
    if not isinstance(value, list) or not 1 <= len(value) <= max_items:
        raise fields.fault(name, f"{name} is a list of 1 to {max_items} entries")
    items = Fields({str(at): item for at, item in enumerate(value)}, fields.code, f"/{name}")
    return tuple(compact(items, str(at)) for at in range(len(value)))
