"""From the documents held here to the answer about an authorisation, now or at a past moment.

Now, every event is judged anew with the status list that is held; of the past, what this node had
verified by then and what it knew of revocations by then counts, so the answer of that moment comes
out again. An answer about the past is for reading: no release asks for it (R25).
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from node.aeo import rows
from node.documents import documents
from protocols import times
from protocols.aeo import TYPE, AeoEvent, Answer, Lane, Query, answer
from protocols.release.reading import standing_of
from schemas import registry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node


def events_of(
    conn: Connection, node: Node, code: str, judged_at: datetime | None
) -> list[AeoEvent]:
    """The decided events of a code. judged_at: the moment of now, to judge them anew; or None."""
    found = []
    for digest, known_ms in rows.known(conn, code):
        stored = documents.get(conn, digest)
        if stored is not None:
            standing = "" if judged_at is None else _standing(conn, node, stored, judged_at)
            found.append(_event(node, stored, times.from_ms(known_ms), standing))
    return found


def _standing(conn: Connection, node: Node, stored: StoredDocument, now: datetime) -> str:
    """ "" when it may be relied on now, else how it stands."""
    from node.release import deciding

    held = deciding.stand(conn, node, stored, now)
    if held is None:
        return "unknown"
    standing = standing_of(held).value
    return "" if standing == "good" else standing


def _event(node: Node, stored: StoredDocument, known_at: datetime, standing: str) -> AeoEvent:
    facts = registry.examine(TYPE, stored.payload).view.facts
    members = node.members.current
    issuer = members.node(stored.issuer) if members else None
    roles = facts.get("roles")
    return AeoEvent(
        code=str(facts["code"]),
        seq=int(str(facts["seq"])),
        status=str(facts["status"]),
        effective=date.fromisoformat(str(facts["effective"])),
        known_at=known_at,
        payload=stored.payload_digest.hex(),
        previous=str(facts.get("prevHash", "")),
        country=issuer.country if issuer else str(facts.get("programmeCountry", "")),
        issuer=stored.issuer,
        authorisation=str(facts.get("authorisation", "NATIONAL")),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        consent=facts.get("consent") is True,
        document=stored.digest.hex(),
        gone_at=times.from_ms(stored.revoked_at) if stored.revoked_at is not None else None,
        standing=standing,
    )


def ask(
    conn: Connection, node: Node, code: str, *, by: str, role: str, at: datetime | None
) -> Answer:
    """The answer for the country `by` in that role: now (at None), or as it was known at `at`."""
    now = node.clock.now()
    moment = at or now
    members = node.members.current
    agreements = members.agreements if members else ()
    events = events_of(conn, node, code, None if at is not None else now)
    return answer(code, events, Query(moment.date(), moment, by, role), agreements)


def ask_all(
    conn: Connection, node: Node, codes: Iterable[str], *, by: str, at: datetime | None = None
) -> list[Answer]:
    """The answer about each authorisation in the country `by`."""
    return [ask(conn, node, code, by=by, role="", at=at) for code in codes]


def codes_of(stored: Iterable[StoredDocument], conn: Connection) -> list[str]:
    """The authorisations of which a consignment brought an event, each once."""
    found = (rows.code_of(conn, each.digest) for each in stored if each.type == TYPE)
    return list(dict.fromkeys(code for code in found if code is not None))


def lanes(
    conn: Connection, node: Node, consignment: str, *, by: str, at: datetime | None = None
) -> tuple[Lane, list[Answer]]:
    """The lane a consignment gets in the country `by`, and the answer about each operator in it.

    One operator with a benefit gives the lane: each authorisation is a benefit of its own.
    """
    stored = documents.find_all(conn, type=TYPE, consignment=consignment)
    codes = codes_of(stored, conn)
    answers = ask_all(conn, node, codes, by=by, at=at)
    benefit = any(each.benefit for each in answers)
    return (Lane.AEO if benefit else Lane.NORMAL), answers


def dependencies(conn: Connection, codes: Iterable[str]) -> list[tuple[str, str]]:
    """Issuer and status lists of every event of these codes, each pair once."""
    pairs: dict[tuple[str, str], None] = {}
    for code in codes:
        for digest, _ in rows.known(conn, code):
            stored = documents.get(conn, digest)
            for url in stored.status_lists if stored else ():
                pairs[(documents.require(conn, digest).issuer, url)] = None
    return list(pairs)
