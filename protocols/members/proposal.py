"""A proposal: the next version of a member list while it gathers its signatures (R4).

As a file it is the signed list itself, with the signatures that there are so far, perhaps none:
``{"payload", "signatures"}``. Its payload names the digest of the version it follows, so it can be
signed by whoever holds that version and by nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols import base64url, jws
from protocols.keys import Signer
from protocols.members import trust
from protocols.members.entries import Roots
from protocols.members.trust import TYP, MemberList
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError


@dataclass(frozen=True, slots=True)
class Proposal:
    """A next version that is read but not yet in force, with the signatures gathered."""

    envelope: jws.MultiJws
    members: MemberList

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: what the version will be known by."""
        return self.members.digest

    def to_bytes(self) -> bytes:
        """The file."""
        return self.envelope.to_bytes()

    def signed_by(self, signers: Sequence[Signer]) -> Proposal:
        """With the signatures of these keys added."""
        more = jws.sign_multi(self.envelope.payload, typ=TYP, signers=signers).signatures
        return Proposal(self.envelope.with_signatures(more), self.members)

    def joined(self, other: Proposal) -> Proposal:
        """With the signatures of both; raises RefusedError `jws_other_payload`."""
        return Proposal(self.envelope.with_signatures(other.envelope.signatures), self.members)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a proposal is: by the roots in force, and by other roots that it brings."""

    signatures: int
    threshold: int
    new_signatures: int
    new_threshold: int

    @property
    def complete(self) -> bool:
        """Whether it may be published."""
        enough = self.signatures >= self.threshold
        return enough and self.new_signatures >= self.new_threshold

    @property
    def begun(self) -> bool:
        """Whether any root, old or new, has signed at all."""
        return self.signatures > 0 or self.new_signatures > 0


def draft_of(payload: bytes) -> Proposal:
    """A proposal nobody has signed yet; raises MalformedError `member_list_malformed`."""
    envelope = jws.MultiJws(payload, ())
    return Proposal(envelope, trust.read_payload(payload, envelope.to_bytes()))


def read(data: bytes) -> Proposal:
    """A proposal's file, strictly, whatever its signatures are worth.

    Raises MalformedError `jws_malformed`, `member_list_malformed`, TooLargeError.
    """
    members = strict_json.loads_object(data, max_bytes=trust.MAX_BYTES)
    if members.get("signatures") == [] and set(members) == {"payload", "signatures"}:
        payload = members["payload"]
        if not isinstance(payload, str):
            raise MalformedError("jws_malformed", "the payload is a text", pointer="/payload")
        return draft_of(base64url.decode(payload))
    envelope = jws.parse_multi(data, typ=TYP, max_bytes=trust.MAX_BYTES)
    return Proposal(envelope, trust.read_payload(envelope.payload, data))


def require_next(proposal: Proposal, held: MemberList) -> None:
    """The proposal follows `held` and nothing else, and could stand after it (R4).

    Raises ConflictError `proposal_outdated`, and as `trust.require_next`.
    """
    proposed = proposal.members
    if proposed.network != held.network or proposed.test != held.test:
        raise RefusedError("member_list_other_network", "the proposal belongs to another network")
    if (proposed.version, proposed.previous) != (held.version + 1, held.digest):
        raise ConflictError(
            "proposal_outdated",
            f"it follows another list than version {held.version}, which is held here",
            version=proposed.version,
        )
    trust.require_next(held, proposed)


def standing(proposal: Proposal, held: MemberList) -> Standing:
    """What the proposal's signatures count for under the roots of `held`, and under its own."""
    old, new = held.roots, proposal.members.roots
    counted = trust.signatures_counted(proposal.envelope, old)
    if new == old:
        return Standing(counted, old.threshold, 0, 0)
    by_new = trust.signatures_counted(proposal.envelope, new)
    return Standing(counted, old.threshold, by_new, new.threshold)


def sign_list(payload: bytes, signers: Sequence[Signer]) -> bytes:
    """The signed list (general JSON serialisation) with one signature per signer."""
    return jws.sign_multi(payload, typ=TYP, signers=signers).to_bytes()


def combine(signed: bytes, other: bytes) -> bytes:
    """One signed list with the signatures of both; raises `jws_other_payload` when they differ."""
    return read(signed).joined(read(other)).to_bytes()


def require_root(signer: Signer, *roots: Roots) -> None:
    """Raise RefusedError `not_a_root` when the signer's key is in none of `roots`."""
    for one in roots:
        key = one.by_kid().get(signer.kid)
        if key is not None and dict(key.jwk) == dict(signer.public_jwk):
            return
    raise RefusedError("not_a_root", f"{signer.kid} is not a root of this network")
