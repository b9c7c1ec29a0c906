"""JSON of the operator's trust API: what is shown, and the strict reading of what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from node.trust.signing import Grant, Signed, Wish
from protocols import joining, jws, member_list, times
from protocols.fields import COUNTRY, DID, TYPE_KEY, Fields
from protocols.joining import Right
from protocols.member_list import Agreement
from protocols.members.reading import read_algorithm

if TYPE_CHECKING:
    from datetime import datetime

    from node.trust.rows import Pending
    from protocols.member_list import MemberList

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
SIGN = {
    "type": "object",
    "properties": {
        "requests": _TEXTS,
        "all": {"type": "boolean"},
        "issuers": _objects(("documentType", "country"), "did", "office"),
        "grantWanted": {"type": "boolean"},
        "agreements": _objects(("verifier", "issuer"), "id", "rules", documentTypes=_TEXTS),
        "ended": _TEXTS,
        "compromised": _objects(("kid", "since")),
        "algorithms": _objects(("id", "until")),
        "witnesses": _TEXTS,
        "quorum": {"type": "integer", "minimum": 0, "maximum": 64},
        "registry": _TEXT,
        "days": {"type": "integer", "minimum": 1, "maximum": 3650},
        "dryRun": {"type": "boolean"},
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


def request(pending: Pending, *, test: bool) -> dict[str, Any]:
    """A waiting request: who, where, with which keys, wanting what."""
    asked = joining.read(pending.signed, test=test)
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
    }


def proposal(signed_list: bytes, current: MemberList) -> dict[str, Any]:
    """A next version that misses signatures, and what it would change."""
    envelope = jws.parse_multi(signed_list, typ=member_list.TYP)
    proposed = member_list.read_payload(envelope.payload, signed_list)
    return {
        "digest": proposed.digest.hex(),
        "version": proposed.version,
        "signatures": member_list.signatures_counted(envelope, current.roots),
        "threshold": current.roots.threshold,
        "changes": member_list.diff(current, proposed),
    }


def signed(done: Signed) -> dict[str, Any]:
    """Where a proposal stands after signing."""
    return {
        "version": done.version,
        "digest": done.digest.hex(),
        "signatures": done.signatures,
        "threshold": done.threshold,
        "published": done.published,
        "changes": list(done.changes),
    }


def read_begin(body: Mapping[str, object]) -> tuple[str, bytes, tuple[Right, ...]]:
    """url, network id and wanted rights of POST /v1/trust/join."""
    fields = Fields(body, CODE)
    return fields.text("url", max_length=400), fields.digest("network"), read_rights(body)


def read_rights(body: Mapping[str, object]) -> tuple[Right, ...]:
    """The member `wants`: documentType, country, office?."""
    return tuple(_right(child) for child in Fields(body, CODE).children("wants", 100))


def read_parties(body: Mapping[str, object]) -> dict[str, str]:
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


def read_wish(body: Mapping[str, object]) -> Wish:
    """What POST /v1/trust/sign asks for; every member is optional."""
    fields = Fields(body, CODE)
    return Wish(
        requests=tuple(_ids(fields)),
        everything=_flag(fields, "all"),
        grants=tuple(_grant(child) for child in fields.children("issuers", 1000)),
        grant_wanted=_flag(fields, "grantWanted"),
        agreements=tuple(_agreement(child) for child in fields.children("agreements", 1000)),
        ended=fields.texts("ended", max_items=100),
        compromised=tuple(
            (child.text("kid", max_length=500), child.time("since"))
            for child in fields.children("compromised", 100)
        ),
        algorithms=tuple(read_algorithm(child) for child in fields.children("algorithms", 100)),
        witnesses=fields.texts("witnesses", pattern=DID, max_items=64),
        quorum=fields.integer("quorum", 0, 64) if fields.has("quorum") else None,
        registry=fields.optional_text("registry", pattern=DID),
        days=fields.integer("days", 1, 3650) if fields.has("days") else 365,
        dry_run=_flag(fields, "dryRun"),
    )


def _ids(fields: Fields) -> list[bytes]:
    texts = fields.texts("requests", max_items=1000)
    return [Fields({"id": text}, CODE, "/requests").digest("id") for text in texts]


def _flag(fields: Fields, name: str) -> bool:
    return fields.boolean(name) if fields.has(name) else False


def _grant(fields: Fields) -> Grant:
    return Grant(fields.optional_text("did", pattern=DID) or "", _right(fields))


def _agreement(fields: Fields) -> Agreement:
    verifier = fields.text("verifier", pattern=COUNTRY)
    issuer = fields.text("issuer", pattern=COUNTRY)
    return Agreement(
        id=fields.optional_text("id") or f"{verifier}-{issuer}".lower(),
        verifier=verifier,
        issuer=issuer,
        document_types=fields.texts("documentTypes", pattern=TYPE_KEY),
        # The draft puts the date of the list that carries it.
        valid_from=times.from_ms(0),
        rules=fields.optional_text("rules"),
    )
