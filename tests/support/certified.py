"""Documents signed under certificates, countersigned, and stamped: on top of `evidence_world`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from protocols import base64url
from protocols.credentials import countersignature
from protocols.credentials.credential import DocumentFile
from protocols.digest import sha256
from protocols.keys import SoftwareSigner
from protocols.member_list import AnchorEntry, ListedKey, MemberList
from schemas import strict_json
from tests.support import evidence_world as world
from tests.support import pki
from tests.support.title_world import NOW, did

ISSUER = did("cn-cert")
SERVER = "https://time.example/stamp"
ROOT = pki.root()
TIME_ROOT = pki.root("Test Time Root")
STAMPER = pki.server(TIME_ROOT)


def certified_signer(name: str = "certified") -> SoftwareSigner:
    """A credential key of the issuer that the list does not name: certificates vouch for it."""
    return SoftwareSigner(f"{ISSUER}#{name}", pki.key_of(name))


def mldsa_signer(name: str = "second", owner: str = ISSUER) -> SoftwareSigner:
    key = mldsa.MLDSA65PrivateKey.from_seed_bytes(sha256(name.encode()))
    return SoftwareSigner(f"{owner}#credential-2", key)


def anchor(certificate: bytes = ROOT.der, **changes: object) -> AnchorEntry:
    made = AnchorEntry("credential", ISSUER, certificate, pki.START)
    return replace(made, **changes)


def time_anchor(certificate: bytes = TIME_ROOT.der, **changes: object) -> AnchorEntry:
    return replace(AnchorEntry("timestamp", SERVER, certificate, pki.START), **changes)


def members(
    anchors: Sequence[AnchorEntry] = (anchor(), time_anchor()),
    *,
    both_from: datetime | None = None,
    key_ends: datetime | None = None,
    compromised: datetime | None = None,
) -> MemberList:
    """The list of the evidence world with these anchors, and the issuer's ML-DSA key."""
    prepared = world.draft()
    second = ListedKey(mldsa_signer().public(), "credential", ISSUER, NOW - timedelta(days=1))
    nodes = tuple(
        replace(
            entry,
            keys=(*(_ended(key, key_ends, compromised) for key in entry.keys), second),
            countersigned_from=both_from,
        )
        if entry.did == ISSUER
        else entry
        for entry in prepared.nodes
    )
    return world.founded(replace(prepared, nodes=nodes, anchors=tuple(anchors)))


def _ended(key: ListedKey, end: datetime | None, compromised: datetime | None) -> ListedKey:
    if key.purpose != "credential":
        return key
    announced = None if compromised is None else prepared_at()
    return replace(
        key, valid_until=end, compromised_from=compromised, compromise_announced=announced
    )


def prepared_at() -> datetime:
    """When the list of `members` is issued."""
    return world.draft().issued_at


def with_chain(
    chain: Sequence[bytes],
    signer: SoftwareSigner,
    **changes: object,
) -> DocumentFile:
    """A document whose header carries these certificates, issued under the list `members()`."""
    file = world.issued(signer=signer, **changes)
    return with_header(file, signer, [base64.b64encode(one).decode() for one in chain])


def with_header(file: DocumentFile, signer: SoftwareSigner, x5c: Sequence[str]) -> DocumentFile:
    header: dict[str, strict_json.JsonValue] = {
        "alg": signer.algorithm,
        "cty": "vc",
        "kid": signer.kid,
        "typ": "vc+jwt",
        "x5c": list(x5c),
    }
    body = file.credential.split(".")[1]
    signed = f"{base64url.encode(strict_json.canonical(header))}.{body}"
    signature = base64url.encode(signer.sign(signed.encode()))
    return DocumentFile(f"{signed}.{signature}", file.payload)


def countersigned(file: DocumentFile, listed: MemberList, signer: SoftwareSigner) -> DocumentFile:
    second = countersignature.sign(listed.network, file.digest, signer)
    return replace(file, countersignature=second)


def stamp(file: DocumentFile, at: datetime, **changes: object) -> bytes:
    """A time-stamp over the file's credential."""
    return STAMPER.stamp(file.credential.encode(), at, **changes)


def p384(name: str) -> SoftwareSigner:
    number = int.from_bytes(sha256(name.encode()), "big")
    return SoftwareSigner(f"{ISSUER}#{name}", ec.derive_private_key(number, ec.SECP384R1()))
