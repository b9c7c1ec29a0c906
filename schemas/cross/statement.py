"""What one document says about its consignment, value by value, each with the place it stands at.

Three readers: our own JSON profiles (``common.json``), the DCSA Transport Document, and the SPS
certificates by their facts. A value that a document leaves out is left out here, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas import registry, strict_json
from schemas.fields import objects, pointer, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from schemas.rules import Document
    from schemas.view import View

DCSA = frozenset({"bill-of-lading", "sea-waybill", "negotiable-multimodal-document"})
EXPORTER_ROLES = ("exporter", "shipper", "consignor", "seller")
IMPORTER_ROLES = ("importer", "consignee", "buyer")
_COUNTRIES = {"exportCountry": "export_country", "importCountry": "import_country"}
_PORTS = {"portOfLoading": "port_of_loading", "portOfDischarge": "port_of_discharge"}


@dataclass(frozen=True, slots=True)
class Said:
    """One value as it is compared, and the JSON pointer or XML path where it stands."""

    value: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What a document says. Weights are kilograms as plain decimals, dates RFC 3339 days.

    single: name → value; lists: name → values (containers, hs, marks, origins)
    seals:  container → its seals
    """

    type: str
    number: str
    single: Mapping[str, Said]
    lists: Mapping[str, tuple[Said, ...]]
    seals: Mapping[str, tuple[Said, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people: the type and its number."""
        return f"{self.type} {self.number}"


def statement(key: str, payload: bytes) -> Statement:
    """What a document of type `key` says; raises as `schemas.registry.examine`."""
    view = registry.examine(key, payload).view
    if payload.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return _of_certificate(view)
    document = strict_json.loads_object(payload)
    if "transportDocumentReference" in document:
        return _of_transport_document(view, document)
    return _of_own(view, document)


def _shared(view: View) -> dict[str, Said]:
    """What every view has a place for."""
    named = {
        "gross": None if view.gross_kg is None else _plain(str(view.gross_kg)),
        "net": None if view.net_kg is None else _plain(str(view.net_kg)),
        "packages": None if view.packages is None else str(view.packages),
        "consignment": view.consignment,
        **{name: getattr(view, attribute) for name, attribute in {**_COUNTRIES, **_PORTS}.items()},
    }
    places = {"gross": "gross_kg", "net": "net_kg", **_COUNTRIES, **_PORTS}
    # Where a document has no member for a country, the view reads it from the port.
    ports = {"exportCountry": "port_of_loading", "importCountry": "port_of_discharge"}
    found = {}
    for name, value in named.items():
        if value is not None:
            place = view.pointers.get(places.get(name, name))
            found[name] = Said(value, place or view.pointers.get(ports.get(name, ""), ""))
    return found


def _plain(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _with(found: dict[str, Said], name: str, value: str | None, place: str) -> None:
    if value is not None and name not in found:
        found[name] = Said(value, place)


# -- our own profiles ------------------------------------------------------------------------------


def _of_own(view: View, document: Document) -> Statement:
    single = _shared(view)
    for name, roles in (("exporter", EXPORTER_ROLES), ("importer", IMPORTER_ROLES)):
        for role in roles:
            place = pointer("parties", role, "name")
            _with(single, name, text(document, "parties", role, "name"), place)
    _with(single, "vessel", text(document, "transport", "vessel", "name"), "/transport/vessel/name")
    _with(single, "voyage", text(document, "transport", "voyage"), "/transport/voyage")
    departs = text(document, "transport", "departureDate")
    _with(single, "departure", departs, "/transport/departureDate")
    _with(single, "departure", text(document, "departureDate"), "/departureDate")
    for name in ("actualArrival", "estimatedArrival", "arrivalDate"):
        arrives = text(document, name)
        _with(single, "arrival", arrives[:10] if arrives else None, f"/{name}")
    _with(single, "arrival", text(document, "transport", "arrivalDate"), "/transport/arrivalDate")
    _with(single, "validUntil", text(document, "validUntil"), "/validUntil")
    _money(single, document)
    return Statement(view.type, view.number, single, _own_lists(document), _own_seals(document))


def _money(single: dict[str, Said], document: Document) -> None:
    """Invoice number and amount; an invoice is its own invoice."""
    if text(document, "documentType") == "commercial-invoice":
        _with(single, "invoice", text(document, "number"), "/number")
        amount, currency = text(document, "totalAmount"), text(document, "currency")
    else:
        _with(single, "invoice", text(document, "invoice", "number"), "/invoice/number")
        amount = text(document, "totalAmount", "amount")
        currency = text(document, "totalAmount", "currency")
    if amount is not None and currency is not None:
        _with(single, "amount", f"{_plain(amount)} {currency}", "/totalAmount")


def _own_lists(document: Document) -> dict[str, tuple[Said, ...]]:
    goods = [*objects(document, "goods")]
    listed = [*objects(document, "containers"), *objects(document, "scope", "containers")]
    boxes = ((text(item, "number"), f"{place}/number") for place, item in listed)
    return {
        "containers": _distinct(boxes),
        "hs": _of_lines(goods, "hs"),
        "marks": _of_lines(goods, "marks"),
        "origins": _of_lines(goods, "originCountry"),
    }


def _of_lines(goods: Iterable[tuple[str, Document]], name: str) -> tuple[Said, ...]:
    return _distinct((text(line, name), f"{place}/{name}") for place, line in goods)


def _own_seals(document: Document) -> dict[str, tuple[Said, ...]]:
    found = {}
    for place, item in objects(document, "containers"):
        seals = texts(item, "seals")
        number = text(item, "number")
        if number and seals:
            found[number] = tuple(
                Said(seal, f"{place}/seals/{index}") for index, seal in enumerate(seals)
            )
    return found


def _distinct(values: Iterable[tuple[str | None, str]]) -> tuple[Said, ...]:
    """The values that are said, each with the first place it stands at."""
    found: dict[str, Said] = {}
    for value, place in values:
        if value:
            found.setdefault(value, Said(value, place))
    return tuple(found.values())


# -- the DCSA Transport Document -------------------------------------------------------------------


def _of_transport_document(view: View, document: Document) -> Statement:
    """DCSA EBL 3.0.4. To order, there is no consignee to compare."""
    single = _shared(view)
    parties = {"exporter": "shipper", "importer": "consignee"}
    for name, role in parties.items():
        place = pointer("documentParties", role, "partyName")
        _with(single, name, text(document, "documentParties", role, "partyName"), place)
    for number, (place, leg) in enumerate(objects(document, "transports", "vesselVoyages")):
        if number == 0:
            _with(single, "vessel", text(leg, "vesselName"), f"{place}/vesselName")
            voyage = text(leg, "carrierExportVoyageNumber")
            _with(single, "voyage", voyage, f"{place}/carrierExportVoyageNumber")
    _with(single, "departure", text(document, "shippedOnBoardDate"), "/shippedOnBoardDate")
    for name, member in (("departure", "plannedDepartureDate"), ("arrival", "plannedArrivalDate")):
        _with(single, name, text(document, "transports", member), f"/transports/{member}")
    lists = {
        "containers": _distinct(_boxes(document)),
        "hs": _distinct(_codes(document, ("extendedHSCodes", "HSCodes"), 6)),
        "marks": _distinct(_codes(document, ("shippingMarks",), None)),
    }
    return Statement(view.type, view.number, single, lists, _dcsa_seals(document))


def _boxes(document: Document) -> Iterator[tuple[str | None, str]]:
    for place, item in objects(document, "utilizedTransportEquipments"):
        number = text(item, "equipment", "equipmentReference")
        yield number, f"{place}/equipment/equipmentReference"


def _codes(
    document: Document, names: tuple[str, ...], length: int | None
) -> Iterator[tuple[str, str]]:
    """The first of these lists that a consignment item has, cut to `length` characters."""
    for place, item in objects(document, "consignmentItems"):
        for name in names:
            found = texts(item, name)
            for index, code in enumerate(found):
                yield code[:length], f"{place}/{name}/{index}"
            if found:
                break


def _dcsa_seals(document: Document) -> dict[str, tuple[Said, ...]]:
    found = {}
    for place, item in objects(document, "utilizedTransportEquipments"):
        number = text(item, "equipment", "equipmentReference")
        seals = tuple(
            Said(seal, f"{place}{where}/number")
            for where, one in objects(item, "seals")
            if (seal := text(one, "number"))
        )
        if number and seals:
            found[number] = seals
    return found


# -- SPS certificates ------------------------------------------------------------------------------


def _of_certificate(view: View) -> Statement:
    single = _shared(view)
    base = "/SPSCertificate/SPSConsignment"
    facts: Document = dict(view.facts)
    for name, role, element in (
        ("exporter", "consignor", "ConsignorSPSParty"),
        ("importer", "consignee", "ConsigneeSPSParty"),
    ):
        _with(single, name, view.parties.get(role), f"{base}/{element}/Name")
    for _, leg in objects(facts, "transports"):
        movement = f"{base}/MainCarriageSPSTransportMovement"
        _with(single, "vessel", text(leg, "name"), f"{movement}/UsedSPSTransportMeans/Name")
        _with(single, "voyage", text(leg, "voyage"), f"{movement}/ID")
        break
    equipment = f"{base}/UtilizedSPSTransportEquipment"
    lists = {
        "containers": _distinct((each, f"{equipment}/ID") for each in view.containers),
        "hs": _distinct((each, view.pointers.get("hs", "")) for each in view.hs),
    }
    seals = {
        number: tuple(Said(seal, f"{equipment}/AffixedSPSSeal/ID") for seal in listed)
        for _, item in objects(facts, "equipment")
        if (number := text(item, "number")) and (listed := texts(item, "seals"))
    }
    return Statement(view.type, view.number, single, lists, seals)
