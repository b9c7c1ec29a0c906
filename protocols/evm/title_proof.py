"""Proof of a title on a chain: every operation with the event that it left, block by block (R22).

A step is one signed operation, the `Moved` event that names its digest, and the event's path to its
block's header. Checked offline: each event was emitted by the listed contract, sequence numbers
have no gap, and the operations, re-executed by `protocols.title.machine` at their blocks' times,
give the state. What vouches for a header is the seals of the validators that the verifier's own
member list pins (R5); where it pins none, the caller must know the header's hash from a chain of
its own. A proof says what was so at its last block; only a newer one can say more.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from protocols.evm.calls import Moved, read_event
from protocols.evm.holder_keys import party_of, read_statement
from protocols.evm.proof import MAX_NODES, EventProof, Header, verify_event, verify_seals
from protocols.evm.title_text import MAX_BYTES as MAX_OPERATION
from protocols.evm.title_text import read_text
from protocols.fields import Fields
from protocols.title import machine
from protocols.title.json_forms import Json, require_members
from protocols.title.machine import Ending, Operation, TitleState
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError

if TYPE_CHECKING:
    from protocols.evm.holder_keys import HolderKey
    from protocols.evm.title import PartyOf
    from protocols.evm.title_text import EvmRegistry
    from protocols.member_list import MemberList
    from protocols.members.arbiters import ArbiterEntry

CODE: Final = "title_proof_malformed"
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_STEPS: Final = 1_000
MAX_KEYS: Final = 2_000
_MAX_NODE_TEXT: Final = 96 * 1024
_MEMBERS = frozenset({"v", "arbiter", "steps", "keys"})
_STEP_MEMBERS = frozenset({"operation", "header", "transaction", "nodes", "log"})

#: Raises unless the verifier knows the header of a block that no listed validators sealed.
Vouch = Callable[[Header], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation and the event it left."""

    operation: str
    event: EventProof


@dataclass(frozen=True, slots=True)
class EvmTitleProof:
    """arbiter: the arbiter's id; keys: statements that name who stands behind addresses."""

    arbiter: bytes
    steps: tuple[Step, ...]
    keys: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The JSON object; its RFC 8785 bytes are the proof's file."""
        return {
            "v": 2,
            "arbiter": self.arbiter.hex(),
            "steps": [_step_json(step) for step in self.steps],
            "keys": list(self.keys),
        }

    def to_bytes(self) -> bytes:
        """RFC 8785 bytes."""
        return strict_json.canonical(self.to_json())


def _step_json(step: Step) -> Json:
    return {"operation": step.operation, **event_json(step.event)}


def event_json(event: EventProof) -> Json:
    """Header, path and place of an event, as members of what holds it."""
    return {
        "header": _encoded(event.header),
        "transaction": event.transaction,
        "nodes": [_encoded(node) for node in event.nodes],
        "log": event.log,
    }


def _encoded(data: bytes) -> str:
    return b64encode(data).decode()


def is_chain_proof(members: Json) -> bool:
    """Whether a title's proof is one of a chain and not of a log."""
    return "steps" in members


def read_proof(data: bytes) -> EvmTitleProof:
    """A proof from its RFC 8785 bytes; raises MalformedError `title_proof_malformed` or json_*."""
    proof = read_proof_json(strict_json.loads_object(data, max_bytes=MAX_BYTES))
    if proof.to_bytes() != data:
        raise MalformedError(CODE, "the proof is not in its canonical form")
    return proof


def read_proof_json(members: Json) -> EvmTitleProof:
    """A proof from its JSON object."""
    fields = Fields(members, CODE)
    require_members(fields, _MEMBERS)
    fields.integer("v", 2, 2)
    steps = tuple(map(_step, fields.children("steps", MAX_STEPS)))
    if not steps:
        raise fields.fault("steps", "a title has at least its ISSUE")
    return EvmTitleProof(fields.digest("arbiter"), steps, _texts(fields, "keys", MAX_KEYS))


def _step(fields: Fields) -> Step:
    require_members(fields, _STEP_MEMBERS)
    return Step(fields.text("operation", max_length=MAX_OPERATION), read_event_json(fields))


def read_step(text: str) -> Step:
    """A step from the canonical JSON in which a node keeps it."""
    return _step(Fields(strict_json.loads_object(text.encode(), max_bytes=MAX_BYTES), CODE))


def step_text(step: Step) -> str:
    """The step as canonical JSON."""
    return strict_json.canonical(_step_json(step)).decode()


def read_event_json(fields: Fields) -> EventProof:
    """The proof of an event from the members of what holds it."""
    return EventProof(
        header=_decoded(fields.text("header", max_length=_MAX_NODE_TEXT)),
        transaction=fields.integer("transaction", 0, 2**32 - 1),
        nodes=tuple(map(_decoded, _texts(fields, "nodes", MAX_NODES))),
        log=fields.integer("log", 0, 2**32 - 1),
    )


