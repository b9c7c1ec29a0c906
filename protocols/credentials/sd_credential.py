"""Documents as credentials with disclosable members: `vc+sd-jwt` and `dc+sd-jwt`, in our profile.

The same claims as `vc+jwt` (`protocols.credentials.credential`); the document is carried as claims,
in the member `document`, instead of spliced in (docs/adr/0014). Only members of the document that
its profile marks may be concealed, so issuer, network, status, times, type, number and salt always
show. The signed list `disclosable` says which are, so what is withheld is known by place. No digest
of the whole document is signed: it would let anyone guess the values withheld. Identity is the
digest of the JWS payload and so excludes the disclosures (R2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.credentials import countersignature, credential, key_binding, sd_jwt, sd_jwt_vc, vcdm
from protocols.credentials import status_list as status
from protocols.credentials.credential import (
    JSON,
    MAX_DOCUMENT_BYTES,
    MAX_FILE_BYTES,
    CredentialClaims,
    DocumentFile,
    OpenedFile,
    PayloadInfo,
)
from protocols.credentials.sd_jwt import SdJwt, steps
from protocols.fields import COUNTRY, DID, TYPE_KEY, Fields
from schemas import registry, strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from protocols.credentials.sd_jwt import Revealed, Salts
    from protocols.jws import Jws
    from protocols.keys import Jwk, PublicKey, Signer
    from schemas.strict_json import JsonValue

VC, DC = "vc+sd-jwt", sd_jwt_vc.TYP
#: typ → where the document stands in the claims.
PLACES: Mapping[str, str] = {VC: "/credentialSubject/document", DC: "/document"}
FORMS = frozenset(PLACES)
#: The status mechanism of ours inside the claim `status` of an SD-JWT VC.
_STATUS = "bitstring_status_list"


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a holder shows of a document: disclosed and withheld members, as document pointers.

    holder: the key that may bind it to a verifier; hash: the `_sd_alg` in use
    """

    given: SdJwt = field(repr=False)
    holder: PublicKey | None
    disclosed: tuple[str, ...]
    withheld: tuple[str, ...]
    hash: str


def plain_payload(payload: bytes) -> bytes:
    """The RFC 8785 bytes of a JSON document: what a fully disclosed one opens to.

    Raises MalformedError json_*, TooLargeError.
    """
    if len(payload) > MAX_DOCUMENT_BYTES:
        raise TooLargeError("document_too_large", f"more than {MAX_DOCUMENT_BYTES} bytes")
    return strict_json.canonical(
        strict_json.loads_object(payload, max_bytes=MAX_DOCUMENT_BYTES, max_depth=60)
    )


def disclosable_in(document_type: str, payload: bytes) -> tuple[str, ...]:
    """The pointers of the members of this document that its profile lets a holder withhold.

    Raises RefusedError `nothing_disclosable` when there is none, or too many of them.
    """
    found: list[str] = []
    patterns = registry.disclosable(document_type)
    document = strict_json.loads_object(payload) if patterns else {}
    for pattern in patterns:
        found += _expand(document, steps(pattern), "")
    if not 0 < len(found) <= sd_jwt.MAX_DISCLOSURES:
        raise RefusedError("nothing_disclosable", "this document has no members to withhold")
    return tuple(found)


def _expand(value: JsonValue, path: list[str], place: str) -> list[str]:
    if not path:
        return [place]
    if path[0] == "*" and isinstance(value, list):
        return [
            found
            for at, item in enumerate(value)
            for found in _expand(item, path[1:], f"{place}/{at}")
        ]
    if isinstance(value, dict) and path[0] in value:
        return _expand(value[path[0]], path[1:], sd_jwt.child(place, path[0]))
    return []


