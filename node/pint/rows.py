"""The store functions of a platform: synchronous, over a passed connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from ledger.prepared import Prepared
from node.pint.tables import accounts, bills, documents, entries, transfers
from node.store import dialect
from protocols.pint.history import KnownChain
from schemas.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocols.pint.parties import IdentifyingCode

#: States of a transfer that comes in.
ACTIVE, ACCEPTING, RECEIVED = "active", "accepting", "received"
#: Where a bill is: with a party here, at another platform, with its carrier, over.
HERE, SENT, SURRENDERED, ENDED = "here", "sent", "surrendered", "ended"
#: The platform under which documents of this node's own are kept.
OURS = ""
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class StoredBill:
    """One transport document and where it is.

    body: canonical JSON of the document; visualisation: as the manifest announces the carrier's
    picture, where this platform began the chain; state: canonical JSON, see `node.pint.views`;
    report: JSON of the checks when it was last received, empty for a bill that this platform issued
    """

    document: bytes
    reference: str
    carrier: str
    title: bytes | None
    registry: str | None
    issuance: str
    body: str
    visualisation: str | None
    chain: int
    status: str
    state: str
    report: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """One envelope that comes in; see `node.pint.tables`. Times are milliseconds UTC."""

    reference: str
    document: bytes
    entry: bytes
    last: bytes
    platform: str
    envelope: bytes
    state: str
    answer: str | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Account:
    """A party with an account here. did: whose title key acts for it, None without one."""

    name: str
    did: str | None
    active: bool = True


# -- bills and chains --------------------------------------------------------------------------


def bill(conn: Connection, document: bytes) -> StoredBill | None:
    """The bill with that transport document checksum."""
    return _one(conn, select(bills).where(bills.c.document == document))


def bill_of_title(conn: Connection, title: bytes) -> StoredBill | None:
    """The bill that a title stands for."""
    return _one(conn, select(bills).where(bills.c.title == title).limit(1))


def _one(conn: Connection, query: Select[Any]) -> StoredBill | None:
    row = conn.execute(query).one_or_none()
    return None if row is None else StoredBill(**row._asdict())


def bills_page(
    conn: Connection,
    *,
    after: bytes | None = None,
    limit: int = 100,
    reference: str | None = None,
    status: str | None = None,
) -> list[StoredBill]:
    """Bills in order of their checksums, at most min(limit, 500)."""
    query = select(bills).order_by(bills.c.document).limit(min(limit, MAX_PAGE))
    for column, wanted in ((bills.c.reference, reference), (bills.c.status, status)):
        if wanted is not None:
            query = query.where(column == wanted)
    if after is not None:
        query = query.where(bills.c.document > after)
    return [StoredBill(**row._asdict()) for row in conn.execute(query)]


def put_bill(conn: Connection, document: bytes, now_ms: int, **values: Any) -> None:
    """Keep what is known of a bill now: columns of `StoredBill`; those not given stay as they are.

    A new bill needs reference, carrier, issuance and body.
    """
    found = conn.execute(
        update(bills).where(bills.c.document == document).values(**values, updated_at=now_ms)
    )
    if found.rowcount:
        return
    fresh = {"chain": 0, "status": HERE, "state": "{}", "report": ""}
    times = {"created_at": now_ms, "updated_at": now_ms}
    conn.execute(insert(bills).values(document=document, **(fresh | values | times)))


def add_bill(conn: Connection, document: bytes, now_ms: int, **values: Any) -> bool:
    """Keep a bill that nothing was known of, with all columns; False when something is."""
    times = {"created_at": now_ms, "updated_at": now_ms}
    return dialect.insert_or_ignore(
        conn, bills, {"document": document, "chain": 0, **values, **times}
    )


def add_entries(
    conn: Connection, document: bytes, texts: Sequence[str], accepted: int, now_ms: int
) -> None:
    """The chain of a bill that was just added; accepted: the place of the accepted entry."""
    _ENTRY.run_all(
        conn,
        [
            {"document": document, "chain": 0, "place": place, "text": text,
             "accepted": place == accepted, "at": now_ms}
            for place, text in enumerate(texts)
        ],
    )  # fmt: skip


_ENTRY = Prepared(insert(entries), ("document", "chain", "place", "text", "accepted", "at"))
_PLACE = Prepared(
    select(bills.c.chain, bills.c.status).where(bills.c.document == bindparam("document"))
)
_CHAIN = Prepared(
    select(entries.c.text, entries.c.accepted)
    .where(entries.c.document == bindparam("document"), entries.c.chain == bindparam("chain"))
    .order_by(entries.c.place)
)


def known_chain(conn: Connection, document: bytes) -> KnownChain | None:
    """The longest chain of a bill that was accepted or made here; None for an unknown bill.

    ended: the chain ends with SACC; a new one may begin then.
    """
    held = _PLACE.rows(conn, {"document": document})
    if not held:
        return None
    ((chain, status),) = held
    found = _CHAIN.rows(conn, {"document": document, "chain": chain})
    accepted = frozenset(place for place, (_, accepted) in enumerate(found) if accepted)
    return KnownChain(tuple(text for text, _ in found), accepted, status == ENDED)


def keep_chain(
    conn: Connection,
    document: bytes,
    texts: Sequence[str],
    now_ms: int,
    *,
    accepted: Collection[int] = (),
) -> None:
    """Keep a chain whose bill is in `bills`, byte for byte; it goes on from what is known.

    accepted: the places of entries with which envelopes were accepted here, kept for ever. Raises
    ConflictError `pint_chain_conflict` when another chain is known: nothing is kept then. After an
    end (status `ended`) another first entry begins a new chain.
    """
    known, held = known_chain(conn, document), bill(conn, document)
    assert held is not None
    assert known is not None
    shared = min(len(known.texts), len(texts))
    number, start = held.chain, len(known.texts)
    if known.texts[:shared] != tuple(texts[:shared]):
        if not known.ended or known.texts[0] == texts[0]:
            raise ConflictError("pint_chain_conflict", "another chain of this bill is known here")
        number, start = held.chain + 1, 0
        put_bill(conn, document, now_ms, chain=number)
    new = [
        {"document": document, "chain": number, "place": place, "text": text,
         "accepted": False, "at": now_ms}
        for place, text in enumerate(texts[start:], start)
    ]  # fmt: skip
    if new:
        conn.execute(insert(entries), new)
    if accepted:
        conn.execute(
            update(entries)
            .where(
                entries.c.document == document,
                entries.c.chain == number,
                entries.c.place.in_(accepted),
            )
            .values(accepted=True)
        )


# -- transfers that come in --------------------------------------------------------------------


def transfer(conn: Connection, reference: str) -> Transfer | None:
    """The transfer with that envelope reference."""
    return _transfer(conn, transfers.c.reference == reference)


def transfer_of(conn: Connection, document: bytes, entry: bytes) -> Transfer | None:
    """The transfer of that bill with that last entry, by the entry's payload."""
    return _transfer(conn, and_(transfers.c.document == document, transfers.c.entry == entry))


