"""Our certificates in UN/CEFACT's words: JSON after the D23B Buy-Ship-Pay schemas.

D23B checks names, not completeness, and has no place for some of what a certificate must say:
origin criterion, quantity and party names in PreferentialCoO, the ePhyto status and the
characteristics of a treatment in SPSCertificate. A mapping therefore always tells what it left
behind; the signed payload stays the truth. The published PreferentialCoO schema carries one sample
code per code list (its only country is DE); codes here are of the full lists of the same release.
Source: UN/CEFACT spec-JSONschema, D23B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas import code_lists
from schemas.fields import DATE, member, pointer, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.strict_json import JsonValue

    Path = tuple[str | int, ...]

AGREEMENTS: Mapping[str, str] = {
    "RCEP_COO": "Regional Comprehensive Economic Partnership Agreement",
    "RCEP_DOO": "Regional Comprehensive Economic Partnership Agreement",
    "ATIGA_D": "ASEAN Trade in Goods Agreement",
    "ACFTA_E": "Agreement on Trade in Goods between ASEAN and China",
}
UNECE = "6"  # UNTDID 3055: the agency of UN/LOCODE
NO_HIERARCHY = "4"  # UNTDID 7075: no packaging hierarchy
MAX_LEFT_BEHIND = 1000

_LINES = ("lineOne", "lineTwo", "lineThree", "lineFour", "lineFive")
_PRODUCT_TEXTS = ("description", "commonName", "scientificName", "intendedUse")
_PRODUCT_MEASURES = ("netWeight", "grossWeight", "netVolume", "grossVolume")


@dataclass(frozen=True, slots=True)
class Mapped:
    """A D23B document, and the JSON pointers into ours of every value it could not carry."""

    document: dict[str, Any]
    left_behind: tuple[str, ...]


class _Source:
    """Our document, which remembers what was taken from it."""

    __slots__ = ("_document", "_taken")

    def __init__(self, document: JsonValue) -> None:
        self._document = document
        self._taken: set[str] = set()

    def text(self, *path: str | int) -> str:
        """The string or whole number at the path as text, "" when absent."""
        value = member(self._document, *path)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return ""
        self._taken.add(pointer(*path))
        return str(value)

    def coded(self, list_id: str, *path: str | int) -> dict[str, str]:
        """A code, where D23B has it in its list; otherwise it is left behind."""
        value = member(self._document, *path)
        return self.content(*path) if code_lists.contains(list_id, value) else {}

    def content(self, *path: str | int) -> dict[str, str]:
        """The text as D23B writes texts and identifiers: {"content": …}."""
        value = self.text(*path)
        return {"content": value} if value else {}

    def contents(self, *path: str | int, limit: int = 1) -> list[dict[str, str]]:
        """One or many texts as D23B writes repeatable ones, most of which may stand once only."""
        if count := self.count(*path):
            return [self.content(*path, at) for at in range(min(count, limit))]
        value = self.content(*path)
        return [value] if value else []

    def measure(self, *path: str | int) -> dict[str, str]:
        """A measure {value, unit} as {"content", "unitCode"}."""
        value, unit = self.text(*path, "value"), self.text(*path, "unit")
        return _present(content=value, unitCode=unit) if value else {}

    def moment(self, *path: str | int) -> str:
        """A date-time; a bare date is written as its first moment in UTC."""
        value = self.text(*path)
        return f"{value}T00:00:00Z" if DATE.match(value) else value

    def count(self, *path: str | int) -> int:
        """How many elements the array at the path has, 0 when there is none."""
        value = member(self._document, *path)
        return len(value) if isinstance(value, list) else 0

    def left_behind(self) -> tuple[str, ...]:
        """The pointers of all values that nobody took."""
        return tuple(
            place
            for place, _, value in walk(self._document)
            if not isinstance(value, dict | list) and place not in self._taken
        )[:MAX_LEFT_BEHIND]


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in ("", {}, [])}


def preferential_certificate_of_origin(document: JsonValue) -> Mapped:
    """PreferentialCoO (864) from our preferential certificate of origin (a parsed payload)."""
    source = _Source(document)
    source.text("documentType")  # D23B says it by the fixed type code
    mapped = {
        "exchangedDocument": _present(
            id=source.content("number"),
            typeCode={"content": "864"},
            issueDateTime=source.moment("issueDate"),
            issuer=_present(id=source.contents("issuer", "did")),
        ),
        "specifiedConsignment": [_origin_consignment(source)],
    }
    return Mapped(mapped, source.left_behind())


def _origin_consignment(source: _Source) -> dict[str, Any]:
    agreement = AGREEMENTS.get(source.text("kind"), "")
    lines = [_origin_line(source, ("goods", at)) for at in range(source.count("goods"))]
    return _present(
        id=source.contents("consignment"),
        consignor=_identified(source, ("parties", "exporter")),
        consignee=_identified(source, ("parties", "consignee")),
        includedConsignmentItem=[{"includedTradeLineItem": lines}] if lines else [],
        applicableCrossBorderRegulatoryProcedure=(
            [{"freeTradeAgreementName": {"content": agreement}}] if agreement else []
        ),
        loadingLogisticsLocation=_port(source, "portOfLoading"),
        unloadingLogisticsLocation=_port(source, "portOfDischarge"),
    )


def _identified(source: _Source, path: Path) -> dict[str, Any]:
    """A party by one identifier, the national one first: PreferentialCoO has no names."""
    registered = source.contents(*path, "identifiers", 0, "value")
    return _present(id=registered or source.contents(*path, "did"))


def _port(source: _Source, name: str) -> dict[str, Any]:
    code = source.content("transport", name)
    return {"id": [{**code, "schemeAgencyId": UNECE}]} if code else {}


def _origin_line(source: _Source, path: Path) -> dict[str, Any]:
    product = _present(
        designatedProductClassification=_classified(source.content(*path, "hs")),
        originTradeCountry=_countries(source.coded("country", *path, "originCountry")),
    )
    return _present(
        specifiedTradeProduct=[product] if product else [],
        physicalReferencedLogisticsPackage=_origin_packages(source, path),
    )


def _classified(code: dict[str, str]) -> list[dict[str, Any]]:
    return [{"classCode": code}] if code else []


def _countries(code: dict[str, str]) -> list[dict[str, Any]]:
    return [{"id": [code]}] if code else []


def _origin_packages(source: _Source, path: Path) -> list[dict[str, Any]]:
    quantity = source.content(*path, "packages", "count")
    if not quantity:
        return []
    marks = source.contents(*path, "marks")
    package = _present(
        itemQuantity=quantity,
        levelCode={"content": NO_HIERARCHY},
        typeCode=source.coded("package", *path, "packages", "packageType"),
        physicalLogisticsShippingMarks=[{"marking": marks}] if marks else [],
    )
    return [package]


def sps_certificate(facts: JsonValue) -> Mapped:
    """SPSCertificate from the facts of an examined certificate (`schemas.sps.examine`)."""
    source = _Source(facts)
    mapped = {
        "exchangedDocument": _sps_document(source),
        "specifiedConsignment": [_sps_consignment(source)],
    }
    return Mapped(mapped, source.left_behind())


def _sps_document(source: _Source) -> dict[str, Any]:
    """Without statusCode: in UNTDID 1373 ePhyto's numbers mean something else, or nothing."""
    return _present(
        id=source.content("number"),
        name=source.contents("name"),
        typeCode=source.coded("document", "typeCode"),
        issueDateTime=source.moment("issuedAt"),
        includedNote=_notes(source, ("notes",)),
        referenceReferencedDocument=[
            _referenced(source, ("documents", at)) for at in range(source.count("documents"))
        ],
        firstSignatoryDocumentAuthentication=_signature(source),
        issuer=_present(name=source.contents("issuer")),
    )


