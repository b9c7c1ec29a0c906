"""Proof of control: the state of one title, as of a witnessed checkpoint of its registry (R22).

The chain of the proof: state → its digest → path through the registry's map → state root → root
entry → log proof → checkpoint cosigned by a quorum of witnesses that re-executed the registry.
It is checked offline against the arbiter that the verifier's own member list names (R5). It says
what was true as of its checkpoint; only a newer proof can say more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from protocols import times
from protocols.digest import from_hex
from protocols.fields import Fields
from protocols.log import epochs as log_epochs
from protocols.log import proof as log_proof
from protocols.log import votes
from protocols.log.merkle import leaf_hash
from protocols.title.json_forms import (
    Json,
    map_key,
    read_state,
    require_members,
    state_digest,
    state_json,
)
from protocols.title.machine import NO_HEAD, TitleState, next_head
from protocols.title.operation import read_operation
from protocols.title.registry_entries import RootEntry
from protocols.title.sparse_map import MAX_PATH, root_of
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.log.proof import CheckedCheckpoint, ProofResult
    from protocols.member_list import MemberList
    from protocols.title.registry import Arbiter

CODE = "title_proof_malformed"
MAX_BYTES = 256 * 1024
_MEMBERS = frozenset({"v", "state", "path", "batch", "at", "proof"})


@dataclass(frozen=True, slots=True)
class TitleProof:
    """The parts of a proof.

    path:   hashes through the registry's map, top first
    number, at: number and time of the batch whose root entry is proven
    proof:  C2SP tlog-proof text of that root entry
    """

    state: TitleState
    path: tuple[bytes, ...]
    number: int
    at: datetime
    proof: str

    def to_json(self) -> Json:
        """The JSON object; its RFC 8785 bytes are the proof's file."""
        return {
            "v": 1,
            "state": state_json(self.state),
            "path": [item.hex() for item in self.path],
            "batch": self.number,
            "at": times.to_text(self.at),
            "proof": self.proof,
        }

    def to_bytes(self) -> bytes:
        """RFC 8785 bytes."""
        return strict_json.canonical(self.to_json())


@dataclass(frozen=True, slots=True)
class ProvenTitle:
    """What a proof proves: the state, as of which batch, under which witnessed checkpoint."""

    state: TitleState
    number: int
    at: datetime
    log: ProofResult


def read_proof(data: bytes) -> TitleProof:
    """A proof from its RFC 8785 bytes; raises MalformedError `title_proof_malformed` or json_*.

    Other spellings of the same JSON are refused, so that no byte can change unseen.
    """
    members = strict_json.loads_object(data, max_bytes=MAX_BYTES)
    proof = read_proof_json(members)
    if proof.to_bytes() != data:
        raise MalformedError(CODE, "the proof is not in its canonical form")
    return proof


def read_proof_json(members: Json) -> TitleProof:
    """A proof from its JSON object."""
    fields = Fields(members, CODE)
    require_members(fields, _MEMBERS)
    fields.integer("v", 1, 1)
    return TitleProof(
        state=read_state(fields.child("state")),
        path=_path(fields),
        number=fields.integer("batch", 1, 2**53 - 1),
        at=fields.time("at"),
        proof=fields.text("proof", max_length=log_proof.MAX_TEXT),
    )


def _path(fields: Fields) -> tuple[bytes, ...]:
    items = fields.members.get("path")
    if not isinstance(items, list) or len(items) > MAX_PATH:
        raise fields.fault("path", f"a path is a list of at most {MAX_PATH} hashes")
    return tuple(from_hex(item, pointer=f"/path/{at}") for at, item in enumerate(items))


def verify_proof(proof: TitleProof, *, arbiter: Arbiter, members: MemberList) -> ProvenTitle:
    """Check every link of the proof under that arbiter of the list, offline.

    Witnesses count whose keys stood, by that list, when they cosigned (R16).

    Raises RefusedError `title_path_invalid`, `inclusion_proof_invalid`,
    `title_proof_unwitnessed`, and what `log_proof.verify` raises.
    """
    root = root_of(map_key(proof.state.title), state_digest(proof.state), proof.path)
    entry = RootEntry(members.network, proof.number, times.to_ms(proof.at), root).encode()
    parts = log_proof.parse(proof.proof)
    if parts.extra is not None:
        raise MalformedError(CODE, "extra data is not authenticated")
    checked = _checked(parts.checkpoint, arbiter.vkey, arbiter.policy_text)
    checked = log_epochs.recount(checked, arbiter.policy, votes.under(members))
    result = log_proof.verify_under(checked, parts, leaf_hash(entry))
    if not result.witnessed:
        raise RefusedError(
            "title_proof_unwitnessed", "no quorum of the registry's witnesses cosigned it (R21)"
        )
    return ProvenTitle(proof.state, proof.number, proof.at, result)


@lru_cache(maxsize=64)
def _checked(text: str, vkey: str, policy: str) -> CheckedCheckpoint:
    """One checkpoint proves all titles of its batch; its signatures are checked once."""
    return log_proof.check_checkpoint(text, vkey, policy)


def verify_history(state: TitleState, operations: Iterable[str]) -> None:
    """Check that these signed operations, first to last, are the whole history of `state`.

    The head commits to every operation's payload (R2). Raises RefusedError
    `title_history_mismatch`.
    """
    head, seq = NO_HEAD, 0
    for text in operations:
        operation = read_operation(text).operation
        if operation.title != state.title or operation.seq != seq:
            raise RefusedError("title_history_mismatch", "an operation is missing or foreign")
        head, seq = next_head(head, operation.digest), seq + 1
    if (head, seq) != (state.head, state.seq):
        raise RefusedError("title_history_mismatch", "the operations lead to another head")
