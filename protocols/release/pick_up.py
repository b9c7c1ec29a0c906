"""The right to pick a container up, delegated from company to company (DESIGN §7; no PIN).

Each link is a JWS by the company that passes the right on: the carrier or its listed agent first,
then a forwarder, a haulier. A link names the next company and its key; only that key signs the next
link, or shows at the gate that it is there. A delegator may revoke its link until the container has
left; what hangs on a revoked link is worth nothing. Two links from one point that both stand are
worth nothing either: who delegates anew revokes first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.fields import DID, Fields
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from protocols.keys import Signer
    from protocols.member_list import ListedKey, MemberList
    from schemas.strict_json import JsonValue

LINK_TYP = "pratique-pick-up+jwt"
REVOCATION_TYP = "pratique-pick-up-revocation+jwt"
CODE = "pick_up_link_malformed"
MAX_TEXT = 8_000
MAX_LINKS = 10
#: With which keys a company passes the right on: a node's release key, a hosted party's own key.
NODE_PURPOSES, PARTY_PURPOSES = ("release",), ("release", "title")


@dataclass(frozen=True, slots=True)
class Company:
    """Who gets the right: name and DID, and the key (RFC 7638 thumbprint) that shows it."""

    did: str
    name: str
    thumbprint: str

    def to_json(self) -> dict[str, JsonValue]:
        """The link's `to` member."""
        return {"did": self.did, "name": self.name, "keyThumbprint": self.thumbprint}


@dataclass(frozen=True, slots=True)
class Link:
    """One delegation. Digests are hex; previous is "" for the carrier's or agent's own link.

    vehicle: the plate that will come, "" where that is not said yet
    signer:  thumbprint of the key that signed it
    """

    network: str
    container: str
    consignment: str
    delegator: str
    to: Company
    previous: str
    issued_at: datetime
    not_after: datetime
    vehicle: str = ""
    nonce: str = ""
    digest: str = ""
    signer: str = ""
    text: str = field(default="", repr=False)

    def payload(self) -> bytes:
        """What is signed: RFC 8785 JSON."""
        body: dict[str, JsonValue] = {
            "network": self.network,
            "container": self.container,
            "consignment": self.consignment,
            "by": self.delegator,
            "to": self.to.to_json(),
            "previous": self.previous,
            "issuedAt": times.to_text(self.issued_at),
            "notAfter": times.to_text(self.not_after),
            "vehicle": self.vehicle,
            "nonce": self.nonce,
        }
        return strict_json.canonical({name: value for name, value in body.items() if value != ""})


@dataclass(frozen=True, slots=True)
class Revocation:
    """The delegator takes a link back."""

    link: str
    delegator: str
    at: datetime
    reason: str
    text: str = field(default="", repr=False)


def sign_link(link: Link, signer: Signer) -> str:
    """The link as a compact JWS."""
    return jws.sign(link.payload(), typ=LINK_TYP, signer=signer)


def sign_revocation(network: str, link: str, at: datetime, reason: str, signer: Signer) -> str:
    """The revocation of a link (its digest, hex) as a compact JWS."""
    body: dict[str, JsonValue] = {
        "network": network,
        "link": link,
        "by": jws.did_of(signer.kid),
        "at": times.to_text(at),
        "reason": reason,
    }
    return jws.sign(strict_json.canonical(body), typ=REVOCATION_TYP, signer=signer)


def read_link(text: str, members: MemberList) -> Link:
    """A link whose signature is by a listed key of the company it names (R1, R3).

    Raises MalformedError `pick_up_link_malformed`, RefusedError `pick_up_link_untrusted`.
    """
    parsed = jws.parse(text, typ=LINK_TYP, max_bytes=MAX_TEXT)
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    to = fields.child("to")
    link = Link(
        network=fields.text("network", max_length=64),
        container=fields.text("container", max_length=20),
        consignment=fields.text("consignment", max_length=100),
        delegator=fields.text("by", pattern=DID),
        to=Company(
            to.text("did", pattern=DID),
            to.text("name", max_length=140),
            to.text("keyThumbprint", max_length=43),
        ),
        previous=fields.digest("previous").hex() if fields.has("previous") else "",
        issued_at=fields.time("issuedAt"),
        not_after=fields.time("notAfter"),
        vehicle=fields.optional_text("vehicle", max_length=20) or "",
        nonce=fields.optional_text("nonce", max_length=64) or "",
        digest=parsed.payload_digest.hex(),
        text=text,
    )
    key = _trusted(parsed, link.delegator, link.network, link.issued_at, members)
    return replace(link, signer=key.public.thumbprint())


