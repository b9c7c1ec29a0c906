"""Learning and telling final states: what a title event changes at a node, exactly once.

The registry and the carrier tell the nodes of those who are or were in control. Each node tells
those to whom it sent the bill, with the carrier's manifest, so that everybody who holds the
document can see who holds the title. Only final states travel and only they change anything (R21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import log, registry_freezes
from node.documents import documents
from node.store import events
from node.title import disputing, forms, partners, rows
from node.title import news as messages
from protocols.fields import Fields
from protocols.log import leaf
from protocols.log.leaf import LeafKind
from protocols.title.operation import document_checksum, read_operation
from protocols.title.registry import arbiter_of
from schemas import strict_json, titled
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.exchange.message import InboundMessage
    from node.runtime import Node
    from node.title.news import TitleNews
    from node.title.rows import StoredBill, StoredTitle
    from protocols.member_list import MemberList
    from protocols.title.machine import Operation, Party, TitleState

_LEAF_TYPE = "title"


def host_of(members: MemberList, did: str) -> str | None:
    """The node at which a party is reached: its host, or the member itself."""
    party = members.party(did)
    if party is not None:
        return party.host
    return did if members.node(did) is not None else None


class TitleHandler:
    """Takes messages `urn:pratique:title`."""

    def __init__(self, follower: Follower) -> None:
        """Belongs to the node's `TitleService`."""
        self._follower = follower

    async def prepare(self, message: InboundMessage) -> TitleNews:
        """Check everything against our own member list (R5)."""
        node = self._follower.node
        vouch = await node.title.evm.voucher(message.body)
        members, freezes = partners.members_of(node), partners.freezes_of(node)
        told = Fields(strict_json.loads_object(message.body), messages.CODE)
        news = await node.store.read(forms.with_names, members, told)
        return messages.check_news(news, news.digest("arbiter"), members, vouch, freezes)

    def apply(self, conn: Connection, message: InboundMessage, prepared: TitleNews) -> None:
        """Take it in; the sender needs no telling, unless it does not know the manifest."""
        title = prepared.state.title
        if prepared.issuance is not None or rows.bill(conn, title) is None:
            rows.tell(conn, title, message.sender, prepared.state.seq)
        self._follower.learn(conn, prepared)


