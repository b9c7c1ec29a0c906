"""fsck of the database itself, member lists, documents, and messages with their receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection, Select, Table, and_, inspect, literal, select, text

from ledger.tables import leaves as leaf_table
from node.documents.documents import stated
from node.documents.tables import documents as document_table
from node.documents.tables import recipients as recipient_table
from node.exchange.tables import inbox, outbox, receipts_issued, receipts_received
from node.fsck import messages
from node.store import dialect
from node.trust.tables import lists as list_table
from protocols import jws, member_list
from protocols.credentials import forms
from protocols.exchange import receipt
from protocols.exchange.manifest import DOCUMENT
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from node.fsck import Context
    from protocols.credentials.credential import CredentialClaims, DocumentFile
    from protocols.exchange.receipt import SignedReceipt
    from protocols.jws import Jws

PAGE = 200
Faults: TypeAlias = Callable[[Connection, "Context", int], Iterator[str]]


def pages(conn: Connection, query: Select[Any]) -> Iterator[Any]:
    """The rows of a query without holding them all."""
    result = conn.execute(query)
    while found := result.fetchmany(PAGE):
        yield from found


def has(conn: Connection, table: Table) -> bool:
    """Whether the table exists in this store."""
    return inspect(conn).has_table(table.name)


def there(conn: Connection, table: Table, **values: Any) -> bool:
    """Whether the table has a row with these values."""
    query = select(literal(1)).select_from(table).filter_by(**values)
    return conn.execute(query.limit(1)).first() is not None


def each(conn: Connection, context: Context, table: Table, faults: Faults) -> Iterator[str]:
    """What `faults` finds in each row of a numbered table, the row named.

    Only numbers are read ahead, so of rows that are large one is held at a time.
    """
    if not has(conn, table):
        return
    query = select(table.c.number).order_by(table.c.number).limit(PAGE)
    page = conn.execute(query).scalars().all()
    while page:
        for one in page:
            context.examined += 1
            try:
                yield from (f"{table.name} {one}: {fault}" for fault in faults(conn, context, one))
            except TradeError as error:
                yield f"{table.name} {one}: it cannot be read: {error.code}"
        page = conn.execute(query.where(table.c.number > page[-1])).scalars().all()


def database(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-09: SQLite's own check. PostgreSQL verifies its pages itself (data checksums)."""
    context.examined = 1
    if dialect.is_sqlite(conn):
        found = conn.execute(text(f"PRAGMA integrity_check({PAGE})")).scalars().all()
        yield from (f"SQLite says: {line}" for line in found if line != "ok")


def load_lists(conn: Connection, context: Context) -> None:
    """Put the stored member lists into the context, as far as they can be opened."""
    if not has(conn, list_table):
        return
    current: member_list.MemberList | None = None
    for signed in conn.execute(
        select(list_table.c.signed).order_by(list_table.c.version)
    ).scalars():
        try:
            current = member_list.open_chain([bytes(signed)], current)
        except TradeError:
            break
        context.lists[current.digest] = current
    context.members = current