def read_revocation(text: str, members: MemberList) -> Revocation:
    """A revocation signed by the company it names; errors as `read_link`."""
    parsed = jws.parse(text, typ=REVOCATION_TYP, max_bytes=MAX_TEXT)
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    found = Revocation(
        link=fields.digest("link").hex(),
        delegator=fields.text("by", pattern=DID),
        at=fields.time("at"),
        reason=fields.text("reason", max_length=500),
        text=text,
    )
    network = fields.text("network", max_length=64)
    _trusted(parsed, found.delegator, network, found.at, members)
    return found


def _trusted(
    parsed: jws.Jws, did: str, network: str, at: datetime, members: MemberList
) -> ListedKey:
    """The listed key of the company that signed; else RefusedError `pick_up_link_untrusted`."""
    if network != members.network.hex():
        raise RefusedError("pick_up_link_untrusted", "it belongs to another network")
    for key in keys_of(did, at, members):
        if key.kid == parsed.kid:
            jws.verify(parsed, key.public)
            return key
    raise RefusedError("pick_up_link_untrusted", f"{parsed.kid[:200]} is no key of {did[:200]}")


def keys_of(did: str, at: datetime, members: MemberList) -> list[ListedKey]:
    """The keys with which a listed company may pass the right on at `at`, the preferred last."""
    node, party = members.node(did), members.party(did)
    listed = node.keys if node else party.keys if party else ()
    purposes = NODE_PURPOSES if node else PARTY_PURPOSES
    fitting = [key for key in listed if key.purpose in purposes and key.valid_at(at)]
    return sorted(fitting, key=lambda key: (-purposes.index(key.purpose), key.valid_from))


def require_form(link: Link, members: MemberList) -> None:
    """Its own dates make sense and its recipient's key is listed; else `pick_up_link_malformed`."""
    if link.not_after <= link.issued_at:
        raise MalformedError(CODE, "it ends before it begins")
    thumbprints = {key.public.thumbprint() for key in keys_of(link.to.did, link.issued_at, members)}
    if link.to.thumbprint not in thumbprints:
        raise MalformedError(CODE, "the next company has no such listed key")


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Who may pick the container up, or the exact code why nobody may.

    path: the links that lead there, the carrier's first
    """

    code: str
    path: tuple[Link, ...] = ()
    seen: str = ""

    @property
    def collector(self) -> Company | None:
        """To whom the chain leads; None while nobody may."""
        return None if self.code else self.path[-1].to

    @property
    def vehicle(self) -> str:
        """The plate named last."""
        named = [link.vehicle for link in self.path if link.vehicle]
        return named[-1] if named else ""


def entitled(
    links: Iterable[Link], revoked: frozenset[str], roots: frozenset[str], at: datetime
) -> Entitlement:
    """Follow the links of one container from whoever may begin (`roots`, DIDs) to their end.

    links: each read by `read_link`; revoked: digests of links that were taken back.
    """
    every = sorted(links, key=lambda link: (link.issued_at, link.digest))
    here = [link for link in every if not link.previous and link.delegator in roots]
    if not here:
        return Entitlement("pick_up_right_missing")
    path: list[Link] = []
    while here:
        standing = [link for link in here if link.digest not in revoked]
        if not standing:
            # The right went back to the delegator. A carrier's own link leaves nobody; further
            # down the company before was not told to fetch the container itself.
            return Entitlement("pick_up_right_revoked", tuple(path), here[-1].to.name)
        if len(standing) > 1:
            names = ", ".join(link.to.name for link in standing)
            return Entitlement("pick_up_right_forked", tuple(path), names)
        link = standing[0]
        if link.not_after <= at:
            return Entitlement("pick_up_right_expired", tuple(path), link.to.name)
        path.append(link)
        if len(path) > MAX_LINKS:
            return Entitlement("pick_up_right_missing", tuple(path[:MAX_LINKS]))
        here = _following(every, link)
    return Entitlement("", tuple(path))


def _following(every: Sequence[Link], link: Link) -> list[Link]:
    """The links that the recipient signed upon this one, with the key that it names."""
    return [
        one
        for one in every
        if one.previous == link.digest
        and one.delegator == link.to.did
        and one.signer == link.to.thumbprint
    ]
