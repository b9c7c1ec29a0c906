"""Signed title operations, issuance manifests and refusals (JWS with a typ each, R1).

An operation is signed by the title key of the party that acts, never by its platform (R20). The
issuance manifest is the carrier's statement which document the title stands for; after DCSA's
IssuanceManifest (PINT 3.0.0), with the members that bind it to one network, arbiter and title
(R19). The registry answers a losing operation with a signed refusal that names the winner: that
is the loser's evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from protocols import base64url, jws, times
from protocols.digest import sha256
from protocols.fields import DID, Fields
from protocols.keys import thumbprint
from protocols.title.json_forms import (
    Json,
    operation_bytes,
    read_operation_bytes,
    require_members,
)
from protocols.title.machine import MAX_JOINT, Operation, Party, title_id
from schemas import laws, strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.jws import Jws
    from protocols.keys import PublicKey, Signer

OPERATION_TYP = "px-title+jws"
ISSUANCE_TYP = "px-issuance+jws"
REFUSAL_TYP = "px-refusal+jws"
MAX_TEXT = 16 * 1024
SALT_BYTES = 32
#: Between the signatures of joint holders; no compact JWS has it.
JOINT = "~"
_MANIFEST_CODE = "issuance_manifest_malformed"
_VISUALISATION = "eBLVisualisationByCarrierChecksum"
_REFUSAL_CODE = "title_refusal_malformed"


class TitleKeys(Protocol):
    """What the member list says about title keys at one moment; a seam for the pure core."""

    def title_key(self, kid: str, at: datetime) -> PublicKey | None:
        """The listed title key of that id, if it is valid at `at`."""
        ...

    def has_title_key(self, party: Party, at: datetime) -> bool:
        """Whether the party's DID has a valid title key with that thumbprint."""
        ...

    def may_issue(self, did: str) -> bool:
        """Whether the member is a carrier."""
        ...


# Operations.


def sign_operation(operation: Operation, *signers: Signer) -> str:
    """The operation as compact JWS; the signer must be its sender's title key (R20).

    Joint holders sign all: one JWS for each over the same payload, `~` between them. Raises
    RefusedError `title_key_mismatch`.
    """
    held = {Party(jws.did_of(one.kid), thumbprint(one.public_jwk)): one for one in signers}
    acting = operation.sender.joint or (operation.sender,)
    if set(held) != set(acting):
        raise RefusedError("title_key_mismatch", "the key is not the one that the operation names")
    payload = operation_bytes(operation)
    return JOINT.join(jws.sign(payload, typ=OPERATION_TYP, signer=held[one]) for one in acting)


@dataclass(frozen=True, slots=True)
class SignedOperation:
    """An operation with the JWS that carries it; the signature is not yet checked.

    further: those of the other joint holders
    """

    jws: Jws
    operation: Operation
    further: tuple[Jws, ...] = ()

    @property
    def text(self) -> str:
        """The compact JWS; that of each joint holder with `~` between them."""
        return JOINT.join(one.text for one in self.signatures)

    @property
    def signatures(self) -> tuple[Jws, ...]:
        """One for each who signs."""
        return (self.jws, *self.further)


def read_operation(text: str) -> SignedOperation:
    """A signed operation from its compact JWS; raises as `jws.parse`, and
    MalformedError `title_operation_malformed`."""
    parts = text.split(JOINT, MAX_JOINT)
    parsed = jws.parse(parts[0], typ=OPERATION_TYP, max_bytes=MAX_TEXT)
    operation = read_operation_bytes(parsed.payload)
    if len(parts) != max(1, len(operation.sender.joint)) or len(text) > MAX_TEXT:
        raise MalformedError("title_operation_malformed", "one signature for each who acts")
    further = tuple(jws.parse(part, typ=OPERATION_TYP, max_bytes=MAX_TEXT) for part in parts[1:])
    if any(other.payload != parsed.payload for other in further):
        raise MalformedError("title_operation_malformed", "joint holders sign one operation")
    return SignedOperation(parsed, operation, further)


