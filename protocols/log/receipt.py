"""A receipt as one file for people: leaf, tlog-proof, anchor and renewals, in RFC 8785 JSON.

    {"v": 1, "leaf": b64, "proof": "<C2SP tlog-proof>", "anchor": {…}?, "handOvers": [{…}…]?,
     "renewals": [{…}…]?}

The document lies beside it. Log, witnesses, contract and chain are looked up in the verifier's own
member list; a file that brought them along would vouch for itself (R5). A hand-over only tells from
where on the witnesses of another listed epoch count (`protocols.log.epochs`). A renewal is a
time-stamp over the SHA-256 of the file as it was before, alone or in the hash tree of a batch, as
for evidence bundles (`protocols.evidence.renewal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from protocols.digest import sha256
from protocols.fields import Fields
from protocols.log import epochs as log_epochs
from protocols.log import note
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.log.epochs import HandOver
    from schemas.strict_json import JsonValue

CODE: Final = "receipt_file_malformed"
MEDIA_TYPE: Final = "application/px-log-receipt+json"
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_HEADERS: Final = 1_000
MAX_RENEWALS: Final = 200
_MAX_ENTRY: Final = 96 * 1024
_MAX_PROOF: Final = 2 * note.MAX_NOTE
_MAX_STAMP: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class FileRenewal:
    """A renewal: the record of its place in a batch (RFC 8785 bytes), and the RFC 3161 response."""

    record: bytes
    stamp: bytes

    def to_json(self) -> JsonValue:
        """The renewal's object."""
        return {"record": note.encode64(self.record), "stamp": note.encode64(self.stamp)}


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """The parts of the file. Nothing in it is verified yet.

    anchor: the JSON of `protocols.evm.anchor_proof`, with `headers`: RLP of the blocks on top
    hand_overs: how the log's witnesses changed up to there
    """

    entry: bytes
    proof: str
    anchor: Mapping[str, JsonValue] | None = None
    renewals: tuple[FileRenewal, ...] = ()
    hand_overs: tuple[HandOver, ...] = ()

    def to_bytes(self) -> bytes:
        """The file."""
        body: dict[str, JsonValue] = {
            "v": 1,
            "leaf": note.encode64(self.entry),
            "proof": self.proof,
        }
        if self.anchor is not None:
            body["anchor"] = dict(self.anchor)
        if self.hand_overs:
            body["handOvers"] = [each.to_json() for each in self.hand_overs]
        if self.renewals:
            body["renewals"] = [each.to_json() for each in self.renewals]
        return strict_json.canonical(body)

    def covered(self, number: int) -> bytes:
        """SHA-256 of the file as it was before renewal `number`, counted from 1."""
        return sha256(replace(self, renewals=self.renewals[: number - 1]).to_bytes())

    def renewed(self, record: bytes, stamp: bytes) -> ReceiptFile:
        """With one renewal more; raises RefusedError `renewal_too_many`."""
        if len(self.renewals) >= MAX_RENEWALS:
            raise RefusedError("renewal_too_many", f"at most {MAX_RENEWALS} renewals of a receipt")
        return replace(self, renewals=(*self.renewals, FileRenewal(record, stamp)))


def read(data: bytes) -> ReceiptFile:
    """The file from its only spelling; raises MalformedError `receipt_file_malformed` or json_*."""
    members = strict_json.loads_object(data, max_bytes=MAX_BYTES)
    fields = Fields(members, CODE)
    fields.integer("v", 1, 1)
    anchor = fields.optional_child("anchor")
    made = ReceiptFile(
        entry=_decoded(fields, "leaf", _MAX_ENTRY),
        proof=fields.text("proof", max_length=_MAX_PROOF),
        anchor=None if anchor is None else anchor.members,
        renewals=tuple(map(_renewal, fields.children("renewals", MAX_RENEWALS))),
        hand_overs=tuple(
            log_epochs.read(dict(each.members))
            for each in fields.children("handOvers", log_epochs.MAX_CARRIED)
        ),
    )
    if made.to_bytes() != data:
        raise MalformedError(CODE, "the receipt is not in its canonical form")
    return made


def read_headers(fields: Fields) -> tuple[bytes, ...]:
    """RLP of the headers on top of an anchor's block; raises as `read`."""
    found = fields.members.get("headers", [])
    if not isinstance(found, list) or len(found) > MAX_HEADERS:
        raise fields.fault("headers", f"at most {MAX_HEADERS} headers")
    texts = [item for item in found if isinstance(item, str)]
    if len(texts) != len(found):
        raise fields.fault("headers", "a header is base64")
    return tuple(note.decode64(item, code=CODE) for item in texts)


def _renewal(fields: Fields) -> FileRenewal:
    return FileRenewal(_decoded(fields, "record", 10_000), _decoded(fields, "stamp", _MAX_STAMP))


def _decoded(fields: Fields, name: str, limit: int) -> bytes:
    return note.decode64(fields.text(name, max_length=limit), code=CODE)
