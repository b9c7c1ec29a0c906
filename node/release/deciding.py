"""Deciding a release over what this node holds, inside the caller's transaction.

Every document of the consignment is verified anew at the moment of the decision, with the status
list that is held; nothing rests on an older report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.aeo.history import lanes
from node.documents import documents
from node.gate import rows as gate_rows
from node.release import rows
from node.verification import judging
from node.verification.rows import known_statuses
from protocols import times
from protocols.release.conditions import decide as decide_purely
from protocols.release.facts import Standing, TitleFact
from protocols.release.reading import (
    TRANSPORT_TYPES,
    Held,
    masters_of,
    read_facts,
    relevant_types,
    standing_of,
)
from protocols.release.rules import rules_for
from protocols.title.machine import ACCOUNT, Ending, Kind, State
from schemas import registry
from schemas.errors import (
    ConflictError,
    NotFoundError,
    SettingsError,
    TooLargeError,
    TradeError,
)
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.release.rows import StoredOrder
    from node.runtime import Node
    from node.title.rows import StoredTitle
    from protocols.member_list import MemberList
    from protocols.release.conditions import Decision
    from protocols.release.rules import CountryRules
    from protocols.title.machine import Party, TitleState
    from schemas.view import View

MAX_CONTAINERS = 200
MAX_MASTERS = 50


def rules_of(node: Node, at: datetime) -> CountryRules:
    """The release rules of this node's country; raises SettingsError `country_not_set`."""
    country = judging.country_of(node)
    if not country:
        raise SettingsError("country_not_set", "the node has no country", pointer="/node/country")
    return rules_for(country, at)


def decide(
    conn: Connection, node: Node, container: str, consignment: str, at: datetime
) -> Decision:
    """The decision on one container now; raises RefusedError `release_rules_missing`."""
    members = judging.members_of(node)
    rules = rules_of(node, at)
    types = relevant_types(rules)
    stored = [
        each for each in documents.find_all(conn, consignment=consignment) if each.type in types
    ]
    above = _masters(conn, stored)
    orders = _orders(conn, container, consignment)
    links, revoked = gate_rows.links(conn, members, consignment, container)
    _, operators = lanes(conn, node, consignment, by=rules.country)
    used = [order for order in orders if order.used_at is not None]
    facts = read_facts(
        [held for each in stored if (held := stand(conn, node, each, at)) is not None],
        container=container,
        consignment=consignment,
        members=members,
        at=at,
        country=rules.country,
        masters=[held for each in above if (held := stand(conn, node, each, at)) is not None],
        titles=tuple(_titles(conn, [*stored, *above], members)),
        used_orders=frozenset(each.delivery_order.hex() for each in used if each.delivery_order),
        gate_out=times.from_ms(used[-1].used_at) if used and used[-1].used_at else None,
        links=tuple(links),
        revoked_links=revoked,
        operators=tuple((each.code, each.benefit) for each in operators),
    )
    return decide_purely(facts, rules, at)


def stand(conn: Connection, node: Node, stored: StoredDocument, at: datetime) -> Held | None:
    """A stored document with its report of now; None when it was never good here.

    A document that is quarantined (INDETERMINATE from the start) is no fact yet, unless nothing
    but its status is unknown, or it is suspended: an authority's hold counts whether or not its
    list can be had.
    """
    lists = known_statuses(conn, node.did, stored.issuer, stored.status_lists)
    case = judging.case_of(node, stored.file, at)
    case.max_status_age = node.documents.max_status_age
    judged = judging.judge(case, lists)
    if judged.document is None:
        return None
    held = Held(judged.document, judged.report, judged.verified)
    for_now = standing_of(held) in (Standing.STALE, Standing.SUSPENDED)
    if stored.verdict == Outcome.INDETERMINATE.value and not for_now:
        return None
    return held


def _view(stored: StoredDocument) -> View | None:
    """What the document says; None of one that cannot be read, which is no fact either."""
    try:
        return registry.examine(stored.type, stored.payload).view
    except TradeError:
        return None


def _views(conn: Connection, consignment: str) -> list[View]:
    found = documents.of_types(conn, TRANSPORT_TYPES, consignment=consignment)
    return [view for each in found if (view := _view(each)) is not None]


def _orders(conn: Connection, container: str, consignment: str) -> list[StoredOrder]:
    """The orders of the container here, and under a house bill's or its master's consignment.

    What left under one of them is gone for the others too: nobody gets the goods twice.
    """
    found = rows.orders(conn, container=container)
    kin = {consignment}
    others = {each.consignment for each in found if each.used_at is not None} - kin
    if others:
        named, known = _numbers(conn, consignment)
        for other in others:
            theirs, held = _numbers(conn, other)
            if named & held or theirs & known:
                kin.add(other)
    return [each for each in found if each.consignment in kin]


def _numbers(conn: Connection, consignment: str) -> tuple[set[str], set[str]]:
    """The master bills that bills of the consignment name; these, and the bills' own numbers."""
    views = _views(conn, consignment)
    named = {number for view in views for number in masters_of(view)}
    return named, named | {view.number for view in views}