def issue(
    claims: CredentialClaims,
    payload: bytes,
    signer: Signer,
    *,
    salts: Salts,
    form: str = VC,
    holder: Jwk | None = None,
    x5c: Sequence[bytes] = (),
) -> DocumentFile:
    """Sign `claims` over a JSON document, its marked members disclosable and all disclosed.

    payload: as `plain_payload` gives it, which `claims.payload` describes; salts: size → random
    bytes; holder: public JWK that key binding will be signed with; x5c: certificates of the
    signer's key. Raises RefusedError
    `credential_payload_mismatch`, `nothing_disclosable`, `sd_reserved_name`; MalformedError.
    """
    if PayloadInfo.of(plain_payload(payload), JSON) != claims.payload:
        raise RefusedError("credential_payload_mismatch", "the claims describe other bytes")
    pointers = disclosable_in(claims.document_type, payload)
    members = _members(claims, strict_json.loads_object(payload), pointers, form)
    if holder is not None:
        members["cnf"] = key_binding.confirmation(holder)
    signed, disclosures = sd_jwt.conceal(
        members, [PLACES[form] + pointer for pointer in pointers], salts
    )
    cty = jws.CONTENT_TYPES.get(form)
    text = jws.sign(strict_json.canonical(signed), typ=form, signer=signer, cty=cty, x5c=x5c)
    return open_file("~".join((text, *disclosures, "")).encode()).file


def _members(
    claims: CredentialClaims, document: dict[str, JsonValue], pointers: Sequence[str], form: str
) -> dict[str, JsonValue]:
    subject: dict[str, JsonValue] = {
        **credential.subject_members(claims),
        "payload": {"mediaType": JSON},
        "disclosable": list(pointers),
        "document": document,
    }
    if form == VC:
        return {**credential.head_members(claims), "credentialSubject": subject}
    return {
        "iss": claims.issuer,
        "jti": claims.id,
        "nbf": times.to_ms(claims.valid_from) // 1000,
        "exp": times.to_ms(claims.valid_until) // 1000,
        "vct": claims.schema_id,
        "status": {_STATUS: status.entries_to_json(claims.status, claims.suspension)},
        "network": claims.network.hex(),
        **subject,
    }


def parse(data: bytes) -> SdJwt:
    """The SD-JWT in a document file; raises as `sd_jwt.parse`."""
    return _parse(data)[0]


def _parse(data: bytes) -> tuple[SdJwt, str]:
    """The SD-JWT, and the countersignature behind it, "" where there is none."""
    if len(data) > MAX_FILE_BYTES:
        raise TooLargeError("document_too_large", f"more than {MAX_FILE_BYTES} bytes")
    line, second = countersignature.split_line(data)
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedError("jws_malformed", "a document file begins with a JWS") from None
    return sd_jwt.parse(text, typ=FORMS, max_bytes=MAX_FILE_BYTES), second


def open_file(data: bytes) -> OpenedFile:
    """The credential, its claims, the document as far as it is disclosed; parsed once.

    Raises MalformedError (`sd_jwt_malformed`, `disclosure_malformed`, `disclosure_out_of_place`,
    `sd_jwt_vc_malformed`, `credential_malformed`, jws_*, json_*), RefusedError (`sd_*`,
    `disclosure_*`, `jws_typ_unexpected`), TooLargeError.
    """
    given, second = _parse(data)
    form = given.jws.header.typ
    revealed = sd_jwt.reveal(given)
    claims, document = _read(given.jws, revealed)
    disclosed, withheld = _places(revealed, PLACES[form], claims.document_type)
    holder = key_binding.holder_of(revealed.claims)
    file = DocumentFile(given.jws.text, document, given.text, form, given.jws, second)
    presentation = Presentation(given, holder, disclosed, withheld, revealed.hash)
    return OpenedFile(file, given.jws, claims, presentation=presentation)


def read(signed: Jws) -> CredentialClaims:
    """The claims as they show with nothing disclosed; raises as `open_file`."""
    return _read(signed, sd_jwt.reveal(SdJwt(signed)))[0]


def present(data: bytes, pointers: Iterable[str]) -> SdJwt:
    """The document file with only the members at `pointers` (of the document) disclosed.

    Raises RefusedError `disclosure_no_such_place`, `sd_jwt_already_bound`, and as `open_file`.
    """
    opened = open_file(data).presentation
    assert opened is not None
    place = PLACES[opened.given.jws.header.typ]
    return sd_jwt.present(opened.given, [place + pointer for pointer in pointers])


