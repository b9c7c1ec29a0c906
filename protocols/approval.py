"""A person's decision, signed with a key of their own (R26): what the document signer asks for.

A compact JWS (typ ``px-approval+jws``) by a P-256 key whose did:key is the key id. Inside stand the
network (R1), the act, the digest of its subject and of the terms that go with it, type and number
for people to read, the review policy it was made under, the decision, and an expiry. A key belongs
to one person; whose it is, is said by the desk's register of persons and never by the approval.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.credentials import did
from protocols.digest import sha256
from protocols.fields import Fields
from protocols.keys import ES256
from schemas import strict_json
from schemas.errors import ForbiddenError, MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from protocols.keys import PublicKey, Signer
    from schemas.strict_json import JsonValue

TYP = "px-approval+jws"
CODE = "approval_malformed"
MAX_BYTES = 8 * 1024
#: Approvals of one act at most; no policy asks for as many.
MAX_APPROVALS = 8
MAX_REASON = 500
MAX_TERM = timedelta(days=31)
SKEW = timedelta(seconds=60)
ISSUE, ISSUE_BATCH = "issue", "issue-batch"
REVOKE, SUSPEND, REINSTATE = "revoke", "suspend", "reinstate"
STATUS_ACTS = (REVOKE, SUSPEND, REINSTATE)
ADD_PERSON = "add-person"
ACTS = frozenset({ISSUE, ISSUE_BATCH, ADD_PERSON, *STATUS_ACTS})
APPROVE, REFUSE = "approve", "refuse"
#: What `require_approvals` refuses an act for, without saying anything about the document itself.
REFUSALS = frozenset(
    {
        CODE,
        "approval_missing",
        "approval_other_network",
        "approval_other_act",
        "approval_other_subject",
        "approval_other_policy",
        "approval_expired",
        "approval_is_refusal",
        "approval_person_unknown",
        "approval_person_ended",
        "approval_used",
        "second_person_required",
    }
)
POLICY = re.compile(r"(?a:[A-Za-z0-9][A-Za-z0-9._-]{0,39} [0-9a-f]{64})")
_DECISION = re.compile(f"{APPROVE}|{REFUSE}")
_MEMBERS = frozenset(
    {"network", "act", "subject", "terms", "type", "number", "policy", "decision", "reason", "at",
     "expires"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """What is decided on.

    digest: SHA-256 of the payload to be issued, of the document file, of the batch, or of a
            person's name and key
    terms:  SHA-256 of what goes with it: the order's other members, or the reason of a change
    type, number: for people to read; "-" where there is none
    """

    act: str
    digest: bytes
    terms: bytes
    type: str
    number: str

    @property
    def item(self) -> bytes:
        """How a batch names it: SHA-256 over digest and terms."""
        return sha256(self.digest + self.terms)


def subject(
    act: str, digest: bytes, terms: Mapping[str, JsonValue], *, type_: str, number: str
) -> Subject:
    """The subject of an act; terms are bound as SHA-256 of their RFC 8785 form."""
    return Subject(act, digest, sha256(strict_json.canonical(terms)), type_ or "-", number or "-")


def batch_subject(name: str, items: bytes) -> Subject:
    """A batch of that name; items: `Subject.item` of each document, one after the other."""
    terms: dict[str, JsonValue] = {"name": name, "total": len(items) // 32}
    return subject(ISSUE_BATCH, sha256(items), terms, type_="batch", number=name)


def person_subject(name: str, key: str) -> Subject:
    """A person who is to decide from now on, under that did:key."""
    terms: dict[str, JsonValue] = {"name": name, "key": key}
    digest = sha256(strict_json.canonical(terms))
    return subject(ADD_PERSON, digest, terms, type_="person", number=name)


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person says. policy: edition and digest, as `Policy.version`; times are aware UTC."""

    network: bytes
    subject: Subject
    policy: str
    decision: str
    at: datetime
    expires: datetime
    reason: str = ""

    def payload(self) -> bytes:
        """RFC 8785 JSON."""
        body: dict[str, JsonValue] = {
            "network": self.network.hex(),
            "act": self.subject.act,
            "subject": self.subject.digest.hex(),
            "terms": self.subject.terms.hex(),
            "type": self.subject.type,
            "number": self.subject.number,
            "policy": self.policy,
            "decision": self.decision,
            "at": times.to_text(self.at),
            "expires": times.to_text(self.expires),
        }
        if self.reason:
            body["reason"] = self.reason
        return strict_json.canonical(body)


@dataclass(frozen=True, slots=True)
class SignedApproval:
    """An approval whose signature is its key's.

    digest: SHA-256 over the payload's (R2) and the key: two persons may say the same in one moment
    """

    approval: Approval
    key: str
    digest: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whose key it is, and whether that person still decides with it."""

    name: str
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Approved:
    """An approval that counts, and whose it is."""

    person: str
    signed: SignedApproval


def key_id(key: str) -> str:
    """The key id under which the holder of a did:key signs."""
    return f"{key}#{key.removeprefix('did:key:')}"


def person_key(key: object) -> PublicKey:
    """The P-256 key of a person's did:key; raises MalformedError `reviewer_key_malformed`."""
    try:
        found = did.resolve(did.parse(key_id(key) if isinstance(key, str) else key))
    except MalformedError:
        found = None
    if found is None or found.algorithm != ES256:
        raise MalformedError("reviewer_key_malformed", "a did:key of a P-256 key", pointer="/key")
    return found