def _notes(source: _Source, path: Path) -> list[dict[str, Any]]:
    return [
        _present(
            subject=source.content(*path, at, "subject"),
            content=source.contents(*path, at, "content"),
        )
        for at in range(source.count(*path))
    ]


def _referenced(source: _Source, path: Path) -> dict[str, Any]:
    return _present(
        id=source.contents(*path, "number"),
        typeCode=source.coded("document", *path, "typeCode"),
        relationshipTypeCode=source.coded("reference", *path, "relationship"),
        information=source.contents(*path, "information"),
    )


def _signature(source: _Source) -> dict[str, Any]:
    officer = source.content("officer")
    provider = _present(
        name=source.contents("authority"),
        specifiedAuthoritativeSignatoryPerson=[{"name": officer}] if officer else [],
    )
    return _present(
        actualDateTime=source.moment("signedAt"),
        issueLogisticsLocation=_present(name=source.contents("place")),
        provider=provider,
    )


def _sps_consignment(source: _Source) -> dict[str, Any]:
    examined = _present(name=source.contents("examinationPlace"))
    return _present(
        consignor=_named(source, "consignor"),
        consignee=_named(source, "consignee"),
        exportTradeCountry=_present(id=_list(source.coded("country", "exportCountry"))),
        importTradeCountry=_present(id=_list(source.coded("country", "importCountry"))),
        transitTradeCountry=[
            {"id": [code]}
            for at in range(source.count("transitCountries"))
            if (code := source.coded("country", "transitCountries", at))
        ],
        unloadingBaseportLogisticsLocation=_present(
            id=source.contents("pointOfEntry", "code"),
            name=source.contents("pointOfEntry", "name"),
        ),
        examinationEvent=[{"occurrenceLogisticsLocation": examined}] if examined else [],
        mainCarriageLogisticsTransportMovement=[
            _movement(source, ("transports", at)) for at in range(source.count("transports"))
        ],
        utilizedLogisticsTransportEquipment=[
            _equipment(source, ("equipment", at)) for at in range(source.count("equipment"))
        ],
        includedConsignmentItem=[_sps_item(source)],
    )