def _transfer(conn: Connection, where: Any) -> Transfer | None:
    row = conn.execute(select(transfers).where(where)).one_or_none()
    return None if row is None else Transfer(**row._asdict())


def put_transfer(conn: Connection, transfer: Mapping[str, Any], now_ms: int) -> Transfer:
    """Begin a transfer, or take its newer envelope; one that is received stays as it is."""
    held = transfer_of(conn, transfer["document"], transfer["entry"])
    if held is None:
        values = {**transfer, "created_at": now_ms, "updated_at": now_ms}
        conn.execute(insert(transfers).values(**values))
    elif held.state != RECEIVED:
        changed = {name: transfer[name] for name in ("last", "envelope", "state")}
        conn.execute(
            update(transfers)
            .where(transfers.c.reference == held.reference)
            .values(**changed, updated_at=now_ms)
        )
    found = transfer_of(conn, transfer["document"], transfer["entry"])
    assert found is not None
    return found


def put_received(conn: Connection, transfer: Mapping[str, Any], now_ms: int) -> None:
    """A transfer that came to its end, whether it was begun before or came whole."""
    values = {**transfer, "created_at": now_ms, "updated_at": now_ms}
    if dialect.insert_or_ignore(conn, transfers, values):
        return
    changed = {name: transfer[name] for name in ("last", "envelope", "state", "answer")}
    conn.execute(
        update(transfers)
        .where(transfers.c.document == transfer["document"], transfers.c.entry == transfer["entry"])
        .values(**changed, updated_at=now_ms)
    )


def settle(conn: Connection, reference: str, state: str, now_ms: int, answer: str | None) -> None:
    """Where a transfer stands now; answer: what was signed, to be given again."""
    conn.execute(
        update(transfers)
        .where(transfers.c.reference == reference)
        .values(state=state, answer=answer, updated_at=now_ms)
    )


def drop_transfer(conn: Connection, reference: str) -> None:
    """A transfer that was refused is over; its documents stay for the next try (PINT 3.0.0)."""
    conn.execute(
        delete(transfers).where(transfers.c.reference == reference, transfers.c.state != RECEIVED)
    )


def open_transfers(conn: Connection, limit: int = MAX_PAGE) -> list[Transfer]:
    """Transfers that are not finished, the youngest first."""
    query = select(transfers).where(transfers.c.state != RECEIVED)
    found = conn.execute(query.order_by(transfers.c.updated_at.desc()).limit(limit))
    return [Transfer(**row._asdict()) for row in found]


