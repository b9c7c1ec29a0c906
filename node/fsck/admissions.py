"""fsck of what is asked and proposed for the next member list, and of the forks seen (R4).

Each is kept as it was signed, beside columns by which it is found. A root signs what these rows
show, so a row must be what its text says. Events tell of each that came, so one that is gone is
seen; requests and proposals are settled, never deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, select

from node.fsck.stored import has, member_lists, pages, there
from node.store.events import events
from node.trust.tables import forks, joining, lists, proposals, requests
from protocols import joining as join_requests
from protocols import jws
from protocols.members import proposal, trust
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
    if has(conn, events):
        yield from _gone(conn)


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


def _gone(conn: Connection) -> Iterator[str]:
    """What events tell that came, and that no row has."""
    kinds = {"join-request": _no_request, "member-list-proposed": _no_proposal, "alarm": _no_fork}
    query = select(events.c.number, events.c.kind, events.c.actor, events.c.detail)
    named = query.where(events.c.kind.in_(kinds)).order_by(events.c.number)
    for row in pages(conn, named):
        try:
            missing = kinds[row.kind](
                conn, row.actor, strict_json.loads_object(row.detail.encode())
            )
        except (TradeError, KeyError, TypeError, ValueError):
            missing = "its detail cannot be read"
        if missing:
            yield f"event {row.number} ({row.kind}): {missing}"
    yield from _not_asked(conn)


def _no_request(conn: Connection, actor: str | None, detail: Mapping[str, Any]) -> str:
    named = bytes.fromhex(detail["request"])
    return "" if there(conn, requests, id=named) else f"the request of {actor} is not here"


def _no_proposal(conn: Connection, _actor: str | None, detail: Mapping[str, Any]) -> str:
    if there(conn, proposals, digest=bytes.fromhex(detail["digest"])):
        return ""
    return f"the proposed version {detail['version']} is not here"


def _no_fork(conn: Connection, actor: str | None, detail: Mapping[str, Any]) -> str:
    if detail.get("code") != "member_list_fork":
        return ""
    digest, version = bytes.fromhex(detail["digest"]), detail["version"]
    if there(conn, forks, version=version, digest=digest, did=actor):
        return ""
    return f"the other version {version} that {actor} showed is not here"


def _not_asked(conn: Connection) -> Iterator[str]:
    """A node in no network that has asked for one waits: without its request it waits for ever."""
    if conn.execute(select(lists.c.version).limit(1)).first() is not None:
        return
    asked = select(events.c.number, events.c.detail).where(events.c.kind == "join-asked")
    newest = conn.execute(asked.order_by(events.c.number.desc()).limit(1)).first()
    if newest is not None and conn.execute(select(joining.c.id).limit(1)).first() is None:
        url = strict_json.loads_object(newest.detail.encode()).get("url")
        yield f"event {newest.number} (join-asked): our request to {url} is not here"
