"""What the document signer asks before it signs: the approvals of the policy in force (R26).

Called inside the transaction that signs, by whatever door the request came; so a person that was
ended or a policy that was changed a moment before counts. An approval is used once and is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.documents.orders import status_subject, subject_of
from node.review import desk_policy, lanes, people, rows
from node.review.tables import review_approvals
from node.store import dialect
from node.verification.judging import members_of
from protocols import approval
from protocols.approval import Approved, Asked, Subject
from protocols.digest import sha256
from protocols.review import Lane, review
from schemas.errors import ConflictError, ForbiddenError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.documents.issuing import Examined
    from node.runtime import Node


#: From how many persons on nobody joins them unapproved.
PAIR = 2


def asked(conn: Connection, node: Node, subject: Subject) -> Asked:
    """What an approval of that subject has to say now."""
    return Asked(
        network=members_of(node).network,
        subject=subject,
        policy=desk_policy.policy_of(node).version,
        people=people.directory(conn),
        at=node.clock.now(),
    )


def for_issue(conn: Connection, node: Node, examined: Examined) -> dict[str, Any]:
    """What the event of issuing tells about the approvals, which are used now.

    Raises as `approval.require_approvals`; ConflictError `approval_used`; RefusedError
    `review_policy_missing`; ForbiddenError `application_on_hold` for what no person may approve.
    """
    order = examined.order
    needed = _persons(conn, node, examined)
    if not (needed or order.persons or order.approvals):
        return {}
    subject = subject_of(order, examined.type.key, examined.view.number)
    signed = _of_batch(conn, node, order.batch, subject) if order.batch else ()
    # The signature under a batch stands for the person that the review asks for, and for no other.
    needed = max(needed, order.persons - len(signed))
    own = approval.require_approvals(order.approvals, asked(conn, node, subject), needed)
    return _use(conn, (*signed, *own), needed + len(signed), node.clock.now_ms())


def _persons(conn: Connection, node: Node, examined: Examined) -> int:
    """How many persons a policy that binds asks for: by the same lane as in the review."""
    policy = desk_policy.binding(node)
    if policy is None:
        return 0
    findings = (*examined.warnings, *lanes.across(conn, examined))
    around = lanes.circumstances(conn, examined)
    key, digest = examined.type.key, sha256(examined.order.payload)
    reviewed = review(key, examined.view, findings, around, policy, digest)
    if reviewed.lane is Lane.HOLD:
        raise ForbiddenError("application_on_hold", "the rules hold it", findings=reviewed.findings)
    return policy.of(key).persons(reviewed.lane)


def _of_batch(
    conn: Connection, node: Node, batch: tuple[str, int], subject: Subject
) -> tuple[Approved, ...]:
    """The signature under the batch, if this document was signed for at its place."""
    name, place = batch
    held = rows.batch(conn, name)
    items = bytes(held.documents)
    if items[32 * place : 32 * place + 32] != subject.item:
        raise RefusedError("approval_other_subject", f"{name} was signed with another document")
    wanted = asked(conn, node, approval.batch_subject(name, items))
    return approval.require_approvals([held.approval], wanted, 1)


def for_change(
    conn: Connection,
    node: Node,
    act: str,
    document: StoredDocument,
    reason: str,
    texts: Sequence[str],
) -> dict[str, Any]:
    """The same for a change of a document's status; raises as `for_issue`."""
    policy = desk_policy.binding(node)
    needed = policy.of(document.type).acts.get(act, 0) if policy else 0
    if not (needed or texts):
        return {}
    subject = status_subject(act, document.digest, document.type, document.number, reason)
    found = approval.require_approvals(texts, asked(conn, node, subject), needed)
    return _use(conn, found, needed, node.clock.now_ms())


def add_person(conn: Connection, node: Node, name: str, key: str, texts: Sequence[str]) -> None:
    """A person who may decide from now on, approved by those who decide already.

    Where the policy that binds asks for two persons or more, the holder of the operator's token
    cannot make up one of them: as many as it asks for, or as there have been side by side, approve
    a new person or a new key. The first two found the desk. Raises as `people.add`, `for_issue`.
    """
    people.require_free(conn, node, name, key)
    policy, widest = desk_policy.binding(node), people.widest(conn)
    needed = min(policy.most, widest) if policy is not None else 0
    if needed < PAIR:
        needed = 0
    told = {}
    if needed or texts:
        subject = approval.person_subject(name, key)
        found = approval.require_approvals(texts, asked(conn, node, subject), needed)
        told = _use(conn, found, needed, node.clock.now_ms())
    people.add(conn, node, name, key, told)


def _use(conn: Connection, found: Sequence[Approved], needed: int, now_ms: int) -> dict[str, Any]:
    for each in found:
        said = each.signed.approval.subject
        values = {
            "digest": each.signed.digest,
            "act": said.act,
            "subject": said.digest,
            "person": each.person,
            "used_at": now_ms,
            "signed": each.signed.text,
        }
        fresh = dialect.insert_or_ignore(conn, review_approvals, values)
        if not fresh and said.act != approval.ISSUE_BATCH:
            raise ConflictError("approval_used", f"{each.person} approved it for another time")
    return {
        "approvals": [each.signed.digest.hex() for each in found],
        "approvalsNeeded": needed,
    }
