"""The signed rule set of a destination, and the digest by which a pre-advice cites it.

The digest is over the rules alone, so the same rules signed on another day have the same digest.
A rule set is believed only under the destination's listed credential key, for the network and
member it names, and within its time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.fields import COUNTRY, DID, Fields
from protocols.members.entries import KeyStanding, within
from protocols.release.rules import edition_of, parse_edition
from schemas import cross, profiles, registry, strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from protocols.keys import Signer
    from protocols.member_list import MemberList
    from protocols.release.rules import CountryRules
    from schemas.strict_json import JsonValue

TYP = "pratique-rules+jwt"
CODE = "rule_set_malformed"
MAX_BYTES = 1024 * 1024
LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One destination's rules. content: what is cited by `digest`; text: as signed."""

    node: str
    country: str
    content: dict[str, JsonValue]
    issued_at: datetime
    expires: datetime
    text: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the rules in canonical JSON (RFC 8785)."""
        return hashlib.sha256(strict_json.canonical(self.content)).hexdigest()

    @property
    def release(self) -> CountryRules:
        """The release rules as they stand in the set, not as they are packaged here."""
        fields = Fields(self.content, CODE)
        edition = fields.child("release").members
        try:
            return parse_edition(self.country, edition, fields.digest("releaseDigest").hex())
        except (KeyError, TypeError, ValueError, AttributeError):
            raise fields.fault("release", "these are no release rules") from None

    @property
    def same_documents(self) -> bool:
        """Whether the document rules it names are those that this software applies."""
        return self.content.get("documentRules") == document_rules()


@cache
def document_rules() -> str:
    """SHA-256 (hex) over every profile, every rule's id and the cross rules of this software."""
    types = registry.document_types()
    named = {
        key: {
            "rules": sorted(registry.rules_of(key)),
            "profile": profiles.bundle(key) if kind.media_type == "application/json" else None,
        }
        for key, kind in types.items()
    }
    whole = {"types": named, "cross": sorted(cross.RULES)}
    return hashlib.sha256(strict_json.canonical(whole)).hexdigest()


def of(members: MemberList, node: str, country: str, at: datetime) -> RuleSet:
    """The rules of a node of `country` in force at `at`.

    Raises RefusedError `release_rules_missing` where the country has none.
    """
    edition, digest = edition_of(country, at)
    agreements: list[JsonValue] = [
        dict(each.to_json())
        for each in sorted(members.agreements, key=lambda one: one.id)
        if each.verifier == country and within(at, each.valid_from, each.valid_until)
    ]
    content: dict[str, JsonValue] = {
        "country": country,
        "release": dict(edition),
        "releaseDigest": digest,
        "documentRules": document_rules(),
        "agreements": agreements,
    }
    return RuleSet(node, country, content, at, at + LIFETIME)


def sign(network: bytes, rules: RuleSet, signer: Signer) -> str:
    """The rule set as its node signs it."""
    body: dict[str, JsonValue] = {
        "network": network.hex(),
        "node": rules.node,
        "issuedAt": times.to_text(rules.issued_at),
        "expires": times.to_text(rules.expires),
        "rules": rules.content,
    }
    return jws.sign(strict_json.canonical(body), typ=TYP, signer=signer)


def read(text: str, members: MemberList, node: str, at: datetime) -> RuleSet:
    """A rule set as that member signed it.

    Raises MalformedError `rule_set_malformed` or of the JWS; RefusedError `rule_set_untrusted`,
    `rule_set_expired`.
    """
    parsed = jws.parse(text, typ=TYP, max_bytes=MAX_BYTES)
    require_key(parsed, members, node, at)
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    if fields.text("network", max_length=64) != members.network.hex():
        raise RefusedError("rule_set_untrusted", "it belongs to another network")
    if fields.text("node", pattern=DID) != node:
        raise RefusedError("rule_set_untrusted", "it is another node's")
    rules = fields.child("rules")
    country = rules.text("country", pattern=COUNTRY)
    entry = members.node(node)
    if entry is None or entry.country != country:
        raise RefusedError("rule_set_untrusted", f"the node is not of {country}")
    found = RuleSet(
        node,
        country,
        dict(rules.members),
        fields.time("issuedAt"),
        fields.time("expires"),
        text,
    )
    if not found.issued_at - timedelta(minutes=5) <= at < found.expires:
        raise RefusedError("rule_set_expired", times.to_text(found.expires))
    _ = found.release  # read once, so that a broken set is refused here
    return found


def require_key(
    parsed: jws.Jws,
    members: MemberList,
    node: str,
    at: datetime,
    *,
    code: str = "rule_set_untrusted",
) -> None:
    """Only the node's own listed credential key, in force at `at`; else RefusedError `code`."""
    key = members.key(parsed.kid)
    if key is None or jws.did_of(parsed.kid) != node or key.purpose != "credential":
        raise RefusedError(code, "it is not signed by the node's listed key")
    if key.standing(at, proven=False) is not KeyStanding.VALID:
        raise RefusedError(code, "the key does not count now")
    try:
        jws.verify(parsed, key.public)
    except RefusedError as error:
        raise RefusedError(code, error.detail) from None
