"""Whose signature it is: keys by platform code, then `kid`, then `x5c` (R7).

PINT 3.0.0 leaves keys to the parties. Here the member list names them: a platform is a member with
that code, whose keys of purpose `platform` count, or a code for which certificates are listed as
anchors. An anchor may be the very certificate a platform signs with, exchanged out of band as most
platforms do. Certificates that come with a signature are judged in `protocols.pint.certificates`. A
carrier is known by the identifier it has as the actor of ISSUE.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from protocols.digest import sha256
from protocols.keys import ALGORITHMS
from protocols.members.anchors import CREDENTIAL, PLATFORM
from protocols.members.entries import within
from protocols.pint import certificates
from protocols.pint.certificates import Bounds
from protocols.pint.chain import ISSUANCE_TYPES
from protocols.pint.refusal import bad_signature
from protocols.pint.signed import Check, check_of
from protocols.x509 import path as x509_path
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocols.members.anchors import AnchorEntry
    from protocols.members.entries import ListedKey
    from protocols.members.trust import MemberList
    from protocols.pint.parties import TransactionParty
    from protocols.pint.signed import Signed

MAX_TRIED = 16


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key by which a platform or carrier may sign.

    kid: its name, None for a key that was exchanged as a certificate; typ: the only kind of object
    that it signs, None for objects without typ
    """

    kid: str | None
    check: Check
    valid_from: datetime
    valid_until: datetime | None = None
    typ: str | None = None

    def fits(self, signed: Signed) -> bool:
        """Whether the key may sign such an object at all."""
        return self.typ is None or self.typ == signed.typ


@dataclass(frozen=True, slots=True)
class Signatory:
    """A platform or carrier with the keys and anchors that are listed for it.

    bounds: what else the list says of who may be certified for it, and until when
    """

    name: str
    keys: tuple[SigningKey, ...] = ()
    anchors: tuple[AnchorEntry, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)

    def verify(self, signed: Signed, at: datetime) -> None:
        """Check that this signatory signed, by a key that stood at the moment `at`.

        Raises EnvelopeRefusedError BSIG `pint_key_unknown`, `pint_key_not_valid`,
        `pint_certificate_refused`, `bad_signature`.
        """
        self.bounds.require_algorithm(signed.alg, at)
        named = [key for key in self.keys if signed.kid is not None and key.kid == signed.kid]
        if named:
            self._try(named, signed, at)
        if signed.x5c:
            self._by_certificate(signed, at, named=bool(named))
        elif not named:
            # A kid that names no listed key is the signer's own word for a certificate's key.
            keys = [key for key in self.keys if signed.kid is None or key.kid is None]
            self._try(keys, signed, at)

    def _try(self, keys: list[SigningKey], signed: Signed, at: datetime) -> None:
        fitting = [key for key in keys if key.fits(signed)]
        if not fitting:
            raise bad_signature(
                "pint_key_unknown", f"no key is listed for {self.name} by this name"
            )
        valid = [key for key in fitting if within(at, key.valid_from, key.valid_until)]
        if not valid:
            detail = f"the key of {self.name} did not stand at that time"
            raise bad_signature("pint_key_not_valid", detail)
        tried = valid[:MAX_TRIED]
        if not any(key.check(signed.alg, signed.signature, signed.signing_input) for key in tried):
            detail = "the signature does not fit the key and the bytes"
            raise bad_signature("bad_signature", detail)

    def _by_certificate(self, signed: Signed, at: datetime, *, named: bool) -> None:
        """`x5c` is never passed over, not even beside a key that the list names (R7)."""
        if not any(anchor.valid_at(at) for anchor in self.anchors):
            code = "pint_certificate_refused" if named else "pint_key_unknown"
            raise bad_signature(code, f"no certificate is listed for {self.name}")
        leaf = certificates.leaf_of(signed.x5c, self.anchors, self.bounds, at)
        check = check_of(leaf.public_key())
        if check is None or not check(signed.alg, signed.signature, signed.signing_input):
            if named:
                detail = "kid names another key than the certificate's"
                raise bad_signature("pint_certificate_refused", detail)
            detail = "the signature does not fit the certificate's key"
            raise bad_signature("bad_signature", detail)