def sign(approval: Approval, signer: Signer) -> str:
    """The approval as a compact JWS; the signer's kid is the `key_id` of its own did:key."""
    return jws.sign(approval.payload(), typ=TYP, signer=signer)


@lru_cache(maxsize=256)
def read(text: str) -> SignedApproval:
    """An approval and whose key signed it; nothing is said yet about whether it counts.

    Raises MalformedError `approval_malformed`, RefusedError `bad_signature`, and what reading a
    JWS raises.
    """
    parsed = jws.parse(text, typ=TYP, max_bytes=MAX_BYTES)
    key = jws.did_of(parsed.kid)
    try:
        public = person_key(key)
    except MalformedError as error:
        raise MalformedError(CODE, error.detail, pointer="/kid") from None
    jws.verify(parsed, public)
    members = strict_json.loads_object(parsed.payload, max_bytes=MAX_BYTES)
    unknown = members.keys() - _MEMBERS
    if unknown:
        raise MalformedError(CODE, "nobody signs what nobody here reads", pointer=min(unknown))
    digest = sha256(parsed.payload_digest + key.encode())
    return SignedApproval(_approval(Fields(members, CODE)), key, digest, text)


def _approval(fields: Fields) -> Approval:
    act = fields.text("act", max_length=20)
    if act not in ACTS:
        raise fields.fault("act", f"the acts are {', '.join(sorted(ACTS))}")
    at, expires = fields.time("at"), fields.time("expires")
    if not at < expires <= at + MAX_TERM:
        raise fields.fault("expires", f"after `at`, and at most {MAX_TERM.days} days later")
    decision = fields.text("decision", pattern=_DECISION)
    reason = fields.optional_text("reason", max_length=MAX_REASON) or ""
    if decision == REFUSE and not reason:
        raise fields.fault("reason", "a refusal has a reason")
    return Approval(
        network=fields.digest("network"),
        subject=Subject(
            act,
            fields.digest("subject"),
            fields.digest("terms"),
            fields.text("type", max_length=100),
            fields.text("number", max_length=200),
        ),
        policy=fields.text("policy", pattern=POLICY),
        decision=decision,
        at=at,
        expires=expires,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What an approval has to be about: the network, the subject, the policy, the persons, now."""

    network: bytes
    subject: Subject
    policy: str
    people: Mapping[str, Person]
    at: datetime

    def decided(self, text: str) -> Approved:
        """A decision, either way, that counts for this.

        Raises as `read`; ForbiddenError `approval_person_unknown`, `approval_person_ended`;
        RefusedError `approval_other_network`, `approval_other_act`, `approval_other_subject`,
        `approval_other_policy`, `approval_expired`.
        """
        signed = read(text)
        person = self.people.get(signed.key)
        if person is None:
            raise ForbiddenError("approval_person_unknown", signed.key)
        if person.ended:
            raise ForbiddenError("approval_person_ended", f"{person.name} decides no more")
        self._require_fit(signed.approval)
        return Approved(person.name, signed)

    def _require_fit(self, said: Approval) -> None:
        if said.network != self.network:
            raise RefusedError("approval_other_network", said.network.hex()[:16])
        if said.subject.act != self.subject.act:
            raise RefusedError("approval_other_act", f"it is for {said.subject.act}")
        if said.subject != self.subject:
            raise RefusedError(
                "approval_other_subject", f"it is for {said.subject.type} {said.subject.number}"
            )
        if said.policy != self.policy:
            raise RefusedError("approval_other_policy", f"it is under {said.policy[:60]}")
        if not said.at - SKEW <= self.at < said.expires:
            span = f"{times.to_text(said.at)} to {times.to_text(said.expires)}"
            raise RefusedError("approval_expired", f"it holds from {span}")


def require_approvals(texts: Sequence[str], asked: Asked, needed: int) -> tuple[Approved, ...]:
    """Approvals by at least `needed` different persons; each one given has to count.

    Raises as `Asked.decided`; RefusedError `approval_is_refusal`; ForbiddenError
    `second_person_required` when a person stands behind two of them, `approval_missing`.
    """
    if len(texts) > MAX_APPROVALS:
        raise MalformedError(CODE, f"more than {MAX_APPROVALS} approvals")
    found = tuple(asked.decided(text) for text in texts)
    for each in found:
        if each.signed.approval.decision != APPROVE:
            raise RefusedError("approval_is_refusal", f"{each.person} refused it")
    persons = {each.person for each in found}
    if len(persons) < len(found):
        raise ForbiddenError("second_person_required", "one person approved twice")
    if len(persons) < needed:
        raise missing(asked.subject.act, needed, len(persons))
    return found


def missing(act: str, needed: int, given: int) -> ForbiddenError:
    """The refusal that names how many approvals are missing."""
    detail = f"{act}: approvals missing: {needed - given} of {needed}"
    return ForbiddenError("approval_missing", detail, needed=needed, missing=needed - given)
