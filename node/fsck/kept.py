"""fsck of signed status lists, of anchors on chains, and of time-stamps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from ledger import anchors
from ledger.chain_tables import anchors as anchor_table
from node.documents.tables import documents as document_table
from node.documents.tables import status_entries, status_lists, status_versions
from node.fsck.logs import tree_of
from node.fsck.stored import has, pages
from protocols import jws, times, timestamp
from protocols.credentials import forms, status_list
from protocols.digest import sha256
from protocols.evm.anchor_proof import origin_hash
from protocols.evm.calls import Anchored, read_event
from protocols.evm.proof import verify_event
from protocols.log.merkle import Tree
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger.anchors import StoredAnchor
    from node.fsck import Context

STEP = 100


def lists(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-13: every signed status list kept verifies, and ours have the bits that were set."""
    if not has(conn, status_versions):
        return
    for row in pages(conn, select(status_versions)):
        context.examined += 1
        try:
            yield from _version(context, row)
        except TradeError as error:
            yield f"status list {row.url} of {row.valid_from}: {error.code}"
    for row in pages(conn, select(status_lists).order_by(status_lists.c.list)):
        context.examined += 1
        yield from _own(conn, row.list, bytes(row.bits))
        yield from _entries(conn, row)
        yield from (f"own status list {row.list}: {each}" for each in _shown(conn, context, row))


def _version(context: Context, row: Any) -> Iterator[str]:
    parsed, found = status_list.parse_list(row.signed)
    where = f"status list {row.url} of {row.valid_from}"
    if (found.url, times.to_ms(found.valid_from)) != (row.url, row.valid_from):
        yield f"{where} is another one"
    key = context.members.key_as_listed(parsed.kid) if context.members else None
    if key is not None:
        jws.verify(parsed, key.public)


def _own(conn: Connection, name: str, bits: bytes) -> Iterator[str]:
    """A bit that was set and is lost would take a revocation back; one too many would revoke."""
    count = 0
    query = select(status_entries.c.entry).where(
        status_entries.c.list == name, status_entries.c.set_at.is_not(None)
    )
    for (entry,) in pages(conn, query):
        count += 1
        place, bit = divmod(entry, 8)
        if place >= len(bits) or not bits[place] & (0x80 >> bit):
            yield f"own status list {name}: entry {entry} was set and is not"
    standing = int.from_bytes(bits, "big").bit_count()
    if standing > count:
        yield f"own status list {name}: bits set: {standing}, entries: {count}"


def _entries(conn: Connection, row: Any) -> Iterator[str]:
    """Each entry that was given is here and is the document's that names it."""
    c = status_entries.c
    given = conn.execute(select(func.count()).where(c.list == row.list)).scalar_one()
    if given != row.used:
        yield f"own status list {row.list}: entries given: {row.used}, here: {given}"
    suspends = row.purpose == status_list.SUSPENSION
    place = document_table.c.suspension_index if suspends else document_table.c.status_index
    query = (
        select(c.entry, place)
        .outerjoin_from(status_entries, document_table, document_table.c.digest == c.digest)
        .where(c.list == row.list, c.digest.is_not(None))
    )
    for entry, named in pages(conn, query):
        if entry != named:
            yield f"own status list {row.list}: entry {entry} is of no document that names it"


def _shown(conn: Connection, context: Context, row: Any) -> Iterator[str]:
    """What is given to whoever asks is the newest version signed, with the bits as they stand."""
    url = status_list.list_url(context.keys.did, row.list)
    version = status_versions.c
    mine = (version.url == url, version.issuer == context.keys.did)
    newest = conn.execute(
        select(version.valid_from, version.signed).where(*mine).order_by(version.valid_from.desc())
    ).first()
    if row.signed_at != (newest.valid_from if newest else 0):
        yield "it was signed last at another time than its newest version"
    if row.signed is None:
        return  # a bit was changed; it is signed anew when it is asked for
    if newest is None or newest.signed != row.signed:
        yield "what is shown of it is not its newest version"
        return
    if status_list.parse_list(row.signed)[1].bits != bytes(row.bits):
        yield "what is shown of it has other bits"


def chain_anchors(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-14: every anchor is of our log's tree, and a final one's event says so."""
    if not has(conn, anchor_table):
        return
    names = select(anchor_table.c.log).distinct().order_by(anchor_table.c.log)
    for name in conn.execute(names).scalars().all():
        tree, below = tree_of(conn, name), 2**53 - 1
        while found := anchors.page(conn, below, STEP, log=name):
            for anchor in found:
                context.examined += 1
                yield from _anchor(tree, anchor)
            below = found[-1].size


def _anchor(tree: Tree, anchor: StoredAnchor) -> Iterator[str]:
    where = f"anchor of size {anchor.size}"
    if anchor.size > tree.size:
        yield f"{where}: leaves stored: {tree.size}"
    elif tree.root(anchor.size) != anchor.root:
        yield f"{where}: the leaves give another root"
    try:
        if anchor.event is None:
            if anchor.state == anchors.FINAL:
                yield f"{where}: it is final and its proof is lost"
            return
        proven = verify_event(anchor.event, anchor.place.contract)
    except TradeError as error:
        yield f"{where}: {error.code}"
        return
    wanted = Anchored(origin_hash(anchor.origin), anchor.sender, anchor.size, anchor.root)
    if read_event(proven.log) != wanted:
        yield f"{where}: its event tells of another"


def stamps(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-15: every time-stamp kept is over the document that it is named after."""
    for file in stamp_files(context):
        context.examined += 1
        fault = stamp_fault(conn, file)
        if fault is not None:
            yield f"time-stamp {file.name}: {fault}"


def stamp_files(context: Context) -> list[Path]:
    """The files of time-stamps in the home."""
    return sorted(context.home.timestamps.glob("*.tsr"))


def stamp_fault(conn: Connection, file: Path) -> str | None:
    """What is wrong with a kept stamp, or None."""
    try:
        digest = bytes.fromhex(file.stem)
        row = conn.execute(
            select(document_table.c.file).where(document_table.c.digest == digest)
        ).scalar_one_or_none()
        if row is None:
            return "no such document is held"
        stamped = forms.parse_signature(bytes(row)).text.encode("ascii")
        with file.open("rb") as source:
            imprint = timestamp.read(source.read(timestamp.MAX_BYTES)).imprint
    except ValueError:
        return "its name is no digest"
    except OSError as error:
        return str(error.strerror)
    except TradeError as error:
        return error.code
    return None if imprint == sha256(stamped) else "it is over something else"