def _texts(fields: Fields, name: str, most: int) -> tuple[str, ...]:
    items = fields.members.get(name)
    if not isinstance(items, list) or len(items) > most:
        raise fields.fault(name, f"a list of at most {most} texts")
    found = tuple(item for item in items if isinstance(item, str) and len(item) <= _MAX_NODE_TEXT)
    if len(found) != len(items):
        raise fields.fault(name, "a list of texts")
    return found


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError(CODE, "nodes and headers are in base64") from None


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an operation's event stands; time in seconds as the block's proposer claims."""

    block: int
    block_hash: bytes
    time: int


@dataclass(frozen=True, slots=True)
class ProvenEvmTitle:
    """What a proof proves.

    state:      with the parties that the statements name
    operations: each with its signed text, first to last
    places:     where each stands
    """

    state: TitleState
    operations: tuple[tuple[Operation, str], ...]
    places: tuple[Placed, ...]
    keys: tuple[HolderKey, ...]

    @property
    def at(self) -> datetime:
        """The time of the last block that moved the title."""
        return datetime.fromtimestamp(self.places[-1].time, UTC)


def verify_proof(
    proof: EvmTitleProof, *, entry: ArbiterEntry, members: MemberList, vouch: Vouch
) -> ProvenEvmTitle:
    """Check every link of the proof under that arbiter of our own list.

    vouch: asked about every header whose block the list pins no validators for. Raises
    RefusedError `title_arbiter_unknown`, `title_history_mismatch`, `evm_path_invalid`,
    `evm_event_other_contract`, `evm_block_unsealed`, `bad_signature` and what `vouch` raises.
    """
    if proof.arbiter != entry.id:
        raise RefusedError("title_arbiter_unknown", "the proof is of another arbiter")
    statements = tuple(read_statement(text, entry.arbiter, members) for text in proof.keys)
    registry = entry.registry(members.network)
    title = read_text(proof.steps[0].operation).operation.title
    named = party_of(statements, title, entry.chain_id)
    run = _Run(registry, named, entry, vouch)
    for step in proof.steps:
        run.take(step, title)
    assert run.state is not None
    return ProvenEvmTitle(run.state, tuple(run.done), tuple(run.places), statements)


class _Run:
    """One title, re-executed event by event."""

    def __init__(
        self, registry: EvmRegistry, named: PartyOf, entry: ArbiterEntry, vouch: Vouch
    ) -> None:
        self._registry, self._named, self._entry, self._vouch = registry, named, entry, vouch
        self.state: TitleState | None = None
        self.done: list[tuple[Operation, str]] = []
        self.places: list[Placed] = []
        self._last = (-1, -1, -1)

    def take(self, step: Step, title: bytes) -> None:
        proven = verify_event(step.event, self._entry.contract)
        place = (proven.header.number, step.event.transaction, step.event.log)
        if place <= self._last:
            raise _mismatch("the events are not in the order of the chain")
        self._last = place
        moved = read_event(proven.log)
        operation = self._registry.operation(read_text(step.operation), self._named)
        _require_same(moved, operation, title)
        header = proven.header
        self.places.append(Placed(header.number, self._block(header), header.time))
        self.state = replay(self.state, operation, header.time)
        self.done.append((operation, step.operation))

    def _block(self, header: Header) -> bytes:
        validators = self._entry.validators_at(header.number)
        if self._entry.finality == "qbft":
            # Without validators for that block nothing is sealed: it raises.
            return verify_seals(header, validators)
        self._vouch(header)
        return header.hash


def replay(state: TitleState | None, operation: Operation, seconds: int) -> TitleState:
    """The state after an operation that the contract applied in a block of that time.

    Raises RefusedError `title_history_mismatch` where the machine would not have applied it.
    """
    at = datetime.fromtimestamp(seconds, UTC)
    try:
        return machine.apply(state, operation, at, replaced=stand_in(operation))
    except TradeError as error:
        raise _mismatch(error.code) from error


def stand_in(operation: Operation) -> TitleState | None:
    """The contract looked at the title that is replaced; its event is the word that it had ended.

    The model asks for that title's state, so it is given one that stands for this word.
    """
    issuance = operation.issuance
    if issuance is None or issuance.replaces is None:
        return None
    return TitleState(
        title=issuance.replaces,
        seq=1,
        state=machine.State.ENDED,
        bill=issuance.bill,
        issuer=operation.sender,
        shipper=operation.sender,
        possessor=None,
        holder=None,
        head=machine.NO_HEAD,
        ending=Ending.AMENDED,
    )


def _require_same(moved: object, operation: Operation, title: bytes) -> None:
    if not isinstance(moved, Moved):
        raise _mismatch("the event is not that of a title that moved")
    said = (moved.title, moved.seq, moved.kind, moved.digest, moved.entry)
    wanted = (title, operation.seq + 1, operation.kind, operation.digest, operation.entry)
    if said != wanted or operation.title != title:
        raise _mismatch("the event is another operation's")


def _mismatch(detail: str) -> RefusedError:
    return RefusedError("title_history_mismatch", detail)


def no_voucher(header: Header) -> None:
    """For verifying without a chain: only sealed blocks count. Raises RefusedError
    `evm_block_unsealed`."""
    raise RefusedError(
        "evm_block_unsealed", f"block {header.number} has no listed validators; ask its chain"
    )


def of_known(hashes: Sequence[bytes]) -> Vouch:
    """For verifying beside a chain: blocks whose hashes it told to be final."""
    known = frozenset(hashes)

    def vouch(header: Header) -> None:
        if header.hash not in known:
            no_voucher(header)

    return vouch
