"""The normalised view of our own JSON profiles, which share their member names.

See ``schemas/documents/common.json``, definition ``document``: number, issueDate, consignment,
issuer, parties, transport, containers, goods, totals, references.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.fields import (
    beginning,
    end,
    integer,
    member,
    objects,
    pointer,
    text,
    weight_in_kilograms,
)
from schemas.view import Reference, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

REFERENCE_LISTS = ("references", "subjects")
SINGLE_REFERENCES = ("billOfLading", "masterReference", "supersedes", "original")


def own_view(document: Document, key: str, facts: Mapping[str, JsonValue] | None = None) -> View:
    """The view of a document of type `key`; `facts` are what only this type says."""
    goods = [line for _, line in objects(document, "goods")]
    view = View(
        type=key,
        number=text(document, "number") or "",
        issued_at=beginning(text(document, "issueDate")),
        valid_until=end(text(document, "validUntil")),
        export_country=text(document, "exportCountry"),
        import_country=text(document, "importCountry"),
        consignment=text(document, "consignment"),
        containers=containers(document),
        hs=tuple(dict.fromkeys(code for line in goods if (code := text(line, "hs")))),
        parties=parties(document),
        references=references(document),
        port_of_loading=text(document, "transport", "portOfLoading"),
        port_of_discharge=text(document, "transport", "portOfDischarge"),
        facts={name: value for name, value in (facts or {}).items() if value is not None},
    )
    return _with_weights(document, goods, view)


def _with_weights(document: Document, goods: list[Document], view: View) -> View:
    """Totals where they are stated, else the sum of the lines (a rule compares the two)."""
    stated = isinstance(member(document, "totals"), dict)
    base = pointer("totals") if stated else pointer("goods", 0)
    packages = integer(document, "totals", "packages")
    return replace(
        view,
        packages=packages if packages is not None else line_packages(goods),
        gross_kg=_weight(document, goods, "grossWeight"),
        net_kg=_weight(document, goods, "netWeight"),
        pointers={
            "number": "/number",
            "consignment": "/consignment",
            "containers": "/containers",
            "packages": f"{base}/packages" if stated else f"{base}/packages/count",
            "gross_kg": f"{base}/grossWeight/value",
            "net_kg": f"{base}/netWeight/value",
            "hs": "/goods/0/hs",
            "export_country": "/exportCountry",
            "import_country": "/importCountry",
            "port_of_loading": "/transport/portOfLoading",
            "port_of_discharge": "/transport/portOfDischarge",
        },
    )


def _weight(document: Document, goods: list[Document], name: str) -> Decimal | None:
    stated = weight_in_kilograms(document, "totals", name)
    return line_weight(goods, name) if stated is None else stated


def line_weight(goods: Iterable[Document], name: str) -> Decimal | None:
    """The sum of a weight over all lines in kilograms, None when any line does not say."""
    weights = [weight_in_kilograms(line, name) for line in goods]
    known = [weight for weight in weights if weight is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(weights) else None


def line_packages(goods: Iterable[Document]) -> int | None:
    """The number of packages over all lines, None when any line does not say."""
    counts = [integer(line, "packages", "count") for line in goods]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def containers(document: Document) -> tuple[str, ...]:
    """The container numbers of ``containers``, or of the scope of a decision."""
    found = [text(item, "number") for _, item in objects(document, "containers")]
    found += [text(item, "number") for _, item in objects(document, "scope", "containers")]
    return tuple(dict.fromkeys(number for number in found if number))


def parties(document: Document) -> dict[str, str]:
    """Role → name, from ``issuer`` and ``parties``."""
    found = {"issuer": text(document, "issuer", "name")}
    roles = member(document, "parties")
    if isinstance(roles, dict):
        found |= {role: text(roles, role, "name") for role in roles}
    return {role: name for role, name in found.items() if name}


def references(document: Document) -> tuple[Reference, ...]:
    """Every document this one names, in order, without repetition."""
    nodes: list[JsonValue] = [document.get(name) for name in SINGLE_REFERENCES]
    for name in REFERENCE_LISTS:
        nodes += [item for _, item in objects(document, name)]
    found = (_reference(node) for node in nodes)
    return tuple(dict.fromkeys(reference for reference in found if reference))


def _reference(node: JsonValue) -> Reference | None:
    key, number = text(node, "type"), text(node, "number")
    if key is None or number is None:
        return None
    return Reference(key, number, text(node, "digest") or "")
