"""fsck of persons' approvals: each by its own key, over what was signed under it (R26)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Row, select

from node.documents.tables import documents
from node.fsck.stored import has, pages
from node.review import people
from node.review.tables import review_applications, review_approvals, review_batches
from node.store.events import events
from protocols import approval
from protocols.approval import APPROVE, ISSUE, ISSUE_BATCH
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context
    from protocols.approval import Person, SignedApproval

#: Events of what is signed under approvals, and the acts those are for.
_ACTS = {
    "issued": frozenset({ISSUE, ISSUE_BATCH}),
    "revoked": frozenset({approval.REVOKE}),
    "suspended": frozenset({approval.SUSPEND}),
    "reinstated": frozenset({approval.REINSTATE}),
    "reviewer-added": frozenset({approval.ADD_PERSON}),
}


def approvals(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-22: approvals used, kept with applications and batches, and named by events."""
    if not has(conn, review_approvals):
        return
    persons = people.directory(conn)
    yield from _used(conn, context, persons)
    yield from _decided(conn, context, persons)
    yield from _batches(conn, context, persons)
    yield from _told(conn, context)


def _used(conn: Connection, context: Context, persons: dict[str, Person]) -> Iterator[str]:
    for row in pages(conn, select(review_approvals)):
        context.examined += 1
        name = f"approval {bytes(row.digest).hex()[:16]}"
        signed, fault = _opened(context, row.signed, persons, row.person)
        if signed is None or fault:
            yield f"{name}: {fault}"
            continue
        said = signed.approval
        inside = (signed.digest, said.subject.act, said.subject.digest, said.decision)
        if inside != (bytes(row.digest), row.act, bytes(row.subject), APPROVE):
            yield f"{name} is not what its row says"


def _decided(conn: Connection, context: Context, persons: dict[str, Person]) -> Iterator[str]:
    """Decisions on applications are the words of those whom they name."""
    columns = review_applications.c
    query = select(columns.n, columns.decisions, columns.payload_digest)
    for n, decisions, payload in pages(conn, query.where(columns.decisions != "[]")):
        context.examined += 1
        for each in orjson.loads(decisions):
            if "approval" not in each:
                continue
            signed, fault = _opened(context, each["approval"], persons, each.get("by"))
            if signed is None or fault:
                yield f"application {n}: {fault}"
            elif signed.approval.subject.digest != bytes(payload):
                yield f"application {n}: a decision is about another document"
            elif signed.approval.decision != each.get("decision"):
                yield f"application {n}: a decision is not what was signed"


def _batches(conn: Connection, context: Context, persons: dict[str, Person]) -> Iterator[str]:
    for row in pages(conn, select(review_batches).where(review_batches.c.approval != "")):
        context.examined += 1
        signed, fault = _opened(context, row.approval, persons, row.signer)
        if signed is None or fault:
            yield f"batch {row.name}: {fault}"
        elif signed.approval.subject != approval.batch_subject(row.name, bytes(row.documents)):
            yield f"batch {row.name}: it was signed with other documents"


def _opened(
    context: Context, text: str, persons: dict[str, Person], name: object
) -> tuple[SignedApproval | None, str]:
    """The approval if its key signed it, and what is wrong with it."""
    try:
        signed = approval.read(text)
    except TradeError as error:
        return None, error.code
    person = persons.get(signed.key)
    if person is None or person.name != name:
        return signed, f"it was not signed by the key of {name}"
    if context.members is not None and signed.approval.network != context.members.network:
        return signed, "it was signed for another network"
    return signed, ""


def _told(conn: Connection, context: Context) -> Iterator[str]:
    """Each document or person that came by approvals has them, over its own digest."""
    query = select(events.c.number, events.c.kind, events.c.document, events.c.detail)
    named = events.c.detail.contains('"approvals":')
    for row in pages(conn, query.where(events.c.kind.in_(_ACTS), named)):
        context.examined += 1
        fault = _fault(conn, row)
        if fault:
            yield f"event {row.number}: {fault}"


def _fault(conn: Connection, event: Row[Any]) -> str:
    detail = strict_json.loads_object(event.detail.encode())
    wanted, needed = detail.get("approvals"), detail.get("approvalsNeeded")
    if not isinstance(wanted, list) or not isinstance(needed, int):
        return "its approvals cannot be read"
    columns = review_approvals.c
    digests = [bytes.fromhex(str(each)) for each in wanted]
    query = select(columns.act, columns.subject, columns.person).where(columns.digest.in_(digests))
    found = conn.execute(query).all()
    if len(found) < len(digests) or len({row.person for row in found}) < needed:
        return "an approval that it was signed under is not here"
    about = event.document
    if event.kind == "issued":
        held = select(documents.c.payload_digest).where(documents.c.digest == event.document)
        about = conn.execute(held).scalar_one_or_none()
    elif event.kind == "reviewer-added":
        about = approval.person_subject(str(detail.get("name")), str(detail.get("key"))).digest
    for row in found:
        other = row.act != ISSUE_BATCH and (about is None or bytes(row.subject) != bytes(about))
        if row.act not in _ACTS[event.kind] or other:
            return "an approval is of another act or document"
    return ""