def verify_operation(signed: SignedOperation, keys: TitleKeys, at: datetime) -> None:
    """Check who signed and that both sides are listed, at the moment `at`.

    Raises RefusedError `title_key_not_listed`, `title_key_mismatch`, `bad_signature`,
    `title_recipient_not_listed`, `title_issuer_not_listed`.
    """
    operation = signed.operation
    # In the order of the members, so nobody signs for two of them (R3).
    acting = operation.sender.joint or (operation.sender,)
    for party, signature in zip(acting, signed.signatures, strict=True):
        _verify_one(party, signature, keys, at)
    for party in _named(operation):
        if not keys.has_title_key(party, at):
            raise RefusedError(
                "title_recipient_not_listed", "the recipient has no such title key in the list"
            )
    if operation.issuance is not None and not keys.may_issue(operation.sender.did):
        raise RefusedError("title_issuer_not_listed", "only a listed carrier issues titles")


def _verify_one(party: Party, signature: Jws, keys: TitleKeys, at: datetime) -> None:
    key = keys.title_key(signature.kid, at)
    if key is None:
        raise RefusedError("title_key_not_listed", "the signing key is not a listed title key")
    if Party(jws.did_of(signature.kid), key.thumbprint()) != party:
        raise RefusedError("title_key_mismatch", "the key is not the one that the operation names")
    jws.verify(signature, key)


def _named(operation: Operation) -> tuple[Party, ...]:
    """Those who are given something: each joint holder by itself."""
    holder = operation.issuance.holder if operation.issuance else None
    named = (party for party in (operation.recipient, holder) if party is not None)
    return tuple(one for party in named for one in party.joint or (party,))


# Issuance manifests.


@dataclass(frozen=True, slots=True)
class IssuanceManifest:
    """Which document a title stands for.

    document_checksum: SHA-256 of the RFC 8785 form of the transport document
    issue_to_checksum: SHA-256 of the RFC 8785 form of `issueTo`
    salt:              32 bytes; makes the id say nothing about the document (R18, R19)
    visualisation:     SHA-256 of the carrier's picture of the bill, where there is one
    law:               code of the governing law (`schemas.laws`)
    rulebook:          SHA-256 of the rules of titles under which it is issued
    """

    network: bytes
    arbiter: bytes
    carrier: str
    reference: str
    document_checksum: bytes
    issue_to_checksum: bytes
    salt: bytes
    visualisation: bytes | None = None
    law: str | None = None
    rulebook: bytes | None = None

    def to_bytes(self) -> bytes:
        """The payload that is signed."""
        members: Json = {
            "network": self.network.hex(),
            "arbiter": self.arbiter.hex(),
            "carrier": self.carrier,
            "transportDocumentReference": self.reference,
            "documentChecksum": self.document_checksum.hex(),
            "issueToChecksum": self.issue_to_checksum.hex(),
            "salt": base64url.encode(self.salt),
        }
        if self.visualisation is not None:
            members[_VISUALISATION] = self.visualisation.hex()
        if self.law is not None:
            members["governingLaw"] = self.law
        if self.rulebook is not None:
            members["rulebookDigest"] = self.rulebook.hex()
        return strict_json.canonical(members)

    def title(self) -> bytes:
        """The id of the title that this manifest issues (R19)."""
        return title_id(
            network=self.network,
            arbiter=self.arbiter,
            carrier=self.carrier,
            reference=self.reference,
            manifest_digest=sha256(self.to_bytes()),
            salt=self.salt,
        )


_MANIFEST_MEMBERS = frozenset(
    {
        "network",
        "arbiter",
        "carrier",
        "transportDocumentReference",
        "documentChecksum",
        "issueToChecksum",
        _VISUALISATION,
        "salt",
        "governingLaw",
        "rulebookDigest",
    }
)


def document_checksum(document: object) -> bytes:
    """SHA-256 of the RFC 8785 form of a transport document's parsed value (DCSA PINT 3.0.0)."""
    return sha256(strict_json.canonical(document))


def issue_to_checksum(party: Party, name: str) -> bytes:
    """SHA-256 of the RFC 8785 form of `issueTo`: the party's name and its DID as code."""
    codes = [{"codeListProvider": "W3C", "codeListName": "DID", "partyCode": party.did}]
    return sha256(strict_json.canonical({"partyName": name, "identifyingCodes": codes}))


def sign_manifest(manifest: IssuanceManifest, signer: Signer) -> str:
    """The manifest as compact JWS by the carrier's title key."""
    return jws.sign(manifest.to_bytes(), typ=ISSUANCE_TYP, signer=signer)