def _list(code: dict[str, str]) -> list[dict[str, str]]:
    return [code] if code else []


def _named(source: _Source, role: str) -> dict[str, Any]:
    count = min(source.count(role, "address"), len(_LINES))
    address = {_LINES[at]: source.content(role, "address", at) for at in range(count)}
    return _present(name=source.contents(role, "name"), postalTradeAddress=address)


def _movement(source: _Source, path: Path) -> dict[str, Any]:
    return _present(
        modeCode=source.coded("transport-mode", *path, "mode"),
        id=source.content(*path, "voyage"),
        usedLogisticsTransportMeans=_present(name=source.content(*path, "name")),
    )


def _equipment(source: _Source, path: Path) -> dict[str, Any]:
    seals = source.contents(*path, "seals", limit=source.count(*path, "seals"))
    return _present(
        id=source.content(*path, "number"),
        affixedLogisticsSeal=[{"id": [seal]} for seal in seals],
    )


def _sps_item(source: _Source) -> dict[str, Any]:
    return _present(
        includedTradeLineItem=[
            _sps_line(source, ("lines", at)) for at in range(source.count("lines"))
        ]
    )


def _sps_line(source: _Source, path: Path) -> dict[str, Any]:
    product: dict[str, Any] = {
        name: said for name in _PRODUCT_TEXTS if (said := source.contents(*path, name))
    }
    for name in _PRODUCT_MEASURES:
        if measure := source.measure(*path, name):
            product[name] = [measure]
    product |= _present(
        designatedProductClassification=_each(source, (*path, "classifications"), _classification),
        originTradeCountry=_each(source, (*path, "origins"), _origin),
    )
    return _present(
        sequenceNumeric=source.contents(*path, "sequence"),
        specifiedTradeProduct=[product] if product else [],
        additionalInformationNote=_notes(source, (*path, "notes")),
        physicalReferencedLogisticsPackage=_each(source, (*path, "packages"), _package),
        appliedProductHandlingProcess=_each(source, (*path, "treatments"), _treatment),
    )


def _each(source: _Source, path: Path, read: Any) -> list[dict[str, Any]]:
    found = [read(source, (*path, at)) for at in range(source.count(*path))]
    return [item for item in found if item]


def _classification(source: _Source, path: Path) -> dict[str, Any]:
    return _present(
        systemName=source.contents(*path, "system"),
        classCode=source.content(*path, "code"),
        className=source.contents(*path, "name"),
    )


def _origin(source: _Source, path: Path) -> dict[str, Any]:
    region = source.contents(*path, "region")
    return _present(
        id=_list(source.coded("country", *path, "country")),
        name=source.contents(*path, "name"),
        subordinateTradeCountrySubDivision=[{"name": region}] if region else [],
    )


def _package(source: _Source, path: Path) -> dict[str, Any]:
    quantity, level = source.content(*path, "quantity"), source.content(*path, "level")
    if not (quantity and level):
        return {}
    kind = source.coded("package", *path, "type")
    return _present(itemQuantity=quantity, levelCode=level, typeCode=kind)


def _treatment(source: _Source, path: Path) -> dict[str, Any]:
    duration = source.measure(*path, "duration")
    period = _present(
        duration=[duration] if duration else [],
        startDateTime=source.moment(*path, "start"),
        endDateTime=source.moment(*path, "end"),
    )
    return _present(completionPeriod=period)