class Follower:
    """Keeps final states and tells them on, inside the caller's transactions."""

    def __init__(self, node: Node) -> None:
        """Reads nothing yet."""
        self.node = node
        self._watchers: list[Callable[[bytes], None]] = []

    def watch(self, watcher: Callable[[bytes], None]) -> None:
        """`watcher` is told of every title with a newer final state, before that is committed."""
        self._watchers.append(watcher)

    def learn(self, conn: Connection, news: TitleNews) -> bool:
        """Keep a final state with its history, leaves and events; False when it was known."""
        now = self.node.clock.now_ms()
        title = news.state.title
        if news.issuance is not None and news.manifest is not None:
            rows.put_bill(conn, news.manifest, news.issuance, None, now)
        for statement, text in news.keys:
            rows.put_statement(conn, statement, text)
        proof = strict_json.canonical(news.proof.to_json()).decode()
        if self._contradicts(conn, news) or self._is_void(conn, news.arbiter, proof):
            return False
        if rows.named(conn, news.state, proof):
            self._reconsider_title(conn, title)
        before = rows.put(conn, news.arbiter, news.state, news.at, proof, now)
        bill = self._linked(conn, title)
        if before is None or before == news.state.seq:
            # Known, or the same state under a newer checkpoint: nothing has happened.
            self.tell(conn, title)
            return False
        document = documents.get(conn, bill.document) if bill and bill.document else None
        for operation in rows.put_history(conn, news.operations, now):
            rows.decide(conn, operation.digest, "final")
            self._record(conn, operation, document, now)
        self._final(conn, news, document, now)
        self.tell(conn, title)
        for watcher in self._watchers:
            watcher(title)
        return True

    def _contradicts(self, conn: Connection, news: TitleNews) -> bool:
        """Whether the news is not to be taken: what is held holds, and everybody is told (R21)."""
        self._keep_freezes(conn, news)
        held = rows.find(conn, news.state.title)
        if held is None:
            return False
        if held.arbiter in {one.freeze.arbiter.id for one in news.freezes}:
            # The roots have ended that arbiter: what its successor says is what counts.
            rows.void(conn, held.title)
            return False
        found = disputing.contradiction(held, rows.texts(conn, held.title), news)
        if found is not None:
            disputing.record_contradiction(conn, self.node, found, tell=True)
        disputed = registry_freezes.disputed(conn, held.title, news.arbiter)
        return found is not None or disputed is not None

    def _is_void(self, conn: Connection, arbiter: bytes, proof: str) -> bool:
        """Whether it stands beyond the arbiter's end, which came in after the news was checked."""
        ended = registry_freezes.find(conn, arbiter)
        return ended is not None and rows.proven_at(proof) > ended.freeze.at

    def _keep_freezes(self, conn: Connection, news: TitleNews) -> None:
        for document in news.freezes:
            known = partners.freezes_of(self.node).get(document.freeze.arbiter.id)
            registry = getattr(self.node, "registry", None)
            if registry is not None and (known is None or known.digest != document.digest):
                registry.freezing.put(conn, document, announce=False)
                registry.freezes_change_soon()

    def _linked(self, conn: Connection, title: bytes) -> StoredBill | None:
        """What the title stands for, tied to the document as soon as both are here."""
        bill = rows.bill(conn, title)
        if bill is None or bill.document is not None:
            return bill
        named = (
            held
            for type_ in titled.TYPES
            for held in documents.find(conn, type=type_, number=bill.reference, limit=20)
        )
        for held in named:
            if held.issuer == bill.carrier and checksum_of(held) == bill.checksum:
                rows.link(conn, title, held.digest)
                # A release may be waiting to know where this bill's title stands.
                self._reconsider(conn, held.consignment)
                return rows.bill(conn, title)
        return bill

    def sweep(self, conn: Connection) -> int:
        """Tie bills to titles that were told before them, and tell those to whom a bill was sent
        since; how much there was to do."""
        arrived = rows.arrived(conn, titled.TYPES)
        for title, document in arrived:
            held = documents.get(conn, document)
            bill = rows.bill(conn, title)
            if held is None or bill is None or checksum_of(held) != bill.checksum:
                continue
            rows.link(conn, title, document)
            self._reconsider(conn, held.consignment)
        return len(arrived) + sum(self.tell(conn, title) for title in rows.untold(conn))

    def _reconsider_title(self, conn: Connection, title: bytes) -> None:
        bill = rows.bill(conn, title)
        document = documents.get(conn, bill.document) if bill and bill.document else None
        self._reconsider(conn, document.consignment if document else None)

    def _reconsider(self, conn: Connection, consignment: str | None) -> None:
        release = getattr(self.node, "release", None)
        if release is not None and consignment is not None:
            release.reconsider(conn, consignment)

    def _record(
        self, conn: Connection, operation: Operation, document: StoredDocument | None, now: int
    ) -> None:
        """One operation that became final: a leaf that shows nothing (R18), and an event."""
        salt = document.salt if document else operation.title
        about = leaf.subject(_LEAF_TYPE, operation.title.hex(), salt)
        if document is not None:
            about = document.subject
        commit = leaf.commit(salt, operation.digest)
        added = log.remember(conn, LeafKind.TITLE_OPERATION_SEEN, about, commit, now)
        kind = operation.kind.value.lower().replace("_", "-")
        events.record(
            conn,
            kind=f"title-{kind}",
            at=now,
            document=document.digest if document else None,
            consignment=document.consignment if document else None,
            actor=operation.sender.did,
            leaf=added.hash,
            detail={
                "title": operation.title.hex(),
                "seq": operation.seq,
                "kind": operation.kind.value,
                "to": operation.recipient.did if operation.recipient else None,
                "operation": operation.digest.hex(),
                "final": True,
            },
        )

    def _final(
        self, conn: Connection, news: TitleNews, document: StoredDocument | None, now: int
    ) -> None:
        state = news.state
        detail = {
            "title": state.title.hex(),
            "seq": state.seq,
            "state": state.state.value,
            "possessor": state.possessor.did if state.possessor else None,
            "holder": state.holder.did if state.holder else None,
            "asOf": news.at,
        }
        consignment = document.consignment if document else None
        events.record(
            conn,
            kind="title-final",
            at=now,
            document=document.digest if document else None,
            consignment=consignment,
            actor=self.node.did,
            detail=detail,
        )
        self._reconsider(conn, consignment)

    # -- telling -------------------------------------------------------------------------------

    def tell(self, conn: Connection, title: bytes) -> int:
        """Queue the final state for every node that is to know and does not; how many."""
        held, members = rows.find(conn, title), self.node.members.current
        exchange = getattr(self.node, "exchange", None)
        if held is None or members is None or exchange is None:
            return 0
        told = rows.told(conn, title)
        goals = [did for did in self._goals(conn, title) if told.get(did, 0) < held.state.seq]
        if not goals:
            return 0
        body = self.message(conn, title)
        for did in goals:
            try:
                exchange.enqueue(conn, did, messages.TYPE, body, messages.MEDIA_TYPE, None)
            except TradeError as error:
                self.node.telemetry.log.warning("title.not_told", to=did, code=error.code)
                continue
            rows.tell(conn, title, did, held.state.seq)
        return len(goals)

    def message(self, conn: Connection, title: bytes) -> bytes:
        """The news of a title that is known here, as its message's body."""
        held, bill = rows.find(conn, title), rows.bill(conn, title)
        assert held is not None
        body: dict[str, strict_json.JsonValue] = {
            "arbiter": held.arbiter.hex(),
            "proof": strict_json.loads(held.proof.encode()),
        }
        if not self._on_chain(held.arbiter):
            # A chain's proof holds the operations itself.
            body["history"] = list(rows.texts(conn, title))
        freezes = partners.freezes_of(self.node)
        if freezes and "history" in body:
            body["freezes"] = self._turns(conn, title, held.arbiter)
        if bill is not None:
            body["issuance"] = bill.issuance
        return strict_json.canonical(body)

    def _turns(self, conn: Connection, title: bytes, arbiter: bytes) -> list[strict_json.JsonValue]:
        """The hand-overs from the arbiter that issued the title to this one."""
        freezes, documents_ = partners.freezes_of(self.node), list[strict_json.JsonValue]()
        at = read_operation(rows.texts(conn, title)[0]).operation.arbiter
        while at != arbiter and at in freezes:
            found = freezes[at]
            documents_.append(found.to_bytes().decode())
            at = found.freeze.successor or arbiter
        return documents_

    def _acted(self, conn: Connection, held: StoredTitle) -> bool:
        """On a chain nobody sequences: who handed an operation in tells, and so does the node of
        whoever got the bill, which knows whose the key is."""
        members, got = self.node.members.current, held.state.possessor
        if members is None or not self._on_chain(held.arbiter):
            return False
        here = got is not None and host_of(members, got.did) == self.node.did
        return here or bool(rows.submissions_of(conn, held.title))

    def _on_chain(self, arbiter: bytes) -> bool:
        members = self.node.members.current
        return members is not None and members.arbiter(arbiter) is not None

    def _goals(self, conn: Connection, title: bytes) -> list[str]:
        """Whom this node tells: those to whom it sent the bill; as the registry or the carrier,
        and on a chain as who acted there, also the nodes of everybody in the state."""
        members, held = self.node.members.current, rows.find(conn, title)
        assert members is not None
        assert held is not None
        goals, bill = set[str](), rows.bill(conn, title)
        if bill is not None and bill.document is not None:
            goals |= set(documents.recipients_of(conn, bill.document))
        acted = self._acted(conn, held)
        if acted:
            # Also who asked for a key of the title, and who ever spoke of it.
            goals |= set(rows.told(conn, title))
        if acted or self.node.did in {
            held.state.issuer.did,
            _sequencer(members, held.arbiter),
        }:
            goals |= _hosts(members, _parties(held.state))
        return sorted(did for did in goals if did != self.node.did and members.node(did))


def _sequencer(members: MemberList, arbiter: bytes) -> str | None:
    entries = (item for item in members.registries if arbiter_of(item).id == arbiter)
    return next((item.did for item in entries), None)


def _parties(state: TitleState) -> Iterator[Party]:
    offered = state.offer.recipient if state.offer else None
    named = (state.shipper, state.possessor, state.holder, state.surrendered_by, offered)
    yield state.issuer
    for party in named:
        if party is not None:
            # Each of joint holders hears of its title at its own node.
            yield from party.joint or (party,)


def _hosts(members: MemberList, parties: Iterable[Party]) -> set[str]:
    hosts = (host_of(members, party.did) for party in parties)
    return {host for host in hosts if host is not None}


def checksum_of(document: StoredDocument) -> bytes | None:
    """The transport document's checksum (DCSA PINT 3.0.0), or None for what is not JSON."""
    try:
        return document_checksum(strict_json.loads(document.payload))
    except TradeError:
        return None
