"""What a proof of origin stands on, and the statement that this was lost (R25, RCEP 3.17(5)).

A certificate names its input certificates, a back-to-back certificate its original, a decision what
it decided on, each by digest. When one of them is revoked, whatever stands on it is flagged; only
its own issuing body invalidates it: a flag is no revocation. The issuer of what is flagged signs
the statement, and with it goes the status list of who revoked: nobody is taken at his word alone.
It names digests and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.credentials import status_list
from protocols.fields import DID, Fields
from schemas import strict_json
from schemas.errors import RefusedError
from schemas.fields import objects, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from protocols.credentials.status_list import StatusList
    from protocols.keys import Signer
    from protocols.member_list import MemberList
    from schemas.strict_json import JsonValue

TYP = "pratique-basis-lost+jwt"
CODE = "basis_malformed"
MAX_TEXT = 16_000
#: Longer chains of certificates than this are not followed.
MAX_PATH = 12

COO, DECLARATION = "preferential-certificate-of-origin", "origin-declaration"
PROOFS = frozenset(
    {COO, DECLARATION, "certificate-of-origin", "back-to-back-certificate-of-origin"}
)
EVALUATION = "origin-evaluation"
DECISIONS = frozenset({"customs-decision"})
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pin:
    """One reference to a proof: its digest, and what else the document says of it.

    type, number, issuer: "" where the document does not say
    pointer: where the digest stands
    """

    digest: bytes
    type: str
    number: str
    issuer: str
    pointer: str


def pins(document_type: str, payload: Mapping[str, JsonValue]) -> tuple[Pin, ...]:
    """The proofs a document stands on, as it names them; () for other types."""
    document = dict(payload)
    if document_type in PROOFS:
        original = document.get("backToBack")
        named = [*objects(document, "inputs"), ("/backToBack", original)]
    elif document_type == EVALUATION:
        named = [*objects(document, "evaluation", "standsOn")]
    elif document_type in DECISIONS:
        subjects = objects(document, "subjects")
        named = [(at, each) for at, each in subjects if text(each, "type") in PROOFS]
    else:
        named = []
    found = (_pin(at, each) for at, each in named)
    return tuple(each for each in found if each is not None)


def _pin(at: str, named: JsonValue) -> Pin | None:
    digest = text(named, "digest")
    if digest is None or not _DIGEST.fullmatch(digest):
        return None
    kind, number, issuer = (text(named, name) or "" for name in ("type", "number", "issuer"))
    return Pin(bytes.fromhex(digest), kind, number, issuer, f"{at}/digest")


def stands_on(document_type: str, payload: Mapping[str, JsonValue]) -> tuple[bytes, ...]:
    """Digests of the proofs a document stands on, each once; () for other types."""
    return tuple(dict.fromkeys(each.digest for each in pins(document_type, payload)))


@dataclass(frozen=True, slots=True)
class Lost:
    """The statement: `document`, issued by `by`, stands on a document that was revoked.

    path:       digests from `document` to the revoked one, both included
    list_url, index: where the revocation stands, in a list of `keeper`
    """

    network: str
    by: str
    path: tuple[bytes, ...]
    keeper: str
    list_url: str
    index: int
    at: datetime
    text: str = field(default="", repr=False)

    @property
    def document(self) -> bytes:
        """What is flagged."""
        return self.path[0]

    @property
    def lost(self) -> bytes:
        """What was revoked."""
        return self.path[-1]

    def payload(self) -> bytes:
        """What is signed: RFC 8785 JSON."""
        return strict_json.canonical(
            {
                "network": self.network,
                "by": self.by,
                "path": [each.hex() for each in self.path],
                "keeper": self.keeper,
                "list": self.list_url,
                "index": self.index,
                "at": times.to_text(self.at),
            }
        )


def sign(lost: Lost, signer: Signer) -> str:
    """The statement as a compact JWS by its issuer's exchange key."""
    return jws.sign(lost.payload(), typ=TYP, signer=signer)


def read(text_: str, members: MemberList) -> Lost:
    """A statement signed by a listed exchange key of whom it names (R1, R3).

    Raises MalformedError `basis_malformed`, RefusedError `basis_untrusted`.
    """
    parsed = jws.parse(text_, typ=TYP, max_bytes=MAX_TEXT)
    found = _of(parsed)
    node = members.node(found.by)
    if found.network != members.network.hex():
        raise RefusedError("basis_untrusted", "it belongs to another network")
    for key in node.keys if node else ():
        if key.purpose == "exchange" and key.kid == parsed.kid and key.valid_at(found.at):
            jws.verify(parsed, key.public)
            return found
    raise RefusedError("basis_untrusted", f"{parsed.kid[:200]} is no key of {found.by[:200]}")


def parse(text_: str) -> Lost:
    """What a statement says, without asking who signed it: for one that was read when it came."""
    return _of(jws.parse(text_, typ=TYP, max_bytes=MAX_TEXT))


def _of(parsed: jws.Jws) -> Lost:
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    path = fields.texts("path", pattern=_DIGEST, max_items=MAX_PATH)
    if len(path) < 2:
        raise fields.fault("path", "a path leads from one document to another")
    return Lost(
        network=fields.text("network", max_length=64),
        by=fields.text("by", pattern=DID),
        path=tuple(bytes.fromhex(each) for each in path),
        keeper=fields.text("keeper", pattern=DID),
        list_url=fields.text("list", max_length=500),
        index=fields.integer("index", 0, 2**31),
        at=fields.time("at"),
        text=parsed.text,
    )


def require_revoked(lost: Lost, opened: StatusList) -> None:
    """The signed list, opened by the caller, says what the statement says.

    Raises RefusedError `basis_not_lost`.
    """
    named = (opened.url, opened.issuer) == (lost.list_url, lost.keeper)
    inside = lost.index < len(opened.bits) * 8
    revokes = status_list.REVOCATION in opened.purposes
    if not (named and inside and revokes and status_list.bit(opened.bits, lost.index)):
        raise RefusedError("basis_not_lost", "the list with it does not say so")