def combined(one: bytes, other: bytes) -> bytes:
    """The wider presentation of one document: the disclosures of both files, without binding."""
    (left, first), (right, second) = _parse(one), _parse(other)
    if left.jws.payload != right.jws.payload:
        raise RefusedError("credential_payload_mismatch", "the files show different documents")
    texts = tuple(dict.fromkeys((*left.disclosures, *right.disclosures)))
    return countersignature.join(SdJwt(left.jws, texts).text.encode("ascii"), first or second)


def _read(signed: Jws, revealed: Revealed) -> tuple[CredentialClaims, bytes]:
    members = revealed.claims
    of_subject = members.get("credentialSubject") if signed.header.typ == VC else members
    subject = Fields(of_subject if isinstance(of_subject, dict) else {}, vcdm.CODE)
    if dict(subject.child("payload").members) != {"mediaType": JSON}:
        raise subject.fault("payload", "only the media type of a disclosable document is signed")
    document = strict_json.canonical(dict(subject.child("document").members))
    payload = PayloadInfo.of(document, JSON)
    if signed.header.typ == VC:
        base = vcdm.read_members(members)
        return credential.claims_of(base, signed.kid, payload), document
    return _dc_claims(signed.kid, revealed, payload), document


def _dc_claims(kid: str, revealed: Revealed, payload: PayloadInfo) -> CredentialClaims:
    base = sd_jwt_vc.read(revealed, kid)
    fields = Fields(base.claims, sd_jwt_vc.CODE)
    if base.valid_from is None or base.valid_until is None:
        raise fields.fault("exp", "a document's credential has nbf and exp")
    document_type = fields.text("documentType", pattern=TYPE_KEY)
    revocation, suspension = status.read_entries(fields.child("status"), _STATUS)
    claims = CredentialClaims(
        id=fields.text("jti", pattern=credential.UUID),
        credential_type=registry.get(document_type).credential_type,
        issuer=fields.text("iss", pattern=DID, max_length=400),
        network=fields.digest("network"),
        valid_from=base.valid_from,
        valid_until=base.valid_until,
        status=revocation,
        suspension=suspension,
        document_type=document_type,
        number=fields.text("number", max_length=200),
        salt=credential.read_salt(fields),
        payload=payload,
    )
    if base.vct != claims.schema_id:
        raise fields.fault("vct", "the type is not that of the document")
    return replace(
        claims,
        consignment=fields.optional_text("consignment", max_length=100),
        export_country=fields.optional_text("exportCountry", pattern=COUNTRY),
        import_country=fields.optional_text("importCountry", pattern=COUNTRY),
        replaces=fields.optional_digest("replaces"),
    )


def _places(
    revealed: Revealed, document: str, document_type: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Disclosed and withheld, after checking that nothing else is concealed anywhere.

    What the issuer lists must be what the profile marks, and the digests that stay concealed must
    be exactly those of the listed members that are not shown.
    """
    listed = _listed(revealed.claims, document)
    patterns = [steps(pattern) for pattern in registry.disclosable(document_type)]
    if not all(any(_fits(steps(one), pattern) for pattern in patterns) for one in listed):
        raise _out_of_place("the issuer lists a member that its profile does not mark")
    shown = {one.pointer for one in revealed.disclosed}
    disclosed = tuple(one for one in listed if document + one in shown)
    withheld = tuple(one for one in listed if document + one not in shown)
    hidden = Counter((document + one).rpartition("/")[0] for one in withheld)
    if revealed.elements or len(disclosed) != len(shown) or hidden != Counter(revealed.hidden):
        raise _out_of_place("members are concealed that the issuer does not list")
    return disclosed, withheld


def _listed(claims: Mapping[str, JsonValue], document: str) -> tuple[str, ...]:
    fields = Fields(claims, vcdm.CODE)
    subject = fields.child("credentialSubject") if document == PLACES[VC] else fields
    return subject.texts("disclosable", max_items=sd_jwt.MAX_DISCLOSURES)


def _fits(path: list[str], pattern: list[str]) -> bool:
    """Whether a pointer is one of those that a pattern stands for; `*` is any array index."""
    return len(path) == len(pattern) and all(
        (step.isdecimal() and step.isascii()) if wanted == "*" else step == wanted
        for step, wanted in zip(path, pattern, strict=True)
    )


def _out_of_place(detail: str) -> MalformedError:
    return MalformedError("disclosure_out_of_place", detail)
