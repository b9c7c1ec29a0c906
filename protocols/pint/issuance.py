"""Issuance between carrier and platform (DCSA EBL ISS 3.0.4).

The carrier puts a document, the party that gets it and the signed issuance manifest before the
platform (204; 409 when the reference is pending or issued already); the platform answers later with
ISSU, BREQ (an error in the content) or REFU (it cannot be resolved). That answer may arrive before
the 204 of its own request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.digest import sha256
from protocols.fields import Fields
from protocols.pint.chain import open_manifest
from protocols.pint.parties import (
    MAX_NAME,
    IdentifyingCode,
    TaxLegalReference,
    read_code,
    read_reference,
)
from protocols.pint.reading import (
    CODE,
    MAX_LIST,
    PLATFORM,
    SOLID,
    TRIMMED,
    Json,
    checksum_of,
    compact,
    from_base64,
    present,
    some,
    to_base64,
    word,
)
from protocols.pint.words import IssuanceCode
from schemas import strict_json
from schemas.errors import RefusedError
from schemas.strict_json import JsonValue

if TYPE_CHECKING:
    from protocols.pint.chain import IssuanceManifest
    from protocols.pint.signed import Signed

REQUESTS = "/v3/ebl-issuance-requests"
RESPONSES = "/v3/ebl-issuance-responses"
PDF = "application/pdf"
MAX_REQUEST = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class IssueToParty:
    """The party that first possesses the bill, and its platform."""

    name: str
    platform: str
    codes: tuple[IdentifyingCode, ...]
    references: tuple[TaxLegalReference, ...] = ()

    def to_json(self) -> Json:
        """The object on the wire; its RFC 8785 form is what issueToChecksum covers."""
        body: Json = {
            "partyName": self.name,
            "sendToPlatform": self.platform,
            "identifyingCodes": [code.to_json() for code in self.codes],
        }
        if self.references:
            body["taxLegalReferences"] = [one.to_json() for one in self.references]
        return body


def read_issue_to(fields: Fields) -> IssueToParty:
    """The first possessor."""
    return IssueToParty(
        fields.text("partyName", pattern=TRIMMED, max_length=MAX_NAME),
        fields.text("sendToPlatform", pattern=PLATFORM),
        some(fields, "identifyingCodes", read_code),
        tuple(read_reference(item) for item in fields.children("taxLegalReferences", MAX_LIST)),
    )


@dataclass(frozen=True, slots=True)
class Visualisation:
    """The carrier's picture of the bill, decoded."""

    name: str
    content: bytes
    content_type: str = PDF

    def to_json(self) -> Json:
        """The object on the wire; PDF is understood where nothing is said."""
        other = None if self.content_type == PDF else self.content_type
        return {
            "name": self.name,
            "content": to_base64(self.content),
            **present(contentType=other),
        }


def read_visualisation(fields: Fields) -> Visualisation:
    """The carrier's picture, its content decoded."""
    content = fields.members.get("content")
    return Visualisation(
        fields.text("name", max_length=100),
        from_base64(content, pointer=fields.place("content")),
        fields.optional_text("contentType", max_length=100) or PDF,
    )


@dataclass(frozen=True, slots=True)
class TransportDocumentRelation:
    """A transport document by its references."""

    reference: str
    sub_reference: str | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        return {
            "transportDocumentReference": self.reference,
            **present(transportDocumentSubReference=self.sub_reference),
        }


def read_relation(fields: Fields) -> TransportDocumentRelation:
    """The reference and, where given, the sub-reference of a transport document."""
    return TransportDocumentRelation(
        fields.text("transportDocumentReference", pattern=TRIMMED, max_length=20),
        fields.optional_text("transportDocumentSubReference", pattern=TRIMMED, max_length=100),
    )


@dataclass(frozen=True, slots=True)
class Replacements:
    """What this document replaces (one: amended; several: combined), what it was split into."""

    old: tuple[TransportDocumentRelation, ...] = ()
    new: tuple[TransportDocumentRelation, ...] = ()

    def to_json(self) -> Json:
        """The object on the wire."""
        body: Json = {}
        if self.old:
            body["oldTransportDocumentReferences"] = [one.to_json() for one in self.old]
        if self.new:
            body["newTransportDocumentReferences"] = [one.to_json() for one in self.new]
        return body


