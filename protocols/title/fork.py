"""Evidence that a registry's witnesses cosigned two histories of one title (R21).

The file holds two title proofs with the signed operations that led to each. Both verify under the
verifier's own member list, and one history is not the beginning of the other: at some sequence
number a quorum has cosigned two different operations. Canonical JSON (RFC 8785).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.digest import sha256
from protocols.fields import Fields
from protocols.title.operation import read_operation
from protocols.title.proof import TitleProof, read_proof_json, verify_history, verify_proof
from protocols.title.registry_freeze import arbiter_of
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.member_list import MemberList
    from protocols.title.json_forms import Json

TYPE = "urn:pratique:title-fork"
CODE = "title_proof_malformed"
MAX_HISTORY = 1_000


@dataclass(frozen=True, slots=True)
class History:
    """A proof and the operations, first to last, that led to its state; the arbiter's id."""

    arbiter: bytes
    proof: TitleProof
    operations: tuple[str, ...]

    def to_json(self) -> Json:
        """One side of the file."""
        return {
            "arbiter": self.arbiter.hex(),
            "proof": self.proof.to_json(),
            "history": list(self.operations),
        }


def contradict(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> bool:
    """Whether neither of two lists of operation digests begins with the other."""
    return any(left != right for left, right in zip(one, other, strict=False))


@dataclass(frozen=True, slots=True)
class TitleFork:
    """Both histories; the first is the one that was known first."""

    first: History
    second: History

    @property
    def title(self) -> bytes:
        """The title."""
        return self.first.proof.state.title

    @property
    def arbiter(self) -> bytes:
        """The arbiter of the second history."""
        return self.second.arbiter

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return sha256(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The evidence file."""
        sides = [self.first.to_json(), self.second.to_json()]
        return strict_json.canonical({"type": TYPE, "histories": sides})

    def prove(self, members: MemberList) -> None:
        """Check both proofs and that they contradict each other.

        Raises RefusedError `title_not_contradicted`, `title_arbiter_unknown`, and as
        `verify_proof` and `verify_history`.
        """
        digests = []
        for side in (self.first, self.second):
            entries = [arbiter_of(entry) for entry in members.registries]
            judge = next((one for one in entries if one.id == side.arbiter), None)
            if judge is None:
                raise RefusedError("title_arbiter_unknown", "no listed registry has that id")
            verify_proof(side.proof, arbiter=judge, members=members)
            verify_history(side.proof.state, side.operations)
            read = (read_operation(text).operation.digest for text in side.operations)
            digests.append(tuple(read))
        same = self.first.proof.state.title == self.second.proof.state.title
        if not same or not contradict(*digests):
            raise RefusedError("title_not_contradicted", "both histories can be true")


def read(data: bytes) -> TitleFork:
    """The evidence from its file; raises MalformedError `title_proof_malformed` or json_*."""
    fields = Fields(strict_json.loads_object(data), CODE)
    sides = fields.children("histories", 2)
    if fields.members.get("type") != TYPE or len(sides) != 2:
        raise MalformedError(CODE, "the evidence has a type and two histories")
    found = TitleFork(*(_history(side) for side in sides))
    if found.to_bytes() != data:
        raise MalformedError(CODE, "the evidence is not in its canonical form")
    return found


def _history(fields: Fields) -> History:
    items = fields.members.get("history")
    texts = items if isinstance(items, list) else []
    operations = tuple(item for item in texts if isinstance(item, str))
    if not 1 <= len(operations) == len(texts) <= MAX_HISTORY:
        raise fields.fault("history", f"a list of 1 to {MAX_HISTORY} operations")
    proof = read_proof_json(dict(fields.child("proof").members))
    return History(fields.digest("arbiter"), proof, operations)