def _masters(conn: Connection, stored: Iterable[StoredDocument]) -> list[StoredDocument]:
    """The transport documents of other consignments that house bills here name, and theirs above.

    Raises TooLargeError `documents_too_many`: what is decided on must not depend on who came first.
    """
    waiting = [each for each in stored if each.type in TRANSPORT_TYPES]
    known = {each.digest for each in waiting}
    found: list[StoredDocument] = []
    asked: set[str] = set()
    while waiting:
        view = _view(waiting.pop())
        for number in set(masters_of(view) if view is not None else ()) - asked:
            asked.add(number)
            named = documents.of_types(conn, TRANSPORT_TYPES, number=number)
            fresh = [each for each in named if each.digest not in known]
            known |= {each.digest for each in fresh}
            found, waiting = found + fresh, waiting + fresh
            if len(found) > MAX_MASTERS or len(asked) > MAX_MASTERS:
                raise TooLargeError("documents_too_many", f"more than {MAX_MASTERS} master bills")
    return found


def _titles(conn: Connection, stored: list[StoredDocument], members: MemberList) -> list[TitleFact]:
    """Where the bills' titles stand: final states only (R21), and all there are (R19)."""
    from node.title import rows as title_rows

    return [
        _title_fact(bill.digest.hex(), found.state, members, final=_undisputed(conn, found))
        for bill in stored
        if bill.type in TRANSPORT_TYPES
        for found in title_rows.all_of_document(conn, bill.digest)
    ]


def _undisputed(conn: Connection, found: StoredTitle) -> bool:
    """A title of which two histories were shown has no final state to release on (R21)."""
    from ledger import registry_freezes

    return registry_freezes.disputed(conn, found.title, found.arbiter) is None


def _title_fact(document: str, state: TitleState, members: MemberList, *, final: bool) -> TitleFact:
    holder = state.surrendered_by or state.possessor
    return TitleFact(
        document=document,
        state=told_state(state),
        holder=name_of(holder, members) if holder else "",
        # On a chain a holder may be a bare account until its statement comes: nobody to release to.
        final=final and not (holder and holder.did.startswith(ACCOUNT)),
        proof=state.title.hex(),
    )


def told_state(state: TitleState) -> str:
    """The state as far as delivery is concerned: only a surrender *for delivery* counts."""
    if state.state is State.ENDED and state.ending is not Ending.DELIVERED:
        return f"ENDED {state.ending.value}" if state.ending else "ENDED ?"
    for_delivery = state.purpose in (None, Kind.SURRENDER_FOR_DELIVERY)
    if state.state in (State.SURRENDERED, State.ACCEPTED) and not for_delivery:
        return f"{state.state.value} for amendment"
    return state.state.value


def name_of(party: Party, members: MemberList) -> str:
    """A party's name in the list, else its DID."""
    entry = members.party(party.did) or members.node(party.did)
    return entry.name if entry else party.did


def consignment_of(conn: Connection, container: str) -> str:
    """The one consignment whose transport documents name the container.

    Raises NotFoundError `container_unknown`, ConflictError `container_ambiguous`.
    """
    found: set[str] = set()
    for kind in sorted(TRANSPORT_TYPES):
        for stored in documents.find_all(conn, type=kind):
            if (
                stored.consignment
                and container in registry.examine(kind, stored.payload).view.containers
            ):
                found.add(stored.consignment)
    if not found:
        raise NotFoundError("container_unknown", "no transport document here names it")
    if len(found) > 1:
        raise ConflictError("container_ambiguous", ", ".join(sorted(found)))
    return found.pop()


def containers_of(conn: Connection, consignment: str) -> list[str]:
    """The containers that the consignment's transport documents name, each once.

    Raises NotFoundError `container_unknown`.
    """
    found: dict[str, None] = {}
    for stored in documents.find_all(conn, consignment=consignment):
        if stored.type in TRANSPORT_TYPES:
            view = registry.examine(stored.type, stored.payload).view
            found |= dict.fromkeys(view.containers)
    if not found:
        raise NotFoundError("container_unknown", "no transport document here names one")
    return list(found)[:MAX_CONTAINERS]


def dependencies(conn: Connection, consignment: str) -> list[tuple[str, str]]:
    """Issuer and status lists of what a decision looks at, each pair once."""
    stored = documents.find_all(conn, consignment=consignment)
    known = (*stored, *_masters(conn, stored))
    pairs = ((each.issuer, url) for each in known for url in each.status_lists)
    return list(dict.fromkeys(pairs))


def beside(conn: Connection, consignment: str) -> list[tuple[str, str]]:
    """Containers of the consignment of which an outcome was told under another one, and that one.

    A house bill and its master may be of two consignments, and either decision looks at both.
    """
    if not rows.any_told_elsewhere(conn, consignment):
        return []
    boxes = {box for view in _views(conn, consignment) for box in view.containers}
    return rows.told_elsewhere(conn, consignment, boxes)