class Keyring(Protocol):
    """Whose keys count; a seam, so that a test network can add what its list does not say."""

    def platform(self, code: str) -> Signatory | None:
        """The platform of that code, None when it is not listed."""
        ...

    def carrier(self, issuer: TransactionParty) -> Signatory | None:
        """The carrier that acts in ISSUE, None when it is not listed."""
        ...


@dataclass(frozen=True, slots=True)
class MemberKeyring(Keyring):
    """The keyring that a member list gives."""

    members: MemberList

    @override
    def platform(self, code: str) -> Signatory | None:
        """A member with that code, or a code for which anchors are listed."""
        node = self.members.platform(code)
        anchors = self._anchors(PLATFORM, code)
        if node is None and not anchors:
            return None
        # As the look-ups give it: keys end with their algorithms.
        owner = None if node is None else self.members.node(node.did)
        keys = () if owner is None else tuple(listed(owner.keys, "platform", None))
        bounds = Bounds(
            PLATFORM,
            did=None if owner is None else owner.did,
            keys=() if owner is None else owner.keys,
            others=tuple(
                anchor
                for anchor in self.members.anchors
                if anchor.purpose == PLATFORM and anchor.subject != code
            ),
            algorithms=certificates.algorithm_ends(self.members),
        )
        return Signatory(code, (*keys, *certified(anchors)), anchors, bounds)

    @override
    def carrier(self, issuer: TransactionParty) -> Signatory | None:
        """A member with the role of carrier, by the DID among the actor's codes."""
        did = issuer.did
        owner = None if did is None else self.members.node(did)
        if did is None or owner is None or "carrier" not in owner.roles:
            return None
        (typ,) = ISSUANCE_TYPES
        anchors = self._anchors(CREDENTIAL, did)
        # A title key signs objects of our own typ only (R1); a certified one what DCSA shows.
        keys = tuple(listed(owner.keys, "title", typ))
        ends = certificates.algorithm_ends(self.members)
        bounds = Bounds(CREDENTIAL, did, owner.keys, algorithms=ends)
        return Signatory(did, (*keys, *certified(anchors)), anchors, bounds)

    def _anchors(self, purpose: str, subject: str) -> tuple[AnchorEntry, ...]:
        return tuple(
            anchor
            for anchor in self.members.anchors
            if (anchor.purpose, anchor.subject) == (purpose, subject)
        )


def listed(keys: Iterable[ListedKey], purpose: str, typ: str | None) -> Iterable[SigningKey]:
    """The keys of one purpose; one that was ever compromised proves nothing by itself (R17)."""
    for key in keys:
        if key.purpose != purpose or key.compromised_from is not None:
            continue
        yield SigningKey(key.kid, _check_of_listed(key), key.valid_from, key.valid_until, typ)


def _check_of_listed(key: ListedKey) -> Check:
    names = ALGORITHMS[key.public.algorithm].header_names
    return lambda alg, signature, data: alg in names and key.public.verify(signature, data)


def certified(anchors: Iterable[AnchorEntry]) -> Iterable[SigningKey]:
    """The anchors' own keys, each within its entry's and its certificate's times."""
    for anchor in anchors:
        if any(one.sha256 == sha256(anchor.certificate) for one in anchor.revoked):
            continue
        try:
            certificate = x509_path.load(anchor.certificate)
        except TradeError:
            continue
        check = check_of(certificate.public_key())
        if check is None:
            continue
        start = max(anchor.valid_from, certificate.not_valid_before_utc)
        ends = (anchor.valid_until, certificate.not_valid_after_utc)
        end = min(moment for moment in ends if moment is not None)
        yield SigningKey(None, check, start, end)
