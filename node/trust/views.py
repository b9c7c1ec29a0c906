"""JSON of the operator's trust API: what is shown, and the strict reading of what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from node.trust import wishes
from node.trust.wishes import FROM_THE_LIST, End, Grant, RootChange, Wish
from protocols import joining, member_list, times
from protocols.fields import CERTIFICATE_TYPE, COUNTRY, DID, TYPE_KEY, Fields
from protocols.joining import Right
from protocols.member_list import Agreement
from protocols.members.anchor_contracts import read_anchor_contract
from protocols.members.anchors import AnchorEntry, read_anchor
from protocols.members.arbiters import read_arbiter
from protocols.members.changes import changes
from protocols.members.consequences import consequences
from protocols.members.reading import read_aeo, read_algorithm, read_root_key
from schemas import strict_json

if TYPE_CHECKING:
    from datetime import datetime

    from node.trust.rows import Pending
    from node.trust.signing import Signed
    from protocols.member_list import MemberList
    from schemas.strict_json import JsonValue

CODE = "trust_request_malformed"

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}


def _objects(required: Sequence[str], *optional: str, **more: Any) -> dict[str, Any]:
    """The JSON Schema of a list of objects whose members are texts."""
    properties = dict.fromkeys((*required, *optional), _TEXT) | more
    items = {"type": "object", "required": list(required), "properties": properties}
    return {"type": "array", "items": items}


_RIGHTS = _objects(("documentType", "country"), "office")
BEGIN = {
    "type": "object",
    "required": ["url", "network"],
    "properties": {"url": _TEXT, "network": _TEXT, "wants": _RIGHTS},
}
ASK = {
    "type": "object",
    "properties": {"wants": _RIGHTS, "parties": _objects(("did", "name"))},
}
REFUSE = {
    "type": "object",
    "required": ["requests", "why"],
    "properties": {"requests": _TEXTS, "why": _TEXT},
}
_WHEN = {"type": "string", "format": "date-time"}
_OBJECT = {"type": "object"}
_RIGHT = {
    "type": "object",
    "required": ["documentType", "country"],
    "properties": dict.fromkeys(("documentType", "country", "office"), _TEXT),
}
_MANY = {"type": "array", "items": _OBJECT}
_PLACES = _objects(
    ("name", "chainId", "contract", "codeHash", "finality"),
    start={"type": "integer"},
    validators=_MANY,
    senders=_MANY,
)
_WISH = {
    "requests": _TEXTS,
    "all": {"type": "boolean"},
    "issuers": _objects(
        ("documentType", "country"),
        "did",
        "office",
        "validFrom",
        "validUntil",
        "delegatedBy",
        certificateTypes=_TEXTS,
    ),
    "grantWanted": {"type": "boolean"},
    "agreements": _objects(
        ("verifier", "issuer"),
        "id",
        "rules",
        "validFrom",
        "validUntil",
        documentTypes=_TEXTS,
        aeoClasses=_TEXTS,
        aeoRoles=_TEXTS,
    ),
    "ends": _objects((), "key", "node", "agreement", "did", "until", right=_RIGHT),
    "compromised": _objects(("kid", "since")),
    "algorithms": _objects(("id", "until")),
    "anchors": _objects(("purpose", "subject", "certificate"), "validFrom", "validUntil"),
    "arbiters": _PLACES,
    "anchorContracts": _PLACES,
    "witnesses": _TEXTS,
    "known": _TEXTS,
    "quorum": {"type": "integer", "minimum": 0, "maximum": 64},
    "registry": _TEXT,
    "roots": {
        "type": "object",
        "properties": {
            "add": _objects(("kid",), jwk=_OBJECT),
            "remove": _TEXTS,
            "threshold": {"type": "integer", "minimum": 1, "maximum": 32},
        },
    },
    "list": _OBJECT,
    "days": {"type": "integer", "minimum": 1, "maximum": 3650},
    "expires": _WHEN,
    "anyway": {"type": "boolean"},
}
PROPOSE = {"type": "object", "properties": _WISH}
SIGN = {
    "type": "object",
    "properties": {
        **_WISH,
        "dryRun": {"type": "boolean"},
        "proposal": _OBJECT,
        "root": _TEXT,
    },
}


def members(current: MemberList, now: datetime) -> dict[str, Any]:
    """The list in force, for people and programs."""
    return {
        "network": current.network.hex(),
        "name": current.name,
        "test": current.test,
        "version": current.version,
        "digest": current.digest.hex(),
        "issued": times.to_text(current.issued_at),
        "expires": times.to_text(current.expires),
        "freshness": current.freshness(now).value,
        "roots": {
            "threshold": current.roots.threshold,
            "keys": [key.kid for key in current.roots.keys],
        },
        "nodes": [node.to_json() for node in current.nodes],
        "parties": [party.to_json() for party in current.parties],
        "issuers": [entry.to_json() for entry in current.issuers],
        "agreements": [agreement.to_json() for agreement in current.agreements],
        "logs": [log.to_json() for log in current.logs],
        "registries": [entry.to_json() for entry in current.registries],
        "algorithms": [entry.to_json() for entry in current.algorithms],
    }


def read_refusal(body: Mapping[str, Any]) -> tuple[list[bytes], str]:
    """Which requests are refused, and why."""
    fields = Fields(dict(body), CODE)
    return _ids(fields), fields.text("why", max_length=500)


def request(
    pending: Pending, current: MemberList, now: datetime, lang: str = "en"
) -> dict[str, Any]:
    """A waiting request: who, where, with which keys, wanting what, and what is still missing."""
    asked = joining.read(pending.signed, test=current.test)
    node = asked.node
    return {
        "id": pending.id.hex(),
        "did": node.did,
        "name": node.name,
        "country": node.country,
        "roles": list(node.roles),
        "endpoint": node.endpoint,
        "receivedAt": times.to_text(times.from_ms(pending.received_at)),
        "keys": [
            {"kid": key.kid, "purpose": key.purpose, "thumbprint": key.public.thumbprint()}
            for key in asked.keys
        ],
        "parties": [{"did": party.did, "name": party.name} for party in asked.parties],
        "wants": [f"{right.document_type}:{right.country}" for right in asked.wants],
        "missing": [one.tell(lang).strip() for one in wishes.missing(asked, current, now)],
    }


def signed(done: Signed, lang: str = "en") -> dict[str, Any]:
    """Where a proposal stands, what it changes, what follows, and its file."""
    proposed, standing = done.proposal.members, done.standing
    follows = consequences(done.base, proposed)
    return {
        "version": proposed.version,
        "digest": proposed.digest.hex(),
        "base": {"version": done.base.version, "digest": done.base.digest.hex()},
        "expires": times.to_text(proposed.expires),
        "signatures": standing.signatures,
        "threshold": standing.threshold,
        "newSignatures": standing.new_signatures,
        "newThreshold": standing.new_threshold,
        "published": done.published,
        "changes": member_list.diff(done.base, proposed, lang),
        "details": [one.to_json(lang) for one in changes(done.base, proposed)],
        "consequences": [one.to_json(lang) for one in follows],
        "proposal": strict_json.loads(done.proposal.to_bytes()),
    }


def versions(lists: Sequence[MemberList], held: MemberList | None) -> dict[str, Any]:
    """What an import brought: the versions that are new, and the one held now."""
    body: dict[str, Any] = {"added": [one.version for one in lists]}
    if held is not None:
        body |= {"network": held.network.hex(), "name": held.name}
        body |= {"version": held.version, "digest": held.digest.hex()}
    return body


def read_begin(body: Mapping[str, JsonValue]) -> tuple[str, bytes, tuple[Right, ...]]:
    """url, network id and wanted rights of POST /v1/trust/join."""
    fields = Fields(body, CODE)
    return fields.text("url", max_length=400), fields.digest("network"), read_rights(body)


def read_rights(body: Mapping[str, JsonValue]) -> tuple[Right, ...]:
    """The member `wants`: documentType, country, office?."""
    return tuple(_right(child) for child in Fields(body, CODE).children("wants", 100))


def read_parties(body: Mapping[str, JsonValue]) -> dict[str, str]:
    """The member `parties`: DID → name of parties hosted here."""
    children = Fields(body, CODE).children("parties", 100)
    return {
        child.text("did", pattern=DID): child.text("name", max_length=200) for child in children
    }


def _right(fields: Fields) -> Right:
    return Right(
        fields.text("documentType", pattern=TYPE_KEY),
        fields.text("country", pattern=COUNTRY),
        fields.optional_text("office"),
    )


def read_wish(body: Mapping[str, JsonValue]) -> Wish:
    """What POST /v1/trust/propose and /v1/trust/sign ask for; every member is optional."""
    fields = Fields(body, CODE)
    edited = fields.optional_child("list")
    return Wish(
        requests=tuple(_ids(fields)),
        everything=_flag(fields, "all"),
        grants=tuple(_grant(child) for child in fields.children("issuers", 1000)),
        grant_wanted=_flag(fields, "grantWanted"),
        agreements=tuple(_agreement(child) for child in fields.children("agreements", 1000)),
        ends=tuple(_end(child) for child in fields.children("ends", 1000)),
        compromised=tuple(
            (child.text("kid", max_length=500), child.time("since"))
            for child in fields.children("compromised", 100)
        ),
        algorithms=tuple(read_algorithm(child) for child in fields.children("algorithms", 100)),
        anchors=tuple(_anchor(child) for child in fields.children("anchors", 100)),
        arbiters=tuple(map(read_arbiter, fields.children("arbiters", 100))),
        anchor_contracts=tuple(map(read_anchor_contract, fields.children("anchorContracts", 100))),
        witnesses=fields.texts("witnesses", pattern=DID, max_items=64),
        known=fields.texts("known", max_items=64, max_length=4096),
        quorum=fields.integer("quorum", 0, 64) if fields.has("quorum") else None,
        registry=fields.optional_text("registry", pattern=DID),
        roots=_root_change(fields.optional_child("roots")),
        edited=cast("dict[str, JsonValue]", dict(edited.members)) if edited else None,
        days=fields.integer("days", 1, 3650) if fields.has("days") else 365,
        expires=fields.optional_time("expires"),
        dry_run=_flag(fields, "dryRun"),
        anyway=_flag(fields, "anyway"),
    )


def _anchor(fields: Fields) -> AnchorEntry:
    members = {"validFrom": times.to_text(FROM_THE_LIST), **fields.members}
    return read_anchor(Fields(members, CODE, fields.pointer))


def _end(fields: Fields) -> End:
    """One of key, node, agreement, or right (with the DID that has it); and when."""
    until = fields.optional_time("until")
    if fields.has("right"):
        did = fields.text("did", pattern=DID)
        return End("right", did, until, _right(fields.child("right")))
    named = [what for what in ("key", "node", "agreement") if fields.has(what)]
    if len(named) != 1:
        raise fields.fault("key", "an end names one key, node, agreement or right")
    return End(named[0], fields.text(named[0], max_length=500), until)


def _root_change(fields: Fields | None) -> RootChange:
    if fields is None:
        return RootChange()
    return RootChange(
        tuple(read_root_key(child) for child in fields.children("add", 32)),
        fields.texts("remove", max_items=32),
        fields.integer("threshold", 1, 32) if fields.has("threshold") else None,
    )


def _ids(fields: Fields) -> list[bytes]:
    texts = fields.texts("requests", max_items=1000)
    return [Fields({"id": text}, CODE, "/requests").digest("id") for text in texts]


def _flag(fields: Fields, name: str) -> bool:
    return fields.boolean(name) if fields.has(name) else False


def _grant(fields: Fields) -> Grant:
    return Grant(
        fields.optional_text("did", pattern=DID) or "",
        _right(fields),
        fields.optional_time("validFrom"),
        fields.optional_time("validUntil"),
        fields.optional_text("delegatedBy", pattern=DID),
        fields.texts("certificateTypes", pattern=CERTIFICATE_TYPE, max_items=30),
    )


def _agreement(fields: Fields) -> Agreement:
    verifier = fields.text("verifier", pattern=COUNTRY)
    issuer = fields.text("issuer", pattern=COUNTRY)
    return Agreement(
        id=fields.optional_text("id") or f"{verifier}-{issuer}".lower(),
        verifier=verifier,
        issuer=issuer,
        document_types=fields.texts("documentTypes", pattern=TYPE_KEY),
        valid_from=fields.optional_time("validFrom") or FROM_THE_LIST,
        valid_until=fields.optional_time("validUntil"),
        rules=fields.optional_text("rules"),
        **read_aeo(fields),
    )
