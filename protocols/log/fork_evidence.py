"""Evidence that a log showed two histories: a file that convinces anybody with the member list.

The file holds both signed checkpoints and, for different sizes, the consistency proof that came
with the larger one. It is canonical JSON (RFC 8785). Nothing in it is believed for itself: the
log's key comes from the verifier's own member list (R5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.digest import from_hex, sha256
from protocols.log import checkpoint, note
from protocols.log.checkpoint import Equivocation
from protocols.log.merkle import Proof
from protocols.log.note import VerifierKey
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError
from schemas.strict_json import JsonValue

TYPE = "urn:pratique:equivocation"
MEDIA_TYPE = "application/json"
MAX_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """Two notes of one log. `network` is the network id, `origin` names the log."""

    network: bytes
    origin: str
    notes: tuple[str, str]
    proof: Proof = ()

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return strict_json.canonical(
            {
                "type": TYPE,
                "network": self.network.hex(),
                "origin": self.origin,
                "notes": list(self.notes),
                "proof": [note.encode64(item) for item in self.proof],
            }
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return sha256(self.to_bytes())

    def prove(self, key: VerifierKey | str) -> Equivocation:
        """The fork that the notes prove under the log's listed key.

        Raises RefusedError `equivocation_not_proven` and what `checkpoint.open_checkpoint` raises.
        """
        log_key = note.parse_vkey(key) if isinstance(key, str) else key
        found = checkpoint.equivocation(*self.notes, log_key, self.proof, origin=self.origin)
        if found is None:
            raise RefusedError("equivocation_not_proven", "the two checkpoints can both be true")
        return found


def parse(data: bytes) -> ForkEvidence:
    """An evidence file from its bytes. Raises `equivocation_evidence_malformed` and `json_*`."""
    value = strict_json.loads_object(data, max_bytes=MAX_BYTES)
    if set(value) != {"type", "network", "origin", "notes", "proof"} or value["type"] != TYPE:
        raise _malformed("the members are type, network, origin, notes and proof")
    notes, proof = _texts(value, "notes"), _texts(value, "proof")
    if len(notes) != 2 or not isinstance(value["origin"], str):
        raise _malformed("there are one origin and two notes")
    hashes = tuple(note.decode64(item, code="equivocation_evidence_malformed") for item in proof)
    network = from_hex(value["network"], pointer="/network")
    return ForkEvidence(network, value["origin"], (notes[0], notes[1]), hashes)


def _texts(value: Mapping[str, JsonValue], name: str) -> list[str]:
    found = value[name]
    if not isinstance(found, list) or len(found) > 64:
        raise _malformed(f"{name} is a list of texts")
    texts = [item for item in found if isinstance(item, str)]
    if len(texts) != len(found):
        raise _malformed(f"{name} is a list of texts")
    return texts


def _malformed(detail: str) -> MalformedError:
    return MalformedError("equivocation_evidence_malformed", detail)
