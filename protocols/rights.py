"""Who may issue what: the member list's rights, and the roles where the list says nothing.

The same rule is asked when a document is issued and when it is verified. Certificates of issuing
bodies need a right in the list, by type and country; what a role issues by its nature (a carrier
its bill of lading) needs one only where the list names rights for that type and country; types
without any role may be issued by every member.

A type is *official* when only authorities and issuing bodies sign it; a trader's invoice, which an
issuing body may pass on too, is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocols.member_list import MemberList
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
