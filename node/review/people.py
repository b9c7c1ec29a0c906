"""The persons who decide: a name, and the public key that is that person's alone (R26).

A person whose key is lost or changed is ended and added again under the new key; what an ended key
signed counts no more, and no key ever comes back as somebody else's.
"""

from __future__ import annotations

import unicodedata
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from node.review.tables import review_people
from node.store import events
from protocols import approval
from protocols.approval import Person
from schemas.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from node.runtime import Node

_columns = review_people.c


def require_free(conn: Connection, node: Node, name: str, key: str) -> None:
    """Whether somebody of that name and key can be added.

    Raises MalformedError `reviewer_key_malformed`; ConflictError `reviewer_known`,
    `reviewer_key_taken`: a key of this node or of the member list is no person's.
    """
    public = approval.person_key(key)
    for held in conn.execute(select(review_people)):
        if held.key == key:
            raise ConflictError("reviewer_key_taken", "it is, or was, a reviewer's key")
        if held.ended_at is None and _spelt(held.name) == _spelt(name):
            raise ConflictError("reviewer_known", f"{held.name} is a reviewer")
    if public.thumbprint() in _of_machines(node):
        raise ConflictError("reviewer_key_taken", "it is a key of the network's, not of a person")


def add(
    conn: Connection, node: Node, name: str, key: str, approved: Mapping[str, Any] | None = None
) -> None:
    """A person who may decide from now on; raises as `require_free`.

    approved: by whom, for the event; `approving.add_person` asks for it
    """
    require_free(conn, node, name, key)
    now = node.clock.now_ms()
    values = {"key": key, "name": name, "added_at": now, "ended_at": None}
    conn.execute(insert(review_people).values(**values))
    detail = {"name": name, "key": key, **(approved or {})}
    events.record(conn, kind="reviewer-added", at=now, actor=node.did, detail=detail)


def _spelt(name: str) -> str:
    """Names that a reader takes for one another are one name."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _of_machines(node: Node) -> set[str]:
    members = node.members.current
    listed = (key.public for key in members.keys.values()) if members else ()
    own = (signer.public() for signer in node.keys.own())
    return {key.thumbprint() for keys in (listed, own) for key in keys}


def end(conn: Connection, node: Node, name: str) -> None:
    """The person decides no more; raises NotFoundError `reviewer_unknown`."""
    now = node.clock.now_ms()
    this = update(review_people).where(_columns.name == name, _columns.ended_at.is_(None))
    if conn.execute(this.values(ended_at=now)).rowcount == 0:
        raise NotFoundError("reviewer_unknown", f"{name[:60]} is no reviewer")
    events.record(conn, kind="reviewer-ended", at=now, actor=node.did, detail={"name": name})


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Every person there is or was."""
    rows = conn.execute(select(review_people).order_by(_columns.name, _columns.added_at))
    return [{"name": row.name, "key": row.key, "active": row.ended_at is None} for row in rows]


def widest(conn: Connection) -> int:
    """How many persons there were at one moment, at most: a desk is founded by its first ones.

    Ending persons never makes it less, so nobody founds a desk a second time.
    """
    rows = conn.execute(select(_columns.added_at, _columns.ended_at)).all()
    ends = [(row.ended_at, -1) for row in rows if row.ended_at is not None]
    moments = sorted([*((row.added_at, 1) for row in rows), *ends])
    return max(accumulate(step for _, step in moments), default=0)


def directory(conn: Connection) -> dict[str, Person]:
    """Whose each key is."""
    rows = conn.execute(select(_columns.key, _columns.name, _columns.ended_at))
    return {row.key: Person(row.name, row.ended_at is not None) for row in rows}
