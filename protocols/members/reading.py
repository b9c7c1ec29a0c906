"""Reading a member list's payload into entries, strictly; any fault is `member_list_malformed`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from protocols import jws
from protocols.fields import CERTIFICATE_TYPE, COUNTRY, DID, TYPE_KEY, Fields
from protocols.keys import ALGORITHMS, PublicKey, from_jwk
from protocols.members.entries import (
    PURPOSES,
    ROLES,
    Agreement,
    AlgorithmEntry,
    IssuerEntry,
    ListedKey,
    LogEntry,
    NodeEntry,
    PartyEntry,
    RegistryEntry,
    Roots,
)
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from datetime import datetime

CODE = "member_list_malformed"
MAX_KEYS = 100
MAX_POLICY = 20_000
_ENDPOINT = re.compile(r"(?a:https?://[A-Za-z0-9.\[\]:-]{1,255})")
_ALGORITHM = re.compile(r"(?a:[A-Za-z0-9][A-Za-z0-9._-]{0,60})")
_LOCODE = re.compile(r"(?a:[A-Z]{2}[A-Z2-9]{3})")
_AEO_WORD = re.compile(r"(?a:[A-Z]{3,20})")
_PLATFORM = re.compile(r"(?a:[A-Z0-9]{1,4})")


def read_roots(fields: Fields) -> Roots:
    """The root keys: different ones, and a threshold that they can reach."""
    keys = tuple(read_root_key(child) for child in fields.children("keys", 32))
    if len({key.thumbprint() for key in keys}) != len(keys):
        raise fields.fault("keys", "one key stands twice among the roots")
    threshold = fields.integer("threshold", 1, 32)
    if threshold > len(keys):
        raise fields.fault("threshold", "the threshold asks for more keys than there are")
    return Roots(threshold, keys)


def read_root_key(fields: Fields) -> PublicKey:
    """One public key with its key id, as roots stand in a list."""
    return from_jwk(_kid(fields), fields.child("jwk").members, pointer=fields.place("jwk"))


def _kid(fields: Fields) -> str:
    kid = fields.text("kid", max_length=400)
    if not jws.is_key_id(kid):
        raise fields.fault("kid", "kid is an absolute did:web URL with a fragment")
    return kid


def _key(fields: Fields, owner: str, purposes: frozenset[str]) -> ListedKey:
    public = read_root_key(fields)
    if jws.did_of(public.kid) != owner:
        raise fields.fault("kid", "the key id does not belong to its owner")
    purpose = _one_of(fields, "purpose", purposes)
    if purpose != "credential" and not ALGORITHMS[public.algorithm].everywhere:
        raise fields.fault("jwk", f"{public.algorithm} keys sign credentials only")
    start, end = _span(fields)
    compromise = fields.optional_child("compromised")
    return ListedKey(
        public=public,
        purpose=purpose,
        did=owner,
        valid_from=start,
        valid_until=end,
        compromised_from=compromise.time("from") if compromise else None,
        compromise_announced=compromise.time("announced") if compromise else None,
    )


def _one_of(fields: Fields, name: str, allowed: frozenset[str]) -> str:
    value = fields.text(name)
    if value not in allowed:
        raise fields.fault(name, f"{name} is one of {', '.join(sorted(allowed))}")
    return value


def _span(fields: Fields) -> tuple[datetime, datetime | None]:
    start, end = fields.time("validFrom"), fields.optional_time("validUntil")
    if end is not None and end < start:
        raise fields.fault("validUntil", "it ends before it starts")
    return start, end


def read_node(fields: Fields, *, test: bool = True) -> NodeEntry:
    """One node; outside test networks its endpoint is https."""
    did = fields.text("did", pattern=DID)
    endpoint = fields.text("endpoint", pattern=_ENDPOINT)
    if not test and not endpoint.startswith("https://"):
        raise fields.fault("endpoint", "outside test networks an endpoint is https")
    roles = fields.texts("roles")
    if not set(roles) <= ROLES:
        raise fields.fault("roles", f"roles are {', '.join(sorted(ROLES))}")
    return NodeEntry(
        did=did,
        name=fields.text("name"),
        roles=roles,
        country=fields.text("country", pattern=COUNTRY),
        endpoint=endpoint,
        keys=tuple(_key(child, did, PURPOSES) for child in fields.children("keys", MAX_KEYS)),
        names=fields.text_map("names"),
        locode=fields.optional_text("locode", pattern=_LOCODE),
        platform=fields.optional_text("platform", pattern=_PLATFORM),
        countersigned_from=fields.optional_time("countersignedFrom"),
    )


def read_party(fields: Fields) -> PartyEntry:
    """One hosted party; its keys are title keys."""
    did = fields.text("did", pattern=DID)
    purposes = frozenset({"title"})
    return PartyEntry(
        did=did,
        name=fields.text("name"),
        host=fields.text("host", pattern=DID),
        keys=tuple(_key(child, did, purposes) for child in fields.children("keys", MAX_KEYS)),
        names=fields.text_map("names"),
    )


def read_issuer(fields: Fields) -> IssuerEntry:
    """One right to issue."""
    start, end = _span(fields)
    return IssuerEntry(
        did=fields.text("did", pattern=DID),
        document_type=fields.text("documentType", pattern=TYPE_KEY),
        country=fields.text("country", pattern=COUNTRY),
        valid_from=start,
        valid_until=end,
        office=fields.optional_text("office"),
        delegated_by=fields.optional_text("delegatedBy", pattern=DID),
        certificate_types=fields.texts("certificateTypes", pattern=CERTIFICATE_TYPE, max_items=30),
    )


def read_agreement(fields: Fields) -> Agreement:
    """One recognition agreement."""
    start, end = _span(fields)
    return Agreement(
        id=fields.text("id"),
        verifier=fields.text("verifier", pattern=COUNTRY),
        issuer=fields.text("issuer", pattern=COUNTRY),
        document_types=fields.texts("documentTypes", pattern=TYPE_KEY),
        valid_from=start,
        valid_until=end,
        rules=fields.optional_text("rules"),
        **read_aeo(fields),
    )


def read_aeo(fields: Fields) -> dict[str, tuple[str, ...]]:
    """Classes and roles of authorised operators that an agreement covers."""
    return {
        "aeo_classes": fields.texts("aeoClasses", pattern=_AEO_WORD, max_items=10),
        "aeo_roles": fields.texts("aeoRoles", pattern=_AEO_WORD, max_items=10),
    }


def read_log(fields: Fields) -> LogEntry:
    """One log; the policy's text is examined by the log's own code (C2SP tlog-policy)."""
    return LogEntry(
        origin=fields.text("origin"),
        did=fields.text("did", pattern=DID),
        vkey=fields.text("vkey"),
        epoch=fields.integer("epoch", 1, 1_000_000),
        policy=_policy(fields),
        since=fields.integer("since", 1, 2**53 - 1) if fields.has("since") else None,
    )


def read_registry(fields: Fields) -> RegistryEntry:
    """One title registry."""
    return RegistryEntry(
        origin=fields.text("origin"),
        did=fields.text("did", pattern=DID),
        vkey=fields.text("vkey"),
        policy=_policy(fields),
    )


def read_algorithm(fields: Fields) -> AlgorithmEntry:
    """One algorithm that is refused from a date on; names nobody here knows are kept, too."""
    return AlgorithmEntry(id=fields.text("id", pattern=_ALGORITHM), until=fields.time("until"))


def _policy(fields: Fields) -> str:
    if fields.members.get("policy") == "":
        return ""
    return fields.text("policy", max_length=MAX_POLICY)


def require_different(values: Iterable[str], what: str, pointer: str) -> None:
    """Raise when something that names one thing stands twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise MalformedError(CODE, f"{what} stands twice: {value}", pointer=pointer)
        seen.add(value)
