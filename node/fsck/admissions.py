"""fsck of what is asked and proposed for the next member list, and of the forks seen (R4).

Each is kept as it was signed, beside columns by which it is found. A root signs what these rows
show, so a row must be what its text says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, select

from node.fsck.stored import has, member_lists, pages
from node.trust.tables import forks, joining, proposals, requests
from protocols import joining as join_requests
from protocols import jws
from protocols.members import proposal, trust
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.fsck import Context


def lists_and_admissions(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-06: lists, proposals, requests of others and our own, other lists that were shown."""
    yield from member_lists(conn, context)
    for table, fault in (
        (proposals, _proposal),
        (requests, _request),
        (joining, _own),
        (forks, _fork),
    ):
        if has(conn, table):
            yield from _each(conn, context, table, fault)


def _each(
    conn: Connection, context: Context, table: Table, fault: Callable[[Context, Any], str]
) -> Iterator[str]:
    for row in pages(conn, select(table)):
        context.examined += 1
        try:
            found = fault(context, row)
        except TradeError as error:
            found = f"what was signed cannot be read: {error.code}"
        if found:
            key = row[0].hex() if isinstance(row[0], bytes) else row[0]
            yield f"{table.name} {key}: {found}"


def _proposal(context: Context, row: Any) -> str:
    opened = proposal.read(bytes(row.signed))
    if (opened.digest, opened.members.version) != (bytes(row.digest), row.version):
        return "its row is not what was proposed"
    if row.state not in ("open", "published", "obsolete"):
        return "it has no state that there is"
    newest = context.members.version if context.members is not None else 0
    if row.state != "open" and row.version > newest:
        return "its version is settled and not here"
    if row.state == "published" and opened.digest not in context.lists:
        return "it was published and is not the version here"
    before = context.lists.get(opened.members.previous or b"")
    if before is None:
        return ""
    standing = proposal.standing(opened, before)
    enough = standing.complete if row.state == "published" else standing.begun
    return "" if enough else "the roots' signatures that it was kept for do not verify"


def _request(_context: Context, row: Any) -> str:
    request = _read(bytes(row.signed))
    if (request.digest, request.node.did) != (bytes(row.id), row.did):
        return "its row is not what was asked"
    if row.state not in ("pending", "admitted", "dropped"):
        return "it has no state that there is"
    return ""


def _own(context: Context, row: Any) -> str:
    request = _read(bytes(row.signed))
    if (request.digest, request.network) != (bytes(row.id), bytes(row.network)):
        return "its row is not what we asked"
    return "" if request.node.did == context.keys.did else "it is another node's"


def _read(signed: bytes) -> join_requests.JoinRequest:
    # Whether plain addresses are allowed was looked at when it came, by the list of that day.
    return join_requests.read(signed, test=True)


def _fork(_context: Context, row: Any) -> str:
    if row.signed is None:
        return ""
    envelope = jws.parse_multi(bytes(row.signed), typ=trust.TYP, max_bytes=trust.MAX_BYTES)
    if envelope.payload_digest != bytes(row.digest):
        return "it is another list than its row says"
    return ""