def member_lists(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-06: each version follows from the one before and has its stored digest."""
    if not has(conn, list_table):
        return
    current: member_list.MemberList | None = None
    query = select(list_table.c.version, list_table.c.digest, list_table.c.signed)
    for version, digest, signed in pages(conn, query.order_by(list_table.c.version)):
        context.examined += 1
        try:
            current = member_list.open_chain([bytes(signed)], current)
        except TradeError as error:
            yield f"member list version {version}: {error}"
            return
        if (current.version, current.digest) != (version, bytes(digest)):
            yield f"member list version {version} has another version or digest inside"


def contexts(conn: Connection, context: Context) -> Iterator[str]:  # noqa: ARG001 - an area's form
    """FSCK-12: every imported JSON-LD context against the digest it was pinned by."""
    from node.verification.contexts import examine

    for pin, fault in examine(context.home.contexts):
        context.examined += 1
        if fault is not None:
            yield f"context {pin.url}: {fault}"


def documents(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-04: bytes against the digest and all that a row says of them, signature, leaf; to whom
    each went, as the messages tell that carried it."""
    if not has(conn, document_table):
        return
    for row in pages(conn, select(document_table).order_by(document_table.c.n)):
        context.examined += 1
        name = bytes(row.digest).hex()
        try:
            opened = forms.open_file(bytes(row.file))
        except TradeError as error:
            yield f"document {name}: {error.code}"
            continue
        other = _other_columns(opened.claims, opened.file, row)
        if other:
            yield f"document {name} is not what its row says: {', '.join(other)}"
        elif row.verdict in (None, "PASSED") and not _signed(context, opened.jws):
            yield f"document {name}: its signature does not verify"
        if row.leaf is not None and not there(conn, leaf_table, leaf_hash=bytes(row.leaf)):
            yield f"document {name}: its leaf is not in the log"
    if has(conn, recipient_table) and has(conn, outbox):
        yield from _recipients(conn)


def _recipients(conn: Connection) -> Iterator[str]:
    """Who was sent a document and is not known for it would never hear of its revocation (R11)."""
    sent, known = outbox.c, recipient_table.c
    kept = known.digest == sent.document, known.did == sent.peer
    query = (
        select(sent.document, sent.peer)
        .join_from(outbox, document_table, document_table.c.digest == sent.document)
        .outerjoin(recipient_table, and_(*kept))
        .where(sent.type.startswith(DOCUMENT, autoescape=True), known.did.is_(None))
        .distinct()
    )
    for digest, did in pages(conn, query.order_by(sent.document, sent.peer)):
        yield f"document {bytes(digest).hex()}: {did} was sent it and is not among its recipients"


def _other_columns(claims: CredentialClaims, file: DocumentFile, row: Any) -> list[str]:
    """The columns that do not follow from the file; the report's verdict is one of them.

    A consignment that the credential does not name was read from the document itself.
    """
    wanted = stated(claims, file)
    if claims.consignment is None:
        del wanted["consignment"]
    if row.report is not None:
        wanted["verdict"] = strict_json.loads_object(row.report.encode()).get("verdict")
    held = row._mapping  # noqa: SLF001 - a public method of SQLAlchemy rows
    return [name for name, value in wanted.items() if held[name] != value]


def _signed(context: Context, signed: Jws) -> bool:
    """Whether the listed key verifies it; what no list names cannot be told here."""
    key = context.members.key_as_listed(signed.kid) if context.members else None
    if key is None:
        return True
    try:
        jws.verify(signed, key.public)
    except TradeError:
        return False
    return True


def receipts(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-05: manifests, bodies, and both chains of batch receipts with every peer."""
    for table in (inbox, outbox):
        if has(conn, table):
            yield from _messages(conn, context, table)
    for table, ours in ((receipts_issued, True), (receipts_received, False)):
        if has(conn, table):
            yield from _chains(conn, context, table, ours=ours)


def _messages(conn: Connection, context: Context, table: Table) -> Iterator[str]:
    columns = [table.c[name] for name in (*messages.NEEDED, *messages.OWN[table.name])]
    for row in pages(conn, select(*columns).order_by(table.c.n)):
        context.examined += 1
        yield from (f"message {row.id}: {fault}" for fault in messages.faults(conn, table, row))


def _chains(conn: Connection, context: Context, table: Table, *, ours: bool) -> Iterator[str]:
    columns, last = table.c, dict[str, "SignedReceipt"]()
    query = select(columns.peer, columns.seq, columns.digest, columns.receipt)
    if ours:
        query = query.add_columns(columns.leaves)
    for peer, seq, digest, text_, *leaves in pages(conn, query.order_by(columns.peer, columns.seq)):
        context.examined += 1
        name = f"receipt {seq} {'for' if ours else 'of'} {peer}"
        try:
            signed = receipt.read(text_)
            _verify(context, signed, peer, ours=ours)
        except TradeError as error:
            yield f"{name}: {error}"
            continue
        if (signed.digest, signed.receipt.seq) != (bytes(digest), seq):
            yield f"{name} has another digest or number inside"
        if leaves and messages.tree_of(bytes(leaves[0])).root() != signed.receipt.root:
            yield f"{name}: the items kept do not give its root"
        # Received receipts may come out of order or be fetched later: a hole is no damage.
        before = last.get(peer)
        follows = before is None or before.receipt.seq + 1 == seq
        if (before is not None or ours) and follows and not receipt.links(before, signed):
            yield f"{name} does not follow the one before"
        elif ours and not follows:
            yield f"{name}: the one before is missing"
        last[peer] = signed


def _verify(context: Context, signed: SignedReceipt, peer: str, *, ours: bool) -> None:
    if context.members is None:
        return
    us = context.keys.did
    receiver, sender = (us, peer) if ours else (peer, us)
    receipt.verify(
        signed,
        network=context.members.network,
        receiver=receiver,
        sender=sender,
        key=context.members.key,
    )