def received_of(conn: Connection, document: bytes, limit: int = MAX_PAGE) -> list[Transfer]:
    """The transfers with which a bill, or a notice of it, came here, first to last."""
    query = select(transfers).where(transfers.c.document == document, transfers.c.state == RECEIVED)
    found = conn.execute(query.order_by(transfers.c.updated_at).limit(limit))
    return [Transfer(**row._asdict()) for row in found]


def unsettled(conn: Connection, before_ms: int, limit: int) -> list[Transfer]:
    """Transfers that were being accepted and not looked at since, the longest waiting first."""
    query = select(transfers).where(
        transfers.c.state == ACCEPTING, transfers.c.updated_at < before_ms
    )
    rows = conn.execute(query.order_by(transfers.c.updated_at).limit(limit))
    return [Transfer(**row._asdict()) for row in rows]


def lapse(conn: Connection, before_ms: int) -> int:
    """Forget transfers whose sender never went on, and documents that no bill here has use for."""
    gone = conn.execute(
        delete(transfers).where(transfers.c.state == ACTIVE, transfers.c.updated_at < before_ms)
    )
    if gone.rowcount:
        wanted = select(transfers.c.document).union(select(bills.c.document))
        conn.execute(
            delete(documents).where(
                documents.c.platform != OURS,
                documents.c.received_at < before_ms,
                documents.c.document.not_in(wanted),
            )
        )
    return gone.rowcount


def active_of(conn: Connection, platform: str) -> int:
    """How many transfers of one platform are not finished."""
    query = select(func.count()).where(
        transfers.c.platform == platform, transfers.c.state != RECEIVED
    )
    return int(conn.execute(query).scalar_one())


# -- additional documents ----------------------------------------------------------------------


def held_documents(conn: Connection, document: bytes, platform: str) -> frozenset[bytes]:
    """The checksums of a bill's documents that this platform sent (R12: nobody else's count)."""
    query = select(documents.c.checksum).where(
        documents.c.document == document, documents.c.platform == platform
    )
    return frozenset(bytes(checksum) for checksum in conn.execute(query).scalars())


def put_document(
    conn: Connection, document: bytes, platform: str, checksum: bytes, content: bytes, now_ms: int
) -> bool:
    """Keep an additional document; False when it was here."""
    values = {
        "document": document,
        "platform": platform,
        "checksum": checksum,
        "size": len(content),
        "content": content,
        "received_at": now_ms,
    }
    return dialect.insert_or_ignore(conn, documents, values)


def document_content(
    conn: Connection, document: bytes, checksum: bytes, platforms: Iterable[str] | None = None
) -> bytes | None:
    """An additional document, from any platform or from those named."""
    query = select(documents.c.content).where(
        documents.c.document == document, documents.c.checksum == checksum
    )
    if platforms is not None:
        query = query.where(documents.c.platform.in_(list(platforms)))
    content = conn.execute(query.limit(1)).scalar_one_or_none()
    return None if content is None else bytes(content)


# -- accounts ----------------------------------------------------------------------------------


def put_account(conn: Connection, code: IdentifyingCode, account: Account, now_ms: int) -> None:
    """Let a code name a party that has, or had, an account here."""
    values = {
        "provider": code.provider,
        "list": code.list_name or "",
        "code": code.code,
        "name": account.name,
        "did": account.did,
        "active": account.active,
        "updated_at": now_ms,
    }
    dialect.upsert(conn, accounts, values, key=["provider", "list", "code"])


_ACCOUNTS = Prepared(
    select(accounts.c.list, accounts.c.name, accounts.c.did, accounts.c.active)
    .where(accounts.c.provider == bindparam("provider"), accounts.c.code == bindparam("code"))
    .limit(MAX_PAGE)
)


def accounts_named(conn: Connection, codes: Iterable[IdentifyingCode]) -> list[Account]:
    """The accounts that any of the codes names; a code without a list's name may mean any list."""
    found = [
        Account(name, did, bool(active))
        for code in codes
        for kept, name, did, active in _ACCOUNTS.rows(
            conn, {"provider": code.provider, "code": code.code}
        )
        if code.list_name is None or kept in (code.list_name, "")
    ]
    return list(dict.fromkeys(found))


def accounts_page(conn: Connection) -> list[dict[str, Any]]:
    """All accounts that the operator added."""
    query = select(accounts).order_by(accounts.c.provider, accounts.c.code).limit(MAX_PAGE)
    # A column's name may be a kind of str that orjson does not write.
    return [{str(name): it for name, it in row._asdict().items()} for row in conn.execute(query)]
