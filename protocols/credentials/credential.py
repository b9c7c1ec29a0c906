"""Documents as signed credentials: `vc+jwt` (VC Data Model 2.0, VC-JOSE-COSE), in our profile.

A JSON document is spliced into the credential as its last member, byte for byte, so one file is
enough and the signed bytes contain the issuer's bytes unaltered. Any other document travels
beside: the compact JWS, a line feed, the bytes. Either way the credential names their SHA-256.
A document's identity is the SHA-256 of the JWS payload (R2). Network id (R1) and one salt (R18)
are inside.
"""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from protocols import base64url, jws, times
from protocols.credentials import countersignature, status_list, vcdm
from protocols.credentials.status_list import StatusEntry
from protocols.digest import sha256
from protocols.fields import COUNTRY, TYPE_KEY, Fields
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from protocols.credentials.sd_credential import Presentation
    from protocols.jws import Jws
    from protocols.keys import Signer
    from schemas.strict_json import JsonValue

TYP = "vc+jwt"
CONTENT_TYPE = "vc"
NAMESPACE = "https://pratique.example/ns/trade/v1"
SCHEMA_PREFIX = "urn:pratique:profile:"
MEDIA_TYPE = "application/vc+jwt"
MEDIA_TYPE_BESIDE = "application/vnd.pratique.document"
JSON = "application/json"
SALT_BYTES = 32
#: One document; base64url makes a third more of it, which still fits one batch of the exchange.
MAX_DOCUMENT_BYTES = 5 * 1024 * 1024
MAX_FILE_BYTES = 12 * 1024 * 1024
_MEDIA_TYPE = re.compile(r"(?a:[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80})")
UUID = re.compile(r"(?a:urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_CREDENTIAL_TYPE = re.compile(r"(?a:[A-Z][A-Za-z0-9]{2,80})")


@dataclass(frozen=True, slots=True)
class PayloadInfo:
    """What the credential says about the document's bytes."""

    media_type: str
    digest: bytes
    size: int

    @property
    def is_json(self) -> bool:
        """Whether the bytes are inside the credential."""
        return self.media_type == JSON

    @classmethod
    def of(cls, payload: bytes, media_type: str) -> PayloadInfo:
        """The description of `payload`."""
        return cls(media_type, sha256(payload), len(payload))


@dataclass(frozen=True, slots=True)
class CredentialClaims:
    """What an issuer states over one document. id: urn:uuid; times aware UTC; salt 32 bytes.

    consignment is the UCR; export_country and import_country are ISO 3166-1 alpha-2 codes.
    """

    id: str
    credential_type: str
    issuer: str
    network: bytes
    valid_from: datetime
    valid_until: datetime
    status: StatusEntry
    document_type: str
    number: str
    salt: bytes = field(repr=False)
    payload: PayloadInfo
    consignment: str | None = None
    export_country: str | None = None
    import_country: str | None = None
    replaces: bytes | None = None
    suspension: StatusEntry | None = None

    @property
    def statuses(self) -> tuple[StatusEntry, ...]:
        """Its status entries: revocation first, then suspension where it has one."""
        return (self.status,) if self.suspension is None else (self.status, self.suspension)

    @property
    def schema_id(self) -> str:
        """The profile the document was examined with."""
        return f"{SCHEMA_PREFIX}{self.document_type}:1"

    def subject_digest(self) -> bytes:
        """The leaf subject: SHA-256(type ‖ 0x00 ‖ number ‖ 0x00 ‖ salt) (R18)."""
        return sha256(b"\x00".join((self.document_type.encode(), self.number.encode(), self.salt)))


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A credential and the document's bytes; digest is the document's identity everywhere.

    signed: the credential parsed already, where that is at hand
    countersignature: the issuer's second signature over it, or ""
    (`protocols.credentials.countersignature`)
    """

    credential: str
    payload: bytes = field(repr=False)
    #: The whole SD-JWT with its disclosures, and its typ, where the file has that form.
    presented: str = field(default="", repr=False)
    form: str = TYP
    signed: InitVar[Jws | None] = None
    countersignature: str = field(default="", repr=False)
    digest: bytes = field(init=False)
    beside: bool = field(init=False)

    def __post_init__(self, signed: Jws | None) -> None:
        """Compute the identity, and where the bytes travel."""
        if signed is None:
            content = base64url.decode(self.credential.split(".")[1])
            digest = sha256(content)
        else:
            content, digest = signed.payload, signed.payload_digest
        object.__setattr__(self, "digest", digest)
        # A spliced document ends the payload; one that travels beside is not in it.
        inside = self.presented or content.endswith(_DOCUMENT + self.payload + b"}}")
        object.__setattr__(self, "beside", not inside)

    @property
    def media_type(self) -> str:
        """The media type of `to_bytes`."""
        plain = not self.beside and not self.countersignature
        return f"application/{self.form}" if plain else MEDIA_TYPE_BESIDE

    def to_bytes(self) -> bytes:
        """The file: the compact JWS, and after a line feed the bytes that travel beside."""
        text = (self.presented or self.credential).encode("ascii")
        data = text + b"\n" + self.payload if self.beside else text
        return countersignature.join(data, self.countersignature)

    @classmethod
    def from_bytes(cls, data: bytes) -> DocumentFile:
        """The file read back, whatever its form; raises as `forms.open_file`."""
        from protocols.credentials import forms  # it knows this module

        return forms.open_file(data).file


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A document file parsed once: the signature still has to be verified.

    document: what the document's bytes parse to, where they are JSON inside the credential
    """

    file: DocumentFile
    jws: Jws
    claims: CredentialClaims
    document: JsonValue = None
    presentation: Presentation | None = None


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The signature of a file, the members of its payload, and the bytes beside, if any."""

    jws: Jws
    members: dict[str, JsonValue]
    beside: bytes | None


_DOCUMENT = b',"document":'


def issue(
    claims: CredentialClaims, payload: bytes, signer: Signer, *, x5c: Sequence[bytes] = ()
) -> DocumentFile:
    """Sign `claims` over `payload`. `claims.payload` must describe these bytes.

    x5c: certificates of the signer's key in DER, the leaf first

    Raises TooLargeError `document_too_large`; MalformedError json_* when a document that calls
    itself JSON is not I-JSON; RefusedError `credential_payload_mismatch`.
    """
    _require_size(payload)
    if PayloadInfo.of(payload, claims.payload.media_type) != claims.payload:
        raise RefusedError("credential_payload_mismatch", "the claims describe other bytes")
    if claims.payload.is_json:
        strict_json.loads(payload, max_bytes=MAX_DOCUMENT_BYTES, max_depth=vcdm.MAX_DEPTH - 2)
    signed = _splice(
        head_members(claims), subject_members(claims), payload if claims.payload.is_json else None
    )
    text = jws.sign(signed, typ=TYP, signer=signer, cty=CONTENT_TYPE, x5c=x5c)
    return DocumentFile(text, payload)


def _require_size(payload: bytes) -> None:
    if len(payload) > MAX_DOCUMENT_BYTES:
        raise TooLargeError("document_too_large", f"more than {MAX_DOCUMENT_BYTES} bytes")


def head_members(claims: CredentialClaims) -> dict[str, JsonValue]:
    """Every member of the credential but its subject."""
    return {
        "@context": [vcdm.CONTEXT, NAMESPACE],
        "id": claims.id,
        "type": [vcdm.TYPE, claims.credential_type],
        "issuer": claims.issuer,
        "validFrom": times.to_text(claims.valid_from),
        "validUntil": times.to_text(claims.valid_until),
        "credentialStatus": status_list.entries_to_json(claims.status, claims.suspension),
        "credentialSchema": {"id": claims.schema_id, "type": "JsonSchema"},
        "network": claims.network.hex(),
    }


def subject_members(claims: CredentialClaims) -> dict[str, JsonValue]:
    """The subject without the document; `payload` describes the document's bytes."""
    optional = {
        "consignment": claims.consignment,
        "exportCountry": claims.export_country,
        "importCountry": claims.import_country,
        "replaces": claims.replaces.hex() if claims.replaces else None,
    }
    return {
        "documentType": claims.document_type,
        "number": claims.number,
        "salt": base64url.encode(claims.salt),
        "payload": {
            "mediaType": claims.payload.media_type,
            "digest": claims.payload.digest.hex(),
            "size": claims.payload.size,
        },
        **{name: value for name, value in optional.items() if value is not None},
    }


def _splice(
    head: JsonValue,
    subject: JsonValue,
    document: bytes | None,
    write: Callable[[JsonValue], bytes] = strict_json.canonical,
) -> bytes:
    inner = write(subject)
    if document is not None:
        inner = inner[:-1] + _DOCUMENT + document + b"}"
    return write(head)[:-1] + b',"credentialSubject":' + inner + b"}"


def open_file(data: bytes) -> OpenedFile:
    """The credential, its claims and the document's bytes, each parsed once.

    Raises MalformedError (`jws_*`, json_*, `credential_malformed`, `credential_not_verbatim`),
    RefusedError (`jws_typ_unexpected`, `credential_payload_mismatch`), TooLargeError.
    """
    parsed = parse_file(data)
    signed, beside, credential = parsed.jws, parsed.beside, vcdm.read_members(parsed.members)
    claims = claims_of(credential, signed.kid)
    is_beside = beside is not None
    payload = _spliced_document(credential, claims, signed.payload) if beside is None else beside
    if is_beside == claims.payload.is_json:
        raise MalformedError("credential_not_verbatim", "JSON is inside, anything else beside")
    if is_beside and "document" in credential.subjects[0]:
        # Two documents under one signature: one reader would take this, another that.
        raise MalformedError("credential_not_verbatim", "what travels beside is not inside as well")
    if PayloadInfo.of(payload, claims.payload.media_type) != claims.payload:
        raise RefusedError("credential_payload_mismatch", "the document is not the signed one")
    document = None if is_beside else credential.subjects[0].get("document")
    second = countersignature.behind(data, len(signed.text))
    file = DocumentFile(signed.text, payload, signed=signed, countersignature=second)
    return OpenedFile(file, signed, claims, document)


def parse_file(data: bytes) -> ParsedFile:
    """The parts of a file that is no SD-JWT, its payload read strictly.

    Says nothing about what stands in the payload. Raises MalformedError (`jws_*`, json_*),
    RefusedError `jws_typ_unexpected`, TooLargeError.
    """
    if len(data) > MAX_FILE_BYTES:
        raise TooLargeError("document_too_large", f"more than {MAX_FILE_BYTES} bytes")
    line, line_feed, beside = data.partition(b"\n")
    text, _ = countersignature.split_line(line)
    try:
        signed = jws.parse(text.decode("ascii"), typ=TYP, max_bytes=MAX_FILE_BYTES)
    except UnicodeDecodeError:
        raise MalformedError("jws_malformed", "a document file begins with a JWS") from None
    members = vcdm.parse(signed.payload)
    return ParsedFile(signed, members, beside if line_feed else None)


def read(signed: Jws) -> CredentialClaims:
    """The claims of a parsed credential under our profile; raises as `open_file`."""
    return claims_of(vcdm.read(signed.payload), signed.kid)


def _spliced_document(
    credential: vcdm.VerifiableCredential, claims: CredentialClaims, signed: bytes
) -> bytes:
    """The document's bytes at the end of the payload.

    That these bytes are the member `document` and nothing else follows from rebuilding: the head
    and the subject without the document, written again, and the bytes give the payload. So the
    bytes, read by themselves, are the value that stands there.
    """
    document = signed[-2 - claims.payload.size : -2]
    head = {name: item for name, item in credential.members.items() if name != "credentialSubject"}
    subject = {name: item for name, item in credential.subjects[0].items() if name != "document"}
    if _splice(head, subject, document, strict_json.canonical_read) != signed:
        raise MalformedError("credential_not_verbatim", "the document is not the last member")
    return document


def claims_of(
    credential: vcdm.VerifiableCredential, kid: str, payload: PayloadInfo | None = None
) -> CredentialClaims:
    """The claims under our profile; `payload` where the credential does not describe it itself."""
    vcdm.require_kid_of_issuer(kid, credential.issuer)
    fields = Fields(credential.members, vcdm.CODE)
    if len(credential.subjects) != 1 or not isinstance(credential.members["type"], list):
        raise fields.fault("credentialSubject", "one subject, and a list of types")
    subject = fields.child("credentialSubject")
    document_type = subject.text("documentType", pattern=TYPE_KEY)
    if credential.issuer != credential.members["issuer"]:
        raise fields.fault("issuer", "the issuer is written as its DID")
    _require_profile(fields, document_type)
    status, suspension = status_list.read_entries(fields, "credentialStatus")
    return CredentialClaims(
        id=fields.text("id", pattern=UUID),
        credential_type=_credential_type(fields, credential.types),
        issuer=credential.issuer,
        network=fields.digest("network"),
        valid_from=fields.time("validFrom"),
        valid_until=fields.time("validUntil"),
        status=status,
        suspension=suspension,
        document_type=document_type,
        number=subject.text("number", max_length=200),
        salt=read_salt(subject),
        payload=payload or _payload_info(subject.child("payload")),
        consignment=subject.optional_text("consignment", max_length=100),
        export_country=subject.optional_text("exportCountry", pattern=COUNTRY),
        import_country=subject.optional_text("importCountry", pattern=COUNTRY),
        replaces=subject.optional_digest("replaces"),
    )


def _require_profile(fields: Fields, document_type: str) -> None:
    schema = fields.child("credentialSchema")
    if schema.text("id") != f"{SCHEMA_PREFIX}{document_type}:1":
        raise schema.fault("id", "the profile is not that of the document type")
    if schema.text("type") != "JsonSchema":
        raise schema.fault("type", "profiles are JSON Schema")


def _credential_type(fields: Fields, types: tuple[str, ...]) -> str:
    if len(types) != 2 or types[0] != vcdm.TYPE or not _CREDENTIAL_TYPE.fullmatch(types[1]):
        raise fields.fault("type", f"type is {vcdm.TYPE} and one more")
    if types[1] == status_list.TYPE:
        raise fields.fault("type", "a status list is not a document")
    return types[1]


def read_salt(subject: Fields) -> bytes:
    """The 32 bytes of the member `salt` (R18)."""
    salt = base64url.decode(subject.text("salt"), pointer=subject.place("salt"))
    if len(salt) != SALT_BYTES:
        raise subject.fault("salt", f"the salt has {SALT_BYTES} bytes")
    return salt


def _payload_info(fields: Fields) -> PayloadInfo:
    return PayloadInfo(
        media_type=fields.text("mediaType", pattern=_MEDIA_TYPE),
        digest=fields.digest("digest"),
        size=fields.integer("size", 0, MAX_DOCUMENT_BYTES),
    )
