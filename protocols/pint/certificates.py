"""Certificates that come with a signature (`x5c`): whether they speak for who is to have signed.

PINT 3.0.0 says nothing of them. R7 does: a certificate reaches an anchor that is listed for that
platform code and speaks for that code alone. The path is RFC 5280 §6's (`protocols.x509`). What it
certifies counts no longer than the list lets the key and its algorithm count (R3, R17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocols.keys import ALGORITHMS
from protocols.members.anchors import CREDENTIAL, PLATFORM
from protocols.pint.refusal import bad_signature
from protocols.x509 import path as x509_path
from protocols.x509.names import is_named
from protocols.x509.path import Purpose
from schemas.errors import RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate

    from protocols.members.anchors import AnchorEntry
    from protocols.members.entries import ListedKey
    from protocols.members.trust import MemberList

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_PURPOSES = {PLATFORM: Purpose.PLATFORM, CREDENTIAL: Purpose.CREDENTIAL}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the member list says beside anchors of who may be certified for a signatory.

    use:        purpose of the keys that are certified: platform, or a carrier's credential
    did:        the member, where the signatory is one
    keys:       the member's keys, with their times, of every purpose
    others:     anchors of other platforms: what they stand for is not this one's
    algorithms: name in a header → until when its signatures count
    """

    use: str = PLATFORM
    did: str | None = None
    keys: tuple[ListedKey, ...] = ()
    others: tuple[AnchorEntry, ...] = ()
    algorithms: Mapping[str, datetime] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )

    def require_algorithm(self, alg: str, at: datetime) -> None:
        """Raise BSIG `pint_key_not_valid` when the list had ended the algorithm by `at`."""
        end = self.algorithms.get(alg)
        if end is not None and at >= end:
            raise bad_signature("pint_key_not_valid", f"{alg} no longer counted at that time")


def algorithm_ends(members: MemberList) -> Mapping[str, datetime]:
    """Until when signatures count, by the names of algorithms in a header."""
    ends = ((row, members.algorithm_until(row.name)) for row in ALGORITHMS.values())
    return MappingProxyType(
        {name: end for row, end in ends if end is not None for name in row.header_names}
    )


def leaf_of(
    chain: Sequence[bytes], anchors: Sequence[AnchorEntry], bounds: Bounds, at: datetime
) -> Certificate:
    """The certificate of who signed: it reaches one of `anchors`, and stood at `at`.

    chain: DER, the leaf first; anchors: those listed for the signatory at any time

    Raises EnvelopeRefusedError BSIG `pint_certificate_refused`, `pint_key_not_valid`.
    """
    # Without a witness nobody knows whether it was before the revocation (R17).
    revoked = {one.sha256: _ALWAYS for anchor in anchors for one in anchor.revoked}
    listed = [anchor.certificate for anchor in anchors if anchor.valid_at(at)]
    try:
        if chain[0] in listed:
            leaf = x509_path.load(chain[0])
            x509_path.require_time(leaf, at, revoked)
        else:
            path = x509_path.validate(
                chain, listed, at, purpose=_PURPOSES[bounds.use], revoked=revoked
            )
            _require_own(path, bounds, at)
            leaf = path.leaf
    except TradeError as error:
        raise bad_signature("pint_certificate_refused", error.detail) from None
    _require_standing(leaf, bounds, at)
    return leaf


def _require_own(path: x509_path.CertificatePath, bounds: Bounds, at: datetime) -> None:
    """The path leads to this signatory and to nobody else: raises RefusedError."""
    if bounds.use == CREDENTIAL:
        # The same anchor may stand for many issuers; the name tells them apart, as in CRED-15.
        x509_path.require_name(path.leaf, bounds.did or "")
        return
    keys = {_key_of(x509_path.load(path.anchor)), *map(_key_of, path.certificates)}
    shared = any(_stands_for(one) in keys for one in bounds.others if one.valid_at(at))
    if shared and not (bounds.did and is_named(path.leaf, bounds.did)):
        detail = "the certificates lead to an anchor of another platform, too, and name no member"
        raise RefusedError("certificate_other_name", detail)


def _key_of(certificate: Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _stands_for(anchor: AnchorEntry) -> bytes:
    try:
        return _key_of(x509_path.load(anchor.certificate))
    except TradeError:
        return b""


def _require_standing(leaf: Certificate, bounds: Bounds, at: datetime) -> None:
    """A key that the list names, too, counts as the list says: no other name mends a lost key."""
    try:
        mark = x509_path.key_of(leaf, "certified").thumbprint()
    except TradeError:
        return  # Of a kind that the list has no keys of.
    same = [key for key in bounds.keys if key.public.thumbprint() == mark]
    lost = any(key.compromised_from is not None for key in same)
    stands = any(key.purpose == bounds.use and key.valid_at(at) for key in same)
    if lost or (same and not stands):
        detail = "the member list says of the certified key that it does not stand, or not for this"
        raise bad_signature("pint_key_not_valid", detail)
