"""Which documents carry title, in one place: whose possession is the goods', and of which kind.

A bill of lading (DCSA EBL 3.0.4) does, and the negotiable multimodal document (UNTDID 766), one
document over many legs, where its `legalBasis` names what makes it negotiable: a contract between
all who deal in it, a national law, or the United Nations Convention on Negotiable Cargo Documents
(adopted in December 2025). A sea waybill, a plain master (765) and the notes of its legs never do.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from schemas import strict_json
from schemas.errors import RefusedError
from schemas.fields import flag, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.rules import Document

BILL_OF_LADING, NEGOTIABLE_MULTIMODAL = "bill-of-lading", "negotiable-multimodal-document"
TYPES = (BILL_OF_LADING, NEGOTIABLE_MULTIMODAL)
#: The words of `protocols.title.machine.Bill`.
STRAIGHT, TO_ORDER, BLANK = "straight", "to-order", "blank"
_CODE = "title_not_a_bill"
_NO_BASIS = "title_no_legal_basis"


class LegalBasis(StrEnum):
    """What lets title pass with a document that no law of bills of lading covers."""

    CONTRACT = "contract"
    NATIONAL_LAW = "national law"
    UN_CONVENTION = "UN Convention on Negotiable Cargo Documents"


_BASES = {
    LegalBasis.CONTRACT: re.compile(r"contract: *\S.*", re.IGNORECASE),
    LegalBasis.NATIONAL_LAW: re.compile(r"law: *\S.*", re.IGNORECASE),
    LegalBasis.UN_CONVENTION: re.compile(
        r"(united nations|un) convention on negotiable cargo documents(, .*)?", re.IGNORECASE
    ),
}


def legal_basis(document: Document) -> LegalBasis | None:
    """The basis that `legalBasis` names: ``Contract: …``, ``Law: …`` or the Convention by name."""
    said = text(document, "legalBasis") or ""
    return next((basis for basis, form in _BASES.items() if form.fullmatch(said)), None)


def kind_of(document_type: str, payload: bytes, *, endorsee: bool) -> str:
    """straight | to-order | blank: how the title of that document passes.

    payload: the document's bytes; endorsee: whether a titleholder, or the named consignee of a
    straight document, is given. Raises RefusedError `title_document_not_negotiable`,
    `title_no_legal_basis`, `title_not_a_bill`, or what reading JSON raises.
    """
    reader = _READERS.get(document_type)
    if reader is None:
        raise RefusedError(
            "title_document_not_negotiable", f"a {document_type} never carries title"
        )
    kind = reader(strict_json.loads_object(payload), endorsee)
    if kind == STRAIGHT and not endorsee:
        raise RefusedError(_CODE, "a straight document names its consignee")
    return kind


def _of_bill(document: Document, endorsee: bool) -> str:
    if document.get("transportDocumentStatus") != "ISSUED":
        raise RefusedError(_CODE, "its transportDocumentStatus is not ISSUED")
    if document.get("transportDocumentTypeCode") == "SWB":
        raise RefusedError(_CODE, "a sea waybill carries no title")
    if document.get("isToOrder") is not True:
        return STRAIGHT
    return TO_ORDER if endorsee else BLANK


_BY_WORD = {"STRAIGHT": STRAIGHT, "TO_ORDER": TO_ORDER, "BLANK": BLANK}


def _of_master(document: Document, endorsee: bool) -> str:
    if not flag(document, "negotiable") or legal_basis(document) is None:
        told = "it names no contract, law or convention"
        raise RefusedError(_NO_BASIS, told, pointer="/legalBasis")
    kind = _BY_WORD.get(text(document, "toOrder") or "")
    if kind is None or (kind != STRAIGHT and endorsee != (kind == TO_ORDER)):
        told = "to order it names an endorsee, in blank none"
        raise RefusedError(_CODE, told, pointer="/toOrder")
    return kind


_READERS: Mapping[str, Callable[[Document, bool], str]] = {
    BILL_OF_LADING: _of_bill,
    NEGOTIABLE_MULTIMODAL: _of_master,
}
