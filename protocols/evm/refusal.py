"""The loser's evidence on a chain: the `Refused` event of its operation with the event's proof.

What a log arbiter's signed refusal is there (`protocols.title.operation.Refusal`). The event says
what was so in its block: the same operation, handed in again later, may still be applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocols.evm.calls import Refused, read_event
from protocols.evm.proof import verify_event, verify_seals
from protocols.evm.title_proof import event_json, read_event_json
from protocols.fields import Fields
from protocols.title.json_forms import Json, require_members
from protocols.title.machine import Kind
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from protocols.evm.proof import EventProof
    from protocols.evm.title import EvmOperation
    from protocols.evm.title_proof import Vouch
    from protocols.members.arbiters import ArbiterEntry

CODE: Final = "title_refusal_malformed"
MAX_BYTES: Final = 256 * 1024
#: An ISSUE is refused with any other reason for good: it is malformed, unsigned, too late, or its
#: place is taken. These three may change: a key gets listed, the title that it replaces ends.
_MAY_CHANGE: Final = frozenset(
    {"title_issuer_not_listed", "title_replaces_unended", "title_not_issuer"}
)
_EVENT = frozenset({"header", "transaction", "nodes", "log"})
_MEMBERS = frozenset({"v", "arbiter", "title", "operation", "code", "seq", "at", "winner"}) | _EVENT


@dataclass(frozen=True, slots=True)
class EvmRefusal:
    """As told by the event; the parts beside the event only repeat it for readers.

    at:     time of the block in seconds
    winner: digest of the operation that took the same place, as far as the teller knew
    """

    arbiter: bytes
    refused: Refused
    at: int
    event: EventProof
    winner: bytes | None = None

    def to_text(self) -> str:
        """RFC 8785 JSON."""
        said = self.refused
        body: Json = {
            "v": 1,
            "arbiter": self.arbiter.hex(),
            "title": said.title.hex(),
            "operation": said.digest.hex(),
            "code": said.code,
            "seq": said.seq,
            "at": self.at,
            **event_json(self.event),
        }
        if self.winner is not None:
            body["winner"] = self.winner.hex()
        return strict_json.canonical(body).decode()


def may_yet_hold(refusal: EvmRefusal, operation: EvmOperation) -> bool:
    """Whether the ISSUE that was refused may still be applied when anybody hands it in again.

    Its signature is public from then on. Only a block beyond its deadline ends that; until then
    nothing is decided (R13), and another title for the same bill would be a second one (R19).
    """
    changes = operation.kind is Kind.ISSUE and refusal.refused.code in _MAY_CHANGE
    return changes and refusal.at <= operation.deadline


def is_chain_refusal(text: str) -> bool:
    """Whether a refusal is a chain's event (JSON) and not a registry's signed word (JWS)."""
    return text.startswith("{")


def read_refusal(text: str) -> EvmRefusal:
    """A refusal from its text, its event not yet proven; raises MalformedError
    `title_refusal_malformed` or json_*."""
    fields = Fields(strict_json.loads_object(text.encode(), max_bytes=MAX_BYTES), CODE)
    require_members(fields, _MEMBERS)
    fields.integer("v", 1, 1)
    refused = Refused(
        title=fields.digest("title"),
        digest=fields.digest("operation"),
        code=fields.text("code", max_length=64),
        seq=fields.integer("seq", 0, 2**24),
    )
    event = read_event_json(fields)
    at, winner = fields.integer("at", 0, 2**53 - 1), fields.optional_digest("winner")
    return EvmRefusal(fields.digest("arbiter"), refused, at, event, winner)


def verify_refusal(refusal: EvmRefusal, entry: ArbiterEntry, vouch: Vouch) -> None:
    """The event is that of the listed contract, in a block that counts, and says what is told.

    Raises RefusedError `title_arbiter_unknown`, `title_history_mismatch`, `evm_path_invalid`,
    `evm_block_unsealed` and what `vouch` raises.
    """
    if refusal.arbiter != entry.id:
        raise RefusedError("title_arbiter_unknown", "the refusal is of another arbiter")
    proven = verify_event(refusal.event, entry.contract)
    if read_event(proven.log) != refusal.refused or proven.header.time != refusal.at:
        raise RefusedError("title_history_mismatch", "the event says something else")
    if entry.finality == "qbft":
        verify_seals(proven.header, entry.validators_at(proven.header.number))
    else:
        vouch(proven.header)
