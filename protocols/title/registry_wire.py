"""What a registry's sequencer and its witnesses send each other (R22).

`add-batch` carries whole batches of entries after the witness's own size and the checkpoint over
them. There is no consistency proof in it: the witness has every earlier entry, computes both roots
itself, and so sees more than a proof could show. The answer is the cosignature line.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.digest import sha256
from protocols.fields import Fields
from protocols.log import note
from schemas import strict_json
from schemas.errors import MalformedError

CODE = "registry_entry_malformed"
MAX_BYTES = 8 * 1024 * 1024
MAX_ENTRIES = 5_000


def origin_hash(origin: str) -> str:
    """The origin as it stands in a path: SHA-256 in lowercase hex (as in C2SP tlog-witness)."""
    return sha256(origin.encode()).hex()


@dataclass(frozen=True, slots=True)
class AddBatch:
    """What a witness is asked to cosign.

    old:        the size the witness holds
    checkpoint: the signed note, with the cosignatures there are
    entries:    those after `old`
    witnessed:  the newest note that a quorum has cosigned; empty while there is none
    """

    old: int
    checkpoint: str
    entries: tuple[bytes, ...]
    witnessed: str = ""

    def to_bytes(self) -> bytes:
        """The request's body: JSON."""
        body: dict[str, strict_json.JsonValue] = {
            "old": self.old,
            "checkpoint": self.checkpoint,
            "entries": encode_entries(self.entries),
        }
        if self.witnessed:
            body["witnessed"] = self.witnessed
        return strict_json.canonical(body)


def encode_entries(entries: tuple[bytes, ...]) -> list[strict_json.JsonValue]:
    """Entries as JSON: standard base64."""
    return [note.encode64(entry) for entry in entries]


def read_entries(fields: Fields, name: str = "entries") -> tuple[bytes, ...]:
    """Entries from JSON; raises MalformedError `registry_entry_malformed`."""
    items = fields.members.get(name)
    if not isinstance(items, list) or len(items) > MAX_ENTRIES:
        raise fields.fault(name, f"a list of at most {MAX_ENTRIES} entries")
    return tuple(_entry(item) for item in items)


def _entry(item: object) -> bytes:
    if not isinstance(item, str):
        raise MalformedError(CODE, "an entry is a base64 text")
    return note.decode64(item, code=CODE)


def parse_add_batch(body: bytes) -> AddBatch:
    """The request of a body; raises MalformedError `registry_entry_malformed` or json_*."""
    members = strict_json.loads_object(body, max_bytes=MAX_BYTES)
    fields = Fields(members, CODE)
    checkpoint = fields.text("checkpoint", max_length=note.MAX_NOTE)
    witnessed = fields.optional_text("witnessed", max_length=note.MAX_NOTE) or ""
    old = fields.integer("old", 0, 2**53 - 1)
    return AddBatch(old, checkpoint, read_entries(fields), witnessed)