def _read_replacements(fields: Fields) -> Replacements:
    old, new = (
        tuple(read_relation(item) for item in fields.children(name, MAX_LIST))
        for name in ("oldTransportDocumentReferences", "newTransportDocumentReferences")
    )
    return Replacements(old, new)


@dataclass(frozen=True, slots=True)
class IssuanceRequest:
    """The body of PUT /v3/ebl-issuance-requests.

    document, issue_to_value: the parsed values that the manifest's checksums are over
    """

    document: Mapping[str, JsonValue]
    issue_to: IssueToParty
    issue_to_value: Mapping[str, JsonValue]
    manifest: str
    visualisation: Visualisation | None = None
    replacements: Replacements | None = None

    def to_json(self) -> Json:
        """The body."""
        body: Json = {
            "document": dict(self.document),
            "issueTo": dict(self.issue_to_value),
            "issuanceManifestSignedContent": self.manifest,
        }
        if self.visualisation is not None:
            body["eBLVisualisationByCarrier"] = self.visualisation.to_json()
        if self.replacements is not None:
            body["transportDocumentReplacements"] = self.replacements.to_json()
        return body


def read_request(data: bytes) -> IssuanceRequest:
    """The request; raises MalformedError json_* or `pint_message_malformed`, TooLargeError json_*.

    Whether the document obeys its profile, and whose the manifest's signature is, comes after.
    """
    fields = Fields(strict_json.loads_object(data, max_bytes=MAX_REQUEST), CODE)
    issue_to, picture = fields.child("issueTo"), fields.optional_child("eBLVisualisationByCarrier")
    replaced = fields.optional_child("transportDocumentReplacements")
    return IssuanceRequest(
        document=dict(fields.child("document").members),
        issue_to=read_issue_to(issue_to),
        issue_to_value=dict(issue_to.members),
        manifest=compact(fields, "issuanceManifestSignedContent"),
        visualisation=None if picture is None else read_visualisation(picture),
        replacements=None if replaced is None else _read_replacements(replaced),
    )


def require_manifest(request: IssuanceRequest) -> tuple[Signed, IssuanceManifest]:
    """The manifest, when its three checksums are those of the request; its signature comes after.

    Raises RefusedError `pint_not_as_issued`, and as `open_manifest`.
    """
    parsed, manifest = open_manifest(request.manifest)
    picture = request.visualisation
    actual = (
        checksum_of(request.document),
        checksum_of(request.issue_to_value),
        None if picture is None else sha256(picture.content),
    )
    if actual != (manifest.document, manifest.issue_to, manifest.visualisation):
        raise RefusedError("pint_not_as_issued", "a checksum of the manifest is of something else")
    return parsed, manifest


@dataclass(frozen=True, slots=True)
class IssuanceError:
    """One fault that the platform found."""

    reason: str | None = None
    code: str | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        return present(reason=self.reason, errorCode=self.code)


@dataclass(frozen=True, slots=True)
class IssuanceResponse:
    """The body of POST /v3/ebl-issuance-responses."""

    relation: TransportDocumentRelation
    response: IssuanceCode
    reason: str | None = None
    errors: tuple[IssuanceError, ...] = ()

    @property
    def may_be_asked_again(self) -> bool:
        """Whether the same reference may be put up for issuance again."""
        return self.response is not IssuanceCode.ISSU

    def to_json(self) -> Json:
        """The body."""
        body: Json = {
            **self.relation.to_json(),
            "issuanceResponseCode": self.response.value,
            **present(reason=self.reason),
        }
        if self.errors:
            body["errors"] = [one.to_json() for one in self.errors]
        return body


def read_response(data: bytes) -> IssuanceResponse:
    """The platform's answer; raises as `read_request`."""
    fields = Fields(strict_json.loads_object(data), CODE)
    return IssuanceResponse(
        relation=read_relation(fields),
        response=word(fields, "issuanceResponseCode", IssuanceCode),
        reason=fields.optional_text("reason", pattern=TRIMMED, max_length=255),
        errors=tuple(_read_fault(item) for item in fields.children("errors", MAX_LIST)),
    )


def _read_fault(fields: Fields) -> IssuanceError:
    return IssuanceError(
        fields.optional_text("reason", pattern=TRIMMED, max_length=255),
        fields.optional_text("errorCode", pattern=SOLID, max_length=50),
    )
