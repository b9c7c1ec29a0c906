"""Goods declaration for importation (UNTDID 929).

Own profile after the WCO Data Model. The rules DCL-… of the export declaration (830) hold here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.documents.export_declaration import DECLARATION_RULES, declaration_view
from schemas.fields import objects, text
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.view import View

TYPE = DocumentType(
    key="import-declaration",
    code="929",
    name_en="Import declaration",
    name_zh="进口报关单",
    media_type="application/json",
    issuer_roles=(
        "issuer",
        "customs",
        "carrier",
        "port",
        "terminal",
        "dry-port",
        "bank",
    ),
    credential_type="ImportDeclarationCredential",
)
RULES = RuleBook(DECLARATION_RULES)
PROOFS = frozenset(
    {
        "preferential-certificate-of-origin",
        "back-to-back-certificate-of-origin",
        "origin-declaration",
    }
)


@RULES.error("IMD-001")
def office_of_the_importing_country(document: Document) -> Iterator[Complaint]:
    """The customs office lies in the importing country."""
    office, country = text(document, "office", "code") or "", text(document, "importCountry") or ""
    if not office.startswith(country):
        yield Complaint("/office/code", "the office is not in the importing country")


@RULES.error("IMD-002")
def preference_rests_on_a_proof(document: Document) -> Iterator[Complaint]:
    """A preference is claimed on a proof of origin (RCEP 3.22(1))."""
    for place, line in objects(document, "goods"):
        kind = text(line, "preference", "proof", "type")
        if kind is not None and kind not in PROOFS:
            yield Complaint(
                f"{place}/preference/proof/type", "this is no proof of origin", {"type": kind}
            )


@RULES.warning("IMD-003")
def names_the_export_declaration(document: Document) -> Iterator[Complaint]:
    """The declaration of the other side is named, so that both can be compared."""
    if text(document, "exportDeclaration", "number") is None:
        yield Complaint("/exportDeclaration", "the export declaration is not named")


def view(document: Document) -> View:
    """The normalised view."""
    return declaration_view(document, TYPE.key)


DOCUMENT = JsonDocument(TYPE, RULES, view)