def read_manifest(text: str) -> tuple[jws.Jws, IssuanceManifest]:
    """A manifest from its compact JWS; raises as `jws.parse` and `issuance_manifest_malformed`.

    Only the canonical payload is taken, so the manifest's digest follows from its values.
    """
    parsed = jws.parse(text, typ=ISSUANCE_TYP, max_bytes=MAX_TEXT)
    fields = Fields(strict_json.loads_object(parsed.payload), _MANIFEST_CODE)
    require_members(fields, _MANIFEST_MEMBERS)
    manifest = IssuanceManifest(
        network=fields.digest("network"),
        arbiter=fields.digest("arbiter"),
        carrier=fields.text("carrier", pattern=DID),
        reference=fields.text("transportDocumentReference", max_length=100),
        document_checksum=fields.digest("documentChecksum"),
        issue_to_checksum=fields.digest("issueToChecksum"),
        salt=_salt(fields),
        visualisation=fields.optional_digest(_VISUALISATION),
        law=fields.optional_text("governingLaw", pattern=laws.CODE, max_length=laws.MAX_CODE),
        rulebook=fields.optional_digest("rulebookDigest"),
    )
    if manifest.to_bytes() != parsed.payload:
        raise MalformedError(_MANIFEST_CODE, "the payload is not in canonical form")
    return parsed, manifest


def _salt(fields: Fields) -> bytes:
    salt = base64url.decode(fields.text("salt", max_length=43), pointer="/salt")
    if len(salt) != SALT_BYTES:
        raise fields.fault("salt", f"the salt has {SALT_BYTES} bytes")
    return salt


def verify_manifest(text: str, keys: TitleKeys, at: datetime) -> IssuanceManifest:
    """The manifest, signed by a listed title key of its carrier at `at`.

    Raises RefusedError `title_key_not_listed`, `title_key_mismatch`, `bad_signature`.
    """
    parsed, manifest = read_manifest(text)
    key = keys.title_key(parsed.kid, at)
    if key is None:
        raise RefusedError("title_key_not_listed", "the signing key is not a listed title key")
    if jws.did_of(parsed.kid) != manifest.carrier:
        raise RefusedError("title_key_mismatch", "the manifest names another carrier")
    jws.verify(parsed, key)
    return manifest


# Refusals.


@dataclass(frozen=True, slots=True)
class Refusal:
    """The registry's word that an operation did not happen, and which one happened instead.

    code:   the stable reason
    seq:    the title's sequence number when it was refused (0: never issued)
    winner: digest of the operation that took the same (title, seq), if one did
    """

    network: bytes
    arbiter: bytes
    title: bytes
    operation: bytes
    code: str
    seq: int
    at: datetime
    winner: bytes | None = None


_REFUSAL_MEMBERS = frozenset(
    {"network", "arbiter", "title", "operation", "code", "seq", "at", "winner"}
)


def sign_refusal(refusal: Refusal, signer: Signer) -> str:
    """The refusal as compact JWS by the sequencer."""
    body: Json = {
        "network": refusal.network.hex(),
        "arbiter": refusal.arbiter.hex(),
        "title": refusal.title.hex(),
        "operation": refusal.operation.hex(),
        "code": refusal.code,
        "seq": refusal.seq,
        "at": times.to_text(refusal.at),
    }
    if refusal.winner is not None:
        body["winner"] = refusal.winner.hex()
    return jws.sign(strict_json.canonical(body), typ=REFUSAL_TYP, signer=signer)


def read_refusal(text: str) -> tuple[jws.Jws, Refusal]:
    """A refusal from its compact JWS; raises as `jws.parse` and `title_refusal_malformed`."""
    parsed = jws.parse(text, typ=REFUSAL_TYP, max_bytes=MAX_TEXT)
    fields = Fields(strict_json.loads_object(parsed.payload), _REFUSAL_CODE)
    require_members(fields, _REFUSAL_MEMBERS)
    return parsed, Refusal(
        network=fields.digest("network"),
        arbiter=fields.digest("arbiter"),
        title=fields.digest("title"),
        operation=fields.digest("operation"),
        code=fields.text("code", max_length=100),
        seq=fields.integer("seq", 0, 1_000_000),
        at=fields.time("at"),
        winner=fields.optional_digest("winner"),
    )


def verify_refusal(text: str, key: PublicKey) -> Refusal:
    """The refusal, signed by the sequencer's `key`."""
    parsed, refusal = read_refusal(text)
    jws.verify(parsed, key)
    return refusal
