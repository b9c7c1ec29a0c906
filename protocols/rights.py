"""Who may issue what: the member list's rights, and the roles where the list says nothing.

The same rule is asked when a document is issued and when it is verified. Certificates of issuing
bodies need a right in the list, by type and country; what a role issues by its nature (a carrier
its bill of lading) needs one only where the list names rights for that type and country; types
without any role may be issued by every member.

A type is *official* when only authorities and issuing bodies sign it; a trader's invoice, which an
issuing body may pass on too, is not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from protocols.members.entries import within
from protocols.members.trust import MAX_DELEGATION
from schemas.documents.ship_certificate import TYPE as SHIP_CERTIFICATE
from schemas.documents.ship_certificate.standing import Delegation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocols.member_list import IssuerEntry, MemberList
    from schemas.view import DocumentType

OFFICIAL_ROLES = frozenset({"issuer", "customs", "plant-health"})


def is_official(document_type: DocumentType) -> bool:
    """Whether only authorities and issuing bodies sign this type."""
    roles = document_type.issuer_roles
    return bool(roles) and OFFICIAL_ROLES.issuperset(roles)


def countries_of(
    document_type: DocumentType, home: str, export_country: str | None
) -> tuple[str, ...]:
    """The countries for which a right would cover a document of that type.

    A certificate of an issuing body speaks for the exporting country; other documents for the
    country of the node that signs.
    """
    certifies = is_official(document_type) and "issuer" in document_type.issuer_roles
    return (export_country,) if certifies and export_country else (home,)


def country_of_right(
    members: MemberList,
    did: str,
    document_type: DocumentType,
    *,
    export_country: str | None,
    at: datetime,
) -> str | None:
    """The country for which the member may issue that document at `at`, or None."""
    node = members.node(did)
    if node is None:
        return None
    for country in countries_of(document_type, node.country, export_country):
        if _may_issue(members, did, document_type, country, at):
            return country
    return None


def _may_issue(
    members: MemberList, did: str, document_type: DocumentType, country: str, at: datetime
) -> bool:
    if not document_type.issuer_roles:
        return True
    named = (document_type.key, country)
    if any((entry.document_type, entry.country) == named for entry in members.issuers):
        return members.issuer_entry(did, document_type.key, country, at) is not None
    node = members.node(did)
    by_role = set(document_type.issuer_roles)
    if is_official(document_type):
        by_role -= {"issuer"}
    return node is not None and country == node.country and not by_role.isdisjoint(node.roles)


def administers(members: MemberList, did: str, flag: str, at: datetime) -> bool:
    """Whether the member is the administration of a flag state, by its own right or by its role.

    A right that another member delegated makes nobody an administration.
    """
    listed = [entry for entry in _of_flag(members, flag) if entry.delegated_by is None]
    if listed:
        own = (entry for entry in listed if entry.did == did)
        return any(within(at, entry.valid_from, entry.valid_until) for entry in own)
    node = members.node(did)
    named = any(entry.did == did for entry in _of_flag(members, flag))
    by_role = node is not None and not set(SHIP_CERTIFICATE.issuer_roles).isdisjoint(node.roles)
    return node is not None and node.country == flag and by_role and not named


def delegations(members: MemberList, flag: str) -> tuple[Delegation, ...] | None:
    """What a flag state has delegated to whom, for which ship certificates and when (RO Code).

    Each lies within the rights that it hangs on. None where the list names no right for the flag
    at all: then nobody has told.
    """
    listed = tuple(_of_flag(members, flag))
    if not listed:
        return None
    return tuple(
        found
        for entry in listed
        if entry.delegated_by is not None
        for found in _delegated(listed, entry, MAX_DELEGATION)
    )


def _of_flag(members: MemberList, flag: str) -> Iterator[IssuerEntry]:
    named = (SHIP_CERTIFICATE.key, flag)
    return (one for one in members.issuers if (one.document_type, one.country) == named)


def _delegated(
    listed: tuple[IssuerEntry, ...], entry: IssuerEntry, depth: int
) -> Iterator[Delegation]:
    kinds = frozenset(entry.certificate_types)
    own = Delegation(entry.country, entry.did, kinds, entry.valid_from, entry.valid_until)
    if entry.delegated_by is None:
        yield own
    elif depth:
        for giver in (one for one in listed if one.covers(entry)):
            for given in _delegated(listed, giver, depth - 1):
                ends = [each for each in (own.until, given.until) if each is not None]
                since, until = max(own.since, given.since), min(ends, default=None)
                yield replace(own, since=since, until=until)
