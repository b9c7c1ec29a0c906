"""What is asked about a proof of origin (RCEP 3.16 to 3.22)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.origin.reading import COUNTRY, DIGEST, WORD

if TYPE_CHECKING:
    from schemas.origin.reading import Members

KINDS = frozenset({"certificate", "declaration", "back-to-back", "waived"})
DECLARANTS = frozenset({"approved-exporter", "exporter", "producer", "importer"})
STATUSES = frozenset({"ACTIVE", "SUSPENDED", "WITHDRAWN"})


@dataclass(frozen=True, slots=True)
class ApprovedExporter:
    """An entry of the exporting Party's database (3.21(5)); chapters: () where none are listed."""

    code: str | None
    history: tuple[tuple[date, str], ...]
    until: date | None
    chapters: tuple[str, ...]

    def status(self, on: date) -> str | None:
        """The status on a day: the last change not after it; None before the first."""
        reached = [status for since, status in self.history if since <= on]
        return reached[-1] if reached else None


@dataclass(frozen=True, slots=True)
class Original:
    """The proof a back-to-back proof stands on (3.19)."""

    number: str | None
    issued: date | None
    quantity: Decimal | None
    unit: str | None
    digest: str | None
    certified_true_copy: bool
    back_to_back: bool
    exporting: str | None


@dataclass(frozen=True, slots=True)
class BackToBack:
    """Re-export from an intermediate Party (3.19)."""

    issued_by: str | None
    original: Original
    quantity: Decimal | None
    unit: str | None
    earlier: tuple[Decimal, ...]
    operations: tuple[str, ...]
    labelling_required: bool | None
    valid_until: date | None


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof; days are calendar days (1.2(e)). `digest`: of its credential, where one is named."""

    kind: str
    issued: date | None
    shipped: date | None
    digest: str | None
    marked_retroactive: bool | None
    cause: str | None
    copy_of: date | None
    declared_by: str | None
    exporter: ApprovedExporter | None
    implemented_exporting: bool | None
    implemented_importing: bool | None
    late_cause: str | None
    refund: bool
    customs_value: Decimal | None
    series: bool | None
    back_to_back: BackToBack | None


_NAMES = frozenset(
    {
        "kind",
        "issued",
        "shipped",
        "digest",
        "issuedRetroactively",
        "cause",
        "copyIssued",
        "declaredBy",
        "approvedExporter",
        "exportingPartyImplements",
        "importingPartyImplements",
        "lateCause",
        "refundClaim",
        "customsValue",
        "series",
        "backToBack",
    }
)


def read_proof(members: Members | None) -> Proof | None:
    """The proof of a question; MalformedError `origin_question_malformed`."""
    if members is None:
        return None
    members.only(_NAMES)
    kind = members.choice("kind", KINDS)
    back_to_back = _back_to_back(members.child("backToBack"))
    if (kind == "back-to-back") != (back_to_back is not None):
        raise members.fault("backToBack", "is there for a back-to-back proof and no other")
    if kind == "declaration":
        members.choice("declaredBy", DECLARANTS)
    proof = Proof(
        kind=kind,
        issued=members.day("issued"),
        shipped=members.day("shipped"),
        digest=members.text("digest", DIGEST),
        marked_retroactive=members.flag("issuedRetroactively"),
        cause=members.text("cause"),
        copy_of=members.day("copyIssued"),
        declared_by=members.text("declaredBy"),
        exporter=_exporter(members.child("approvedExporter")),
        implemented_exporting=members.flag("exportingPartyImplements"),
        implemented_importing=members.flag("importingPartyImplements"),
        late_cause=members.text("lateCause"),
        refund=members.flag("refundClaim") is True,
        customs_value=members.amount("customsValue"),
        series=members.flag("series"),
        back_to_back=back_to_back,
    )
    if proof.issued is None and kind != "waived":
        raise members.fault("issued", "a proof has a day of issue or completion")
    return proof


def _exporter(members: Members | None) -> ApprovedExporter | None:
    if members is None:
        return None
    members.only(frozenset({"code", "history", "until", "chapters"}))
    history = members.children("history", _change) or ()
    return ApprovedExporter(
        code=members.text("code", WORD),
        history=tuple(sorted(history, key=lambda change: change[0])),
        until=members.day("until"),
        chapters=members.texts("chapters") or (),
    )


def _change(members: Members) -> tuple[date, str]:
    members.only(frozenset({"from", "status"}))
    since = members.day("from")
    if since is None:
        raise members.fault("from", "a status holds from a day on")
    return since, members.choice("status", STATUSES)


_B2B = frozenset(
    {
        "issuedBy",
        "original",
        "quantity",
        "unit",
        "earlier",
        "operations",
        "labellingRequired",
        "validUntil",
    }
)


def _back_to_back(members: Members | None) -> BackToBack | None:
    if members is None:
        return None
    members.only(_B2B)
    original = members.child("original")
    if original is None:
        raise members.fault("original", "a back-to-back proof stands on an original")
    return BackToBack(
        issued_by=members.text("issuedBy", COUNTRY),
        original=_original(original),
        quantity=members.amount("quantity"),
        unit=members.text("unit", WORD),
        earlier=members.children("earlier", _drawn) or (),
        operations=members.texts("operations") or (),
        labelling_required=members.flag("labellingRequired"),
        valid_until=members.day("validUntil"),
    )


def _drawn(members: Members) -> Decimal:
    members.only(frozenset({"number", "quantity"}))
    members.text("number")
    quantity = members.amount("quantity")
    if quantity is None:
        raise members.fault("quantity", "an earlier proof has a quantity")
    return quantity


_ORIGINAL = frozenset(
    {
        "number",
        "issued",
        "quantity",
        "unit",
        "digest",
        "certifiedTrueCopy",
        "backToBack",
        "exportingParty",
    }
)


def _original(members: Members) -> Original:
    members.only(_ORIGINAL)
    return Original(
        number=members.text("number"),
        issued=members.day("issued"),
        quantity=members.amount("quantity"),
        unit=members.text("unit", WORD),
        digest=members.text("digest", DIGEST),
        certified_true_copy=members.flag("certifiedTrueCopy") is True,
        back_to_back=members.flag("backToBack") is True,
        exporting=members.text("exportingParty", COUNTRY),
    )
