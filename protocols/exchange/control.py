"""Bodies of the exchange's own messages: void, conflict, the feedback of levels two and three.

All are RFC 8785 JSON; the manifest beside them signs their digest, so a void and a refusal are
signed statements. Feedback flows to the sender: `validated` says that the document was examined,
`decided` what became of it. Neither is ever answered, so no two nodes talk for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocols.digest import from_hex
from schemas import strict_json
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue

MEDIA_TYPE = "application/json"
MAX_BYTES = 64 * 1024
_MAX_SEQ = 2**53 - 1
_MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class Void:
    """A gap that will never be filled (R10): the message's id and digest, and why."""

    id: str
    digest: bytes
    seq: int
    reason: str

    def to_bytes(self) -> bytes:
        """The body of a `urn:pratique:void` message, which takes the voided message's seq."""
        return strict_json.canonical(
            {"id": self.id, "digest": self.digest.hex(), "seq": self.seq, "reason": self.reason}
        )


def read_void(body: bytes) -> Void:
    """The inverse; raises MalformedError `control_malformed`."""
    members = strict_json.loads_object(body, max_bytes=MAX_BYTES)
    seq = members.get("seq")
    if isinstance(seq, bool) or not isinstance(seq, int) or not 1 <= seq <= _MAX_SEQ:
        raise _malformed("/seq")
    return Void(
        id=_text(members, "id"),
        digest=from_hex(members.get("digest"), pointer="/digest"),
        seq=seq,
        reason=_text(members, "reason"),
    )


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of a message.

    message, digest: the message's id and manifest digest, as in its receipt item
    outcome:         the verdict (PASSED, FAILED, INDETERMINATE), or accepted, refused, used
    code, detail:    the reason, when it was not accepted
    document:        the document's digest, when the body was one
    """

    message: str
    digest: bytes
    outcome: str
    code: str | None = None
    detail: str | None = None
    document: bytes | None = None

    def to_bytes(self) -> bytes:
        """The body of a `urn:pratique:validated` or `urn:pratique:decided` message."""
        members: dict[str, Any] = {
            "message": self.message,
            "digest": self.digest.hex(),
            "outcome": self.outcome,
        }
        if self.code is not None:
            members["code"] = self.code
        if self.detail:
            members["detail"] = self.detail[:_MAX_TEXT]
        if self.document is not None:
            members["document"] = self.document.hex()
        return strict_json.canonical(members)


def read_feedback(body: bytes) -> Feedback:
    """The inverse; raises MalformedError `control_malformed`."""
    members = strict_json.loads_object(body, max_bytes=MAX_BYTES)
    document = members.get("document")
    return Feedback(
        message=_text(members, "message"),
        digest=from_hex(members.get("digest"), pointer="/digest"),
        outcome=_text(members, "outcome"),
        code=_text(members, "code") if "code" in members else None,
        detail=_text(members, "detail") if "detail" in members else None,
        document=None if document is None else from_hex(document, pointer="/document"),
    )


@dataclass(frozen=True, slots=True)
class Conflict:
    """To an issuer: two documents in force bear its signature, one type and one number.

    documents: their digests (SHA-256 of the JWS payload), the one that came first before the other
    """

    type: str
    number: str
    documents: tuple[bytes, bytes]

    def to_bytes(self) -> bytes:
        """The body of a `urn:pratique:conflict` message."""
        digests: list[JsonValue] = [digest.hex() for digest in self.documents]
        members: dict[str, JsonValue] = {"type": self.type, "number": self.number}
        return strict_json.canonical(members | {"documents": digests})


def read_conflict(body: bytes) -> Conflict:
    """The inverse; raises MalformedError `control_malformed`."""
    members = strict_json.loads_object(body, max_bytes=MAX_BYTES)
    digests = members.get("documents")
    if not isinstance(digests, list) or len(digests) != 2 or digests[0] == digests[1]:
        raise _malformed("/documents")
    one, other = (from_hex(digest, pointer="/documents") for digest in digests)
    return Conflict(_text(members, "type"), _text(members, "number"), (one, other))


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise _malformed(f"/{name}")
    return value


def _malformed(pointer: str) -> MalformedError:
    return MalformedError("control_malformed", "a member is missing or wrong", pointer=pointer)
