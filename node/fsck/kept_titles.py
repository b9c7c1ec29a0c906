"""fsck of the titles kept here: what customs and banks are shown, proven again from what is stored.

A node that neither keeps a registry nor witnesses one has of a title only its newest state, the
proof, the operations and the carrier's manifest; they are checked as on the day they came (R22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, select

from ledger import registry_freezes
from node.documents import documents
from node.fsck.stored import has, pages, there
from node.title import rows
from node.title.following import checksum_of
from node.title.forms import read_signed
from node.title.news import CODE, check_news
from node.title.refusals import may_yet_hold, refusal_code, refused
from node.title.tables import bills, history, submissions, titles
from protocols import jws
from protocols.evm.title_text import is_text
from protocols.fields import Fields
from protocols.title.json_forms import read_state_bytes
from protocols.title.operation import read_manifest, read_operation
from protocols.title.registry_freeze import arbiter_of
from schemas import strict_json
from schemas.errors import RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.fsck import Context
    from protocols.member_list import MemberList
    from protocols.title.machine import Operation
    from protocols.title.operation import SignedOperation
    from protocols.title.registry_freeze import Freezes


def kept_titles(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-07: each state of a registry's title follows from its proof, history and manifest."""
    if not has(conn, titles) or context.members is None:
        return
    ended = registry_freezes.held(conn)
    for row in pages(conn, select(titles).order_by(titles.c.title)):
        if context.members.arbiter(bytes(row.arbiter)) is not None:
            continue  # a chain's: chain_titles
        context.examined += 1
        why = _fault(conn, context, row, ended)
        if why:
            yield f"title {bytes(row.title).hex()}: {why}"
    # What each title stands for, on a chain as well: the carrier's word and the document.
    for row, why in _each(conn, context, select(bills).order_by(bills.c.title), _bill_fault):
        yield f"bill of title {bytes(row.title).hex()}: {why}"
    tried = select(submissions).order_by(submissions.c.created_at)
    for row, why in _each(conn, context, tried, _submission_fault):
        yield f"operation {bytes(row.digest).hex()} handed in: {why}"


def _each(
    conn: Connection,
    context: Context,
    query: Select[Any],
    fault: Callable[[Connection, Context, Any], str],
) -> Iterator[tuple[Any, str]]:
    """The rows that have a fault, each with what is wrong."""
    for row in pages(conn, query):
        context.examined += 1
        try:
            why = fault(conn, context, row)
        except TradeError as error:
            why = str(error)
        if why:
            yield row, why


def _submission_fault(conn: Connection, context: Context, row: Any) -> str:
    """What waits here is handed in as it stands; what became of it, its holder is told."""
    if is_text(row.text):
        operation = _of_chain(context, row.text)
    else:
        signed = read_operation(row.text)
        operation = signed.operation
        # What was never taken may have been signed by anybody.
        if row.status in ("accepted", "final") and not _is_signed(signed, context):
            return "its signature does not verify"
    said = (operation.digest, operation.title, operation.seq, operation.kind.value)
    if said != (bytes(row.digest), bytes(row.title), row.seq, row.kind):
        return "its row is not what was signed"
    if row.refusal is not None:
        told = refused(row.refusal)
        about = (told.context.get("operation"), told.context.get("title"))
        if about != (bytes(row.digest).hex(), bytes(row.title).hex()):
            return "its refusal is of another operation"
        if not _as_refused(row):
            return "its row is not what the refusal says"
    elif row.status not in ("pending", "accepted", "final", "failed"):
        return "it has no state that there is, or its refusal is not here"
    if row.status == "final" and not may_be_forgotten(conn):
        final = {"title": row.title, "seq": row.seq, "digest": row.digest}
        return "" if there(conn, history, **final) else "it is final and not in the history"
    return ""


def _as_refused(row: Any) -> bool:
    """Refused for good with that code; or for now, and handed in again meanwhile perhaps."""
    if row.status == "refused":
        return bool(refusal_code(row.refusal) == row.code)
    return row.status in rows.OPEN and may_yet_hold(row.refusal, row.text)


def may_be_forgotten(conn: Connection) -> bool:
    """Whether a final state may be gone: of an arbiter that ended, or that contradicted itself."""
    return bool(registry_freezes.held(conn)) or bool(registry_freezes.disputes_of(conn))


def _of_chain(context: Context, text: str) -> Operation:
    """A chain's operation, under the newest list here that names its chain."""
    last: TradeError = RefusedError("title_arbiter_unknown", "no list here names a chain")
    for members in sorted(context.lists.values(), key=lambda one: -one.version):
        try:
            return read_signed(text, members)
        except RefusedError as error:
            last = error
    raise last


def _is_signed(signed: SignedOperation, context: Context) -> bool:
    """Whether the listed keys verify it; what no list names any more cannot be told here."""
    assert context.members is not None
    for one in signed.signatures:
        key = context.members.key_as_listed(one.kid)
        if key is not None:
            try:
                jws.verify(one, key.public)
            except TradeError:
                return False
    return True


def _fault(conn: Connection, context: Context, row: Any, ended: Freezes) -> str:
    members = _naming(context, bytes(row.arbiter))
    if members is None:
        return "no member list kept here names its registry"
    try:
        held = read_state_bytes(row.state.encode())
        news = check_news(_told(conn, row), bytes(row.arbiter), members, freezes=ended)
    except TradeError as error:
        return str(error)
    if news.state != held or news.at != row.at:
        return "its proof leads to another state"
    shown = (bytes(row.title), row.seq, row.status)
    if shown != (held.title, held.seq, held.state.value):
        return "its row is not what its state says"
    return _history(conn, held.title)


def _naming(context: Context, arbiter: bytes) -> MemberList | None:
    """The newest list kept here that names the registry."""
    newest_first = sorted(context.lists.values(), key=lambda one: -one.version)
    naming = (
        one for one in newest_first if any(arbiter_of(e).id == arbiter for e in one.registries)
    )
    return next(naming, None)


def _told(conn: Connection, row: Any) -> Fields:
    """What is stored of a title, in the form in which news of it comes."""
    title = bytes(row.title)
    members: dict[str, strict_json.JsonValue] = {
        "proof": strict_json.loads(row.proof.encode()),
        "history": list(rows.texts(conn, title)),
    }
    bill = rows.bill(conn, title)
    if bill is not None:
        members["issuance"] = bill.issuance
    return Fields(members, CODE)


def _history(conn: Connection, title: bytes) -> str:
    query = select(history.c.seq, history.c.digest, history.c.text)
    for seq, digest, text in pages(conn, query.where(history.c.title == title)):
        operation = read_operation(text).operation
        if (operation.seq, operation.digest) != (seq, bytes(digest)):
            return f"operation {seq} of its history is not what its row says"
    return ""


def _bill_fault(conn: Connection, context: Context, row: Any) -> str:
    assert context.members is not None
    signed, manifest = read_manifest(row.issuance)
    key = context.members.key(signed.kid)
    if key is not None:
        jws.verify(signed, key.public)
    said = (manifest.title(), manifest.document_checksum, manifest.reference, manifest.carrier)
    if said != (bytes(row.title), bytes(row.checksum), row.reference, row.carrier):
        return "its row is not what the carrier's manifest says"
    if row.document is not None:
        document = documents.get(conn, bytes(row.document))
        if document is None or checksum_of(document) != manifest.document_checksum:
            return "its document is not here, or is another one"
    return ""
