"""One data set, two declarations: export (830) and import (929) drawn from the same signed papers.

The data set is named by one digest over its papers (type, number, credential digest), whichever
side draws from it. Every member of a declaration is taken from a paper and says from which, so the
import side can show that it declared what the export side did. What differs is the filing: number,
office, procedure, declarant, and at import the preference that is claimed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas import strict_json
from schemas.errors import RefusedError
from schemas.fields import decimal, member, objects, pointer, text, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

EXPORT, IMPORT = "export-declaration", "import-declaration"
INVOICE, PACKING = "commercial-invoice", "packing-list"
NOTES = ("rail-consignment-note", "sea-waybill", "bill-of-lading", "master-transport-document")
PROOFS = ("preferential-certificate-of-origin", "back-to-back-certificate-of-origin")
ORIGINS = (*PROOFS, "certificate-of-origin")
#: The papers a data set is made of, in the order in which they are asked.
SOURCES = (INVOICE, PACKING, *NOTES, *ORIGINS)
_LINE = ("description", "hs", "hsEdition", "packages", "netWeight", "grossWeight", "quantity")
_NEEDED = (*_LINE, "originCountry", "value")


@dataclass(frozen=True, slots=True)
class Source:
    """A signed paper of the data set: its credential's digest (hex) and its parsed payload."""

    type: str
    number: str
    digest: str
    document: Document = field(repr=False)

    def reference(self) -> dict[str, JsonValue]:
        """As a declaration names it."""
        return {"type": self.type, "number": self.number, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Filing:
    """What the filing adds. type: EXPORT or IMPORT; issuer: who signs the message.

    declarant:  a party; the exporter at export and the importer at import where None
    preference: at import, claim the preference that a proof in the data set gives
    counterpart: at import, the number of the export declaration
    """

    type: str
    number: str
    office: str
    procedure: str
    on: date
    issuer: Mapping[str, JsonValue]
    declarant: Mapping[str, JsonValue] | None = None
    preference: bool = False
    counterpart: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A declaration and, for each of its members drawn from a paper, the paper and place."""

    document: dict[str, JsonValue]
    data_set: str
    origins: tuple[tuple[str, str, str], ...]


def data_set(sources: Sequence[Source]) -> str:
    """SHA-256 (hex) over the papers' references in canonical JSON, sorted by digest."""
    named = [each.reference() for each in sorted(sources, key=lambda one: one.digest)]
    return hashlib.sha256(strict_json.canonical(named)).hexdigest()


def draw(sources: Sequence[Source], filing: Filing) -> Drawn:
    """The declaration that these papers and this filing give.

    Raises RefusedError `declaration_data_missing` with what no paper says.
    """
    drawing = _Drawing(sources)
    document = drawing.common()
    document |= {
        "documentType": filing.type,
        "number": filing.number,
        "issueDate": filing.on.isoformat(),
        "issuer": dict(filing.issuer),
        "office": {"code": filing.office},
        "procedure": filing.procedure,
        "dataSet": data_set(sources),
        "references": [each.reference() for each in sorted(sources, key=lambda one: one.digest)],
    }
    parties: Any = document.get("parties") or {}
    own = "exporter" if filing.type == EXPORT else "importer"
    parties["declarant"] = dict(filing.declarant or parties.get(own) or {})
    if filing.type == IMPORT:
        drawing.import_side(document, filing)
    if drawing.missing:
        raise RefusedError("declaration_data_missing", ", ".join(drawing.missing))
    return Drawn(document, data_set(sources), tuple(drawing.origins))


class _Drawing:
    """Takes members out of the papers and remembers where each came from."""

    def __init__(self, sources: Sequence[Source]) -> None:
        ranked = sorted(sources, key=lambda one: (SOURCES.index(one.type), one.number))
        self._by_type = {each.type: each for each in reversed(ranked)}
        self._ranked = ranked
        self.origins: list[tuple[str, str, str]] = []
        self.missing: list[str] = []

    def common(self) -> dict[str, JsonValue]:
        """What both declarations say."""
        document: dict[str, JsonValue] = {}
        for name in ("consignment", "exportCountry", "importCountry"):
            document[name] = self._first(name)
        document["parties"] = {
            "exporter": self._party("exporter", ("seller", "exporter", "consignor", "shipper")),
            "importer": self._party("importer", ("buyer", "importer", "consignee")),
        }
        document |= self._carriage()
        document |= self._money()
        goods = self._goods()
        document["goods"] = goods
        document["totals"] = _totals(goods)
        return {name: value for name, value in document.items() if value is not None}

    def _took(self, place: str, source: Source, where: str) -> None:
        self.origins.append((place, source.digest, where))

    def _first(self, name: str) -> JsonValue:
        for source in self._ranked:
            value = source.document.get(name)
            if value is not None:
                self._took(pointer(name), source, pointer(name))
                return value
        self.missing.append(name)
        return None

    def _party(self, name: str, roles: Sequence[str]) -> JsonValue:
        for source in self._ranked:
            for role in roles:
                party = member(source.document, "parties", role)
                if isinstance(party, dict):
                    self._took(pointer("parties", name), source, pointer("parties", role))
                    return party
        self.missing.append(f"parties/{name}")
        return None

    # -- carriage ------------------------------------------------------------------------------

    def _carriage(self) -> dict[str, JsonValue]:
        note = next((self._by_type[key] for key in NOTES if key in self._by_type), None)
        if note is None:
            self.missing.append("transport")
            return {}
        if "transportDocumentReference" in note.document:
            found = _of_transport_document(note.document)
        else:
            found = _of_own_note(note)
        self._took("/transport", note, "/transports")
        self._took("/containers", note, "/containers")
        return found

    # -- money and goods -----------------------------------------------------------------------

    def _money(self) -> dict[str, JsonValue]:
        invoice = self._by_type.get(INVOICE)
        if invoice is None:
            self.missing.append("invoice")
            return {}
        said = invoice.document
        total: dict[str, JsonValue] = {
            "amount": text(said, "totalAmount"),
            "currency": text(said, "currency"),
        }
        self._took("/totalAmount", invoice, "/totalAmount")
        body: dict[str, JsonValue] = {
            "totalAmount": total,
            "invoice": {"number": invoice.number, "date": text(said, "issueDate")},
        }
        code, place = text(said, "delivery", "incoterm"), text(said, "delivery", "place")
        if code:
            body["deliveryTerm"] = {"code": code, **({"place": place} if place else {})}
            self._took("/deliveryTerm", invoice, "/delivery")
        return body

    def _goods(self) -> list[JsonValue]:
        invoice = self._by_type.get(INVOICE)
        lines = [] if invoice is None else [*objects(invoice.document, "goods")]
        goods: list[JsonValue] = []
        for place, line in lines:
            assert invoice is not None
            goods.append(self._line(invoice, place, line))
        if not goods:
            self.missing.append("goods")
        return goods

    def _line(self, invoice: Source, place: str, line: Document) -> JsonValue:
        """An invoice's line, with what it does not say from the papers that follow."""
        number = line.get("sequence")
        made: dict[str, JsonValue] = {"sequence": number}
        currency, amount = text(invoice.document, "currency"), text(line, "amount")
        if amount and currency:
            made["value"] = {"amount": amount, "currency": currency}
            self._took(f"{place}/value", invoice, f"{place}/amount")
        for name in (*_LINE, "originCountry", "marks"):
            for source, where, said in self._same_line(line):
                if said.get(name) is not None:
                    made[name] = said[name]
                    self._took(f"{place}/{name}", source, f"{where}/{name}")
                    break
        self.missing += [f"{place[1:]}/{name}" for name in _NEEDED if name not in made]
        return made

    def _same_line(self, line: Document) -> list[tuple[Source, str, Document]]:
        """The line of that number and HS code in every paper, the invoice first."""
        found = []
        for source in self._ranked:
            for place, other in objects(source.document, "goods"):
                same = other.get("sequence") == line.get("sequence")
                if same and other.get("hs") in (None, line.get("hs")):
                    found.append((source, place, other))
        return found

    # -- the import side -----------------------------------------------------------------------

    def import_side(self, document: dict[str, JsonValue], filing: Filing) -> None:
        """The export declaration it answers to, and the preference claimed, line by line."""
        if filing.counterpart:
            document["exportDeclaration"] = {"type": EXPORT, "number": filing.counterpart}
        proof = next((self._by_type[key] for key in PROOFS if key in self._by_type), None)
        if not filing.preference:
            return
        if proof is None:
            self.missing.append("a proof of origin")
            return
        agreement = (text(proof.document, "kind") or "RCEP").partition("_")[0]
        for place, line in objects(document, "goods"):
            line["preference"] = {"agreement": agreement, "proof": proof.reference()}
            self._took(f"{place}/preference", proof, "/kind")


def _of_transport_document(said: Document) -> dict[str, JsonValue]:
    """Carriage of a DCSA Transport Document."""
    legs = [leg for _, leg in objects(said, "transports", "vesselVoyages")]
    transport: dict[str, JsonValue] = {
        "mode": "1",
        "portOfLoading": text(said, "transports", "portOfLoading", "UNLocationCode"),
        "portOfDischarge": text(said, "transports", "portOfDischarge", "UNLocationCode"),
        "departureDate": text(said, "shippedOnBoardDate")
        or text(said, "transports", "plannedDepartureDate"),
    }
    if legs and text(legs[0], "vesselName"):
        transport["vessel"] = {"name": text(legs[0], "vesselName")}
        transport["voyage"] = text(legs[0], "carrierExportVoyageNumber")
    containers: list[JsonValue] = [
        _box(
            text(item, "equipment", "equipmentReference"),
            [number for _, seal in objects(item, "seals") if (number := text(seal, "number"))],
        )
        for _, item in objects(said, "utilizedTransportEquipments")
    ]
    return {"transport": _present(transport), "containers": containers}


def _of_own_note(note: Source) -> dict[str, JsonValue]:
    """Carriage of a rail note (mode 2), or of a master document by its last leg."""
    said = note.document
    legs = [leg for _, leg in objects(said, "legs")]
    ends = (text(said, "stationOfDestination", "locode"), text(said, "placeOfDelivery", "locode"))
    transport: dict[str, JsonValue] = {
        "mode": (text(legs[-1], "mode") if legs else None) or "2",
        "portOfDischarge": next((end for end in ends if end), None),
        "departureDate": text(legs[0], "departureDate") if legs else None,
    }
    containers: list[JsonValue] = [
        _box(text(item, "number"), list(texts(item, "seals")))
        for _, item in objects(said, "containers")
    ]
    return {"transport": _present(transport), "containers": containers or None}


def _box(number: str | None, seals: list[str]) -> JsonValue:
    listed: list[JsonValue] = list(seals)
    return {"number": number, **({"seals": listed} if listed else {})}


def _present(members: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in members.items() if value is not None}


def _totals(goods: list[JsonValue]) -> JsonValue:
    """Sums of the lines, in the unit of the first; a rule of the profile compares them again."""
    totals: dict[str, JsonValue] = {}
    counts = [member(line, "packages", "count") for line in goods]
    if counts and all(isinstance(count, int) for count in counts):
        totals["packages"] = sum(count for count in counts if isinstance(count, int))
    for name in ("netWeight", "grossWeight"):
        values = [decimal(line, name, "value") for line in goods]
        units = {text(line, name, "unit") for line in goods}
        if values and len(units) == 1 and all(value is not None for value in values):
            whole = sum((value for value in values if value is not None), Decimal(0))
            totals[name] = {"value": f"{whole:f}", "unit": units.pop()}
    return totals
