"""Intake: a batch of frames in, a signed answer out, nothing said before it is durable (R8, R9).

What needs no store (parsing, signatures, access) is done here on the loop; everything else is one
job of the store, and the answer is written after its COMMIT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.exchange import identity
from node.exchange.receiving import Examined, Register, take_in
from protocols.exchange import answer, control, manifest
from protocols.exchange.frames import MAX_ITEMS
from protocols.exchange.manifest import CONTROL_TYPES, DOCUMENT, VOID, Desk
from protocols.exchange.problems import Problem
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.exchange.receiving import Answered, Item
    from node.runtime import Node
    from protocols.exchange.frames import Frame
    from protocols.exchange.manifest import SignedManifest
    from protocols.exchange.stream import Caps
    from protocols.keys import Signer
    from protocols.member_list import MemberList

# Roles that watch and trade nothing: they have no document to send.
_SILENT_ROLES = frozenset({"witness", "auditor"})


class Intake:
    """Receives for one node."""

    def __init__(
        self,
        node: Node,
        *,
        signer: Callable[[], Signer],
        handles: Callable[[str], bool],
        caps: Caps,
    ) -> None:
        """signer: the exchange key in use; handles: whether a handler takes a message type."""
        self._node = node
        self._signer = signer
        self._handles = handles
        self._caps = caps

    async def receive(
        self, peer: str, frames: Sequence[Frame], *, behind: bool = False
    ) -> list[Answered]:
        """Stores a batch of `peer` and answers each message, in order, once it is durable.

        behind: the peer showed a later member list than ours. Raises UnavailableError.
        """
        members = self._node.members.current
        if members is None:
            raise UnavailableError("member_list_missing", "this node is in no network yet")
        assert len(frames) <= MAX_ITEMS
        desk = self._desk(members, peer, behind=behind)
        items = [self._examine(frame, desk) for frame in frames]
        register = Register(
            network=members.network,
            did=self._node.did,
            signer=self._signer(),
            members_version=members.version,
            members_digest=members.digest,
            now=desk.now,
            caps=self._caps,
        )
        answers = await self._node.store.write(take_in, register, peer, items)
        self._count(answers)
        return answers

    def _desk(self, members: MemberList, peer: str, *, behind: bool) -> Desk:
        def may_send(did: str, message_type: str) -> Problem | None:
            if not self._known_type(message_type):
                return Problem.UNKNOWN_TYPE
            entry = members.node(did)
            if entry is None:
                return Problem.NOT_AUTHORISED
            if message_type.startswith(DOCUMENT) and _SILENT_ROLES.issuperset(entry.roles):
                return Problem.NOT_AUTHORISED
            return None

        return Desk(
            network=members.network,
            recipient=self._node.did,
            caller=peer,
            key=members.key,
            may_send=may_send,
            now=self._node.clock.now(),
            behind=behind,
        )

    def _known_type(self, message_type: str) -> bool:
        if message_type in CONTROL_TYPES:
            return True
        if message_type.startswith(DOCUMENT):
            return _is_document_type(message_type.removeprefix(DOCUMENT))
        return self._handles(message_type)

    def _examine(self, frame: Frame, desk: Desk) -> Item:
        try:
            signed = manifest.read(frame.manifest)
        except (MalformedError, TooLargeError):
            return Problem.MALFORMED
        except RefusedError as error:
            unknown = error.code == Problem.VERSION_UNSUPPORTED.value
            return Problem.VERSION_UNSUPPORTED if unknown else Problem.MALFORMED
        problem = manifest.examine(signed, frame.body, desk)
        link = signed.digest
        if problem is None and signed.manifest.type == VOID:
            link, problem = _voided(signed, frame.body)
        naming = None
        if problem is None:
            one = signed.manifest
            naming = identity.name(one.type, one.id, signed.digest, frame.body)
        return Examined(frame, signed, problem, naming, link)

    def _count(self, answers: Sequence[Answered]) -> None:
        counts: dict[str, int] = {}
        for one in answers:
            if isinstance(one, answer.Unsigned):
                outcome = one.code
            else:
                outcome = one.item.code or one.item.state.value
            counts[outcome] = counts.get(outcome, 0) + 1
        self._node.telemetry.log.debug("exchange.received", **counts)


def _is_document_type(key: str) -> bool:
    from schemas.registry import document_types

    return key in document_types()


def _voided(signed: SignedManifest, body: bytes) -> tuple[bytes, Problem | None]:
    """The digest that a void stands for; it must speak of its own place in a stream."""
    try:
        void = control.read_void(body)
    except TradeError:
        return signed.digest, Problem.DIGEST_MISMATCH
    if signed.manifest.seq != void.seq:
        return signed.digest, Problem.DIGEST_MISMATCH
    return void.digest, None
