"""What every document type shares: its description, its normalised view, its examination.

The view is computed from the payload and never replaces it; rules, screens and search read the
view (DESIGN §3). `MAPPING_VERSION` names the mapping that computed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from schemas.findings import Finding
    from schemas.strict_json import JsonValue

MAPPING_VERSION = "1"


@dataclass(frozen=True, slots=True)
class DocumentType:
    """One type of document.

    key:             the name used everywhere, e.g. ``bill-of-lading``
    code:            UNTDID 1001, or "" for a type of our own
    media_type:      of the payload
    issuer_roles:    node roles that may issue it, where the member list does not say more exactly
    credential_type: second entry of the credential's ``type``
    """

    key: str
    code: str
    name_en: str
    name_zh: str
    media_type: str
    issuer_roles: tuple[str, ...]
    credential_type: str

    def name(self, lang: str = "en") -> str:
        """The name for people, in English (``en``) or Chinese (``zh``)."""
        return self.name_zh if lang == "zh" else self.name_en


#: The type of a house bill's reference to the bill under which its goods are carried.
MASTER_BILL = "master-bill"


@dataclass(frozen=True, slots=True)
class Reference:
    """Another document this one names; `digest` (hex) where it pins the exact one."""

    type: str
    number: str
    digest: str = ""

    def to_json(self) -> dict[str, str]:
        """Type, number and, where known, digest."""
        pinned = {"digest": self.digest} if self.digest else {}
        return {"type": self.type, "number": self.number, **pinned}


@dataclass(frozen=True, slots=True)
class View:
    """The normalised view common to all types.

    Times are aware and in UTC: a bare date of issue counts from its first moment, a bare date of
    expiry to its last. Countries are ISO 3166-1 alpha-2, ports UN/LOCODE, weights kilograms,
    `hs` the distinct first six digits in order of appearance, `parties` role → name. `facts` are
    the members only this type has. `pointers` says where in the payload a field was read (the
    first place, for sums).
    """

    type: str
    number: str
    issued_at: datetime | None = None
    valid_until: datetime | None = None
    export_country: str | None = None
    import_country: str | None = None
    consignment: str | None = None
    containers: tuple[str, ...] = ()
    packages: int | None = None
    gross_kg: Decimal | None = None
    net_kg: Decimal | None = None
    hs: tuple[str, ...] = ()
    parties: Mapping[str, str] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    port_of_loading: str | None = None
    port_of_discharge: str | None = None
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    pointers: Mapping[str, str] = field(default_factory=dict)
    mapping_version: str = MAPPING_VERSION

    def to_json(self) -> dict[str, Any]:
        """The view as reports and screens show it; absent fields are left out."""
        fields: dict[str, Any] = {
            "type": self.type,
            "number": self.number,
            "issuedAt": self.issued_at.isoformat() if self.issued_at else None,
            "validUntil": self.valid_until.isoformat() if self.valid_until else None,
            "exportCountry": self.export_country,
            "importCountry": self.import_country,
            "consignment": self.consignment,
            "containers": list(self.containers),
            "packages": self.packages,
            "grossKg": _plain(self.gross_kg),
            "netKg": _plain(self.net_kg),
            "hs": list(self.hs),
            "parties": dict(self.parties),
            "references": [reference.to_json() for reference in self.references],
            "portOfLoading": self.port_of_loading,
            "portOfDischarge": self.port_of_discharge,
            "facts": dict(self.facts),
            "mappingVersion": self.mapping_version,
        }
        return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _plain(value: Decimal | None) -> str | None:
    """A decimal without exponent and without superfluous zeros."""
    if value is None:
        return None
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


@dataclass(frozen=True, slots=True)
class Examination:
    """What one document says (view) and what is wrong with it (findings)."""

    view: View
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse the document."""
        return tuple(item for item in self.findings if item.severity is Severity.ERROR)

    @property
    def acceptable(self) -> bool:
        """True when no finding refuses the document; warnings let it pass."""
        return not self.errors
