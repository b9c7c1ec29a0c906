"""The store functions of trust: synchronous, over a passed connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, func, insert, select, update

from ledger import log
from node.store import dialect, events
from node.trust.tables import forks, joining, lists, proposals, requests
from protocols.log import leaf
from protocols.log.leaf import LeafKind
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from protocols.joining import JoinRequest
    from protocols.member_list import MemberList

MAX_PENDING = 1000
MAX_FORKS = 100
LEAF_TYPE = "member-list"


@dataclass(frozen=True, slots=True)
class Pending:
    """A waiting join request: its id, the bytes, when it came (ms UTC) and its state."""

    id: bytes
    did: str
    signed: bytes
    state: str
    received_at: int


def signed_lists(conn: Connection, start: int = 1, limit: int = 100_000) -> list[bytes]:
    """The signed bytes of the versions from `start`, in order."""
    query = select(lists.c.signed).where(lists.c.version >= start).order_by(lists.c.version)
    return [bytes(row) for row in conn.execute(query.limit(limit)).scalars()]


def digests(conn: Connection) -> dict[int, bytes]:
    """version → digest of all versions."""
    return {row.version: bytes(row.digest) for row in conn.execute(select(lists))}


def put_list(conn: Connection, members: MemberList, now_ms: int) -> bytes | None:
    """Keep a verified version with its log leaf (R4) and event; the leaf hash, None if known.

    The list is public, so its leaf is salted with the network id alone.
    """
    values = {
        "version": members.version,
        "digest": members.digest,
        "signed": members.signed,
        "accepted_at": now_ms,
    }
    if not dialect.insert_or_ignore(conn, lists, values):
        return None
    about = leaf.subject(LEAF_TYPE, str(members.version), members.network)
    commit = leaf.commit(members.network, members.digest)
    added = log.remember(conn, LeafKind.MEMBER_LIST, about, commit, now_ms)
    detail = {"version": members.version, "digest": members.digest.hex(), "name": members.name}
    events.record(conn, kind="member-list", at=now_ms, leaf=added.hash, detail=detail)
    return added.hash


def put_lists(conn: Connection, chain: Sequence[MemberList], now_ms: int) -> None:
    """Several versions in order, and what they settle: requests, proposals, our own joining."""
    for members in chain:
        put_list(conn, members, now_ms)
    newest = chain[-1].version
    conn.execute(
        update(proposals)
        .where(proposals.c.state == "open", proposals.c.version <= newest)
        .values(state="obsolete", updated_at=now_ms)
    )
    conn.execute(delete(joining))


def put_request(
    conn: Connection, request: JoinRequest, now_ms: int, cap: int = MAX_PENDING
) -> bool:
    """Keep a request once; False when too many wait already."""
    waiting = conn.execute(
        select(func.count()).select_from(requests).where(requests.c.state == "pending")
    ).scalar_one()
    if find_request(conn, request.digest) is None and waiting >= cap:
        return False
    values = {
        "id": request.digest,
        "did": request.node.did,
        "signed": request.signed,
        "state": "pending",
        "received_at": now_ms,
    }
    if dialect.insert_or_ignore(conn, requests, values):
        # Nobody signs a lost request: that it came is told apart from its row.
        detail = {"request": request.digest.hex()}
        events.record(conn, kind="join-request", at=now_ms, actor=request.node.did, detail=detail)
    return True


def find_request(conn: Connection, request_id: bytes) -> Pending | None:
    """The request with that id."""
    row = conn.execute(select(requests).where(requests.c.id == request_id)).one_or_none()
    return None if row is None else _pending(*row)


def pending_requests(conn: Connection) -> list[Pending]:
    """The waiting requests, oldest first."""
    query = (
        select(requests)
        .where(requests.c.state == "pending")
        .order_by(requests.c.received_at, requests.c.id)
    )
    return [_pending(*row) for row in conn.execute(query)]


def _pending(request_id: bytes, did: str, signed: bytes, state: str, received_at: int) -> Pending:
    return Pending(bytes(request_id), did, bytes(signed), state, received_at)


def settle_requests(conn: Connection, ids: Sequence[bytes], state: str) -> None:
    """Set the state of requests."""
    conn.execute(update(requests).where(requests.c.id.in_(ids)).values(state=state))


def refuse_requests(
    conn: Connection, ids: Sequence[bytes], why: str, actor: str, now_ms: int
) -> None:
    """Drop waiting requests, each with an event; raises NotFoundError `join_request_unknown`."""
    for one in ids:
        found = find_request(conn, one)
        if found is None or found.state != "pending":
            raise NotFoundError("join_request_unknown", f"no request {one.hex()} waits")
        detail = {"request": one.hex(), "did": found.did, "why": why}
        events.record(conn, kind="join-refused", at=now_ms, actor=actor, detail=detail)
    settle_requests(conn, ids, "dropped")


def open_proposals(conn: Connection) -> list[bytes]:
    """The signed bytes of next versions that still miss signatures."""
    query = select(proposals.c.signed).where(proposals.c.state == "open")
    return [bytes(row) for row in conn.execute(query.order_by(proposals.c.updated_at)).scalars()]


def put_proposal(
    conn: Connection, digest: bytes, version: int, signed: bytes, state: str, now_ms: int
) -> None:
    """Keep a proposal with the signatures gathered so far; the first time tells an event."""
    known = conn.execute(select(proposals.c.version).where(proposals.c.digest == digest)).first()
    if known is None:
        detail = {"digest": digest.hex(), "version": version}
        events.record(conn, kind="member-list-proposed", at=now_ms, detail=detail)
    values = {
        "digest": digest,
        "version": version,
        "signed": signed,
        "state": state,
        "updated_at": now_ms,
    }
    dialect.upsert(conn, proposals, values, key=["digest"])


def find_proposal(conn: Connection, digest: bytes) -> bytes | None:
    """The signed bytes of the proposal with that payload digest, if it is open."""
    query = select(proposals.c.signed).where(
        proposals.c.digest == digest, proposals.c.state == "open"
    )
    found = conn.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def put_joining(conn: Connection, request: JoinRequest, url: str, now_ms: int) -> None:
    """Remember our own request; an earlier one is forgotten."""
    conn.execute(delete(joining))
    detail = {"request": request.digest.hex(), "url": url}
    events.record(conn, kind="join-asked", at=now_ms, actor=request.node.did, detail=detail)
    conn.execute(
        insert(joining).values(
            id=request.digest,
            url=url,
            network=request.network,
            signed=request.signed,
            sent_at=now_ms,
        )
    )


@dataclass(frozen=True, slots=True)
class Joining:
    """Our own waiting request."""

    id: bytes
    url: str
    network: bytes
    signed: bytes
    sent_at: int


def our_joining(conn: Connection) -> Joining | None:
    """Our own waiting request, if any."""
    row = conn.execute(select(joining)).first()
    if row is None:
        return None
    return Joining(bytes(row.id), row.url, bytes(row.network), bytes(row.signed), row.sent_at)


def put_fork(
    conn: Connection,
    *,
    version: int,
    digest: bytes,
    did: str,
    signed: bytes | None,
    detail: Mapping[str, object],
    now_ms: int,
) -> bool:
    """Record another list, or the claim of one, for a version we hold; True the first time (R4).

    At most `MAX_FORKS` by one node: one proof is enough, and a liar must not fill the disk.
    """
    query = select(forks.c.version).where(forks.c.did == did).limit(MAX_FORKS)
    if len(conn.execute(query).all()) >= MAX_FORKS:
        return False
    values = {"version": version, "digest": digest, "did": did, "signed": signed, "seen_at": now_ms}
    fresh = dialect.insert_or_ignore(conn, forks, values)
    if fresh:
        named = {"code": "member_list_fork", "version": version, "digest": digest.hex()}
        events.record(conn, kind="alarm", at=now_ms, actor=did, detail={**named, **detail})
    return fresh
