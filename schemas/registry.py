"""The document types this software knows, found by looking into `schemas.documents`.

A new type is one new folder there. `examine` is the one door through which a payload is read,
checked and normalised; `detect` guesses the type of a file that nobody labelled.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module, resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from schemas import profiles, sps, strict_json, strict_xml
from schemas.definitions import JsonDocument
from schemas.errors import RefusedError, TradeError
from schemas.view import DocumentType, Examination, Reference, View

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from lxml import etree

    from schemas.definitions import Definition
    from schemas.findings import Finding
    from schemas.rules import Document, Rule

__all__ = [
    "DocumentType",
    "Examination",
    "Reference",
    "View",
    "detect",
    "disclosable",
    "document_types",
    "examine",
    "examine_parsed",
    "examine_part",
    "example",
    "faults",
    "get",
    "rules",
    "rules_of",
]

XML = "application/xml"
SPS_ROOT = "SPSCertificate"
SPS_KEY = "phytosanitary-certificate"


def document_types() -> Mapping[str, DocumentType]:
    """All known types by key, in alphabetical order."""
    return MappingProxyType({key: item.type for key, item in _definitions().items()})


def get(key: str) -> DocumentType:
    """The type named `key`. Raises RefusedError unknown_document_type with the nearest name."""
    return _definition(key).type


def rules() -> Mapping[str, Rule]:
    """All numbered rules of all types by id."""
    return MappingProxyType(
        {
            rule_id: rule
            for item in _definitions().values()
            for rule_id, rule in item.rules.rules.items()
        }
    )


def rules_of(key: str) -> Mapping[str, Rule]:
    """The numbered rules of one type by id, in their order; PHY-… are in `schemas.sps`."""
    return _definition(key).rules.rules


def examine(key: str, payload: bytes) -> Examination:
    """Reads one payload of type `key`: its view and every finding.

    A bad document gives findings. Raises MalformedError or TooLargeError only when the bytes are
    no JSON or XML document at all, RefusedError when the type is unknown.
    """
    return _definition(key).examine(payload)


def examine_parsed(key: str, document: Document) -> Examination:
    """As `examine`, for a JSON document that `strict_json.loads_object` has read already."""
    definition = _definition(key)
    if not isinstance(definition, JsonDocument):
        return definition.examine(strict_json.canonical(document))
    return definition.examine_parsed(document)


def faults(key: str, document: Document) -> tuple[Finding, ...]:
    """Where a JSON document disobeys its profile; its rules are not asked (see `examine`)."""
    return profiles.faults(key, document)


def examine_part(key: str, payload: bytes, withheld: AbstractSet[str]) -> Examination:
    """As `examine`, for a document whose members at `withheld` (JSON pointers) are not shown."""
    definition = _definition(key)
    if not isinstance(definition, JsonDocument):
        raise RefusedError("nothing_disclosable", "only JSON documents are shown in part")
    return definition.examine_part(payload, withheld)


def disclosable(key: str) -> tuple[str, ...]:
    """Where a holder may withhold: JSON pointers, `*` for any index; () for most types."""
    return profiles.disclosable(key) if isinstance(_definition(key), JsonDocument) else ()


def example(key: str) -> bytes:
    """The packaged example of a type: fictional, and without a finding."""
    media_type = get(key).media_type
    name = "example.xml" if media_type.endswith("xml") else "example.json"
    folder = resources.files("schemas") / "documents" / key.replace("-", "_")
    return folder.joinpath(name).read_bytes()


def detect(payload: bytes, media_type: str | None = None) -> str | None:
    """The key of the type these bytes seem to be, or None. Never raises.

    `media_type`, where known, decides between the JSON and the XML reader; else the first byte.
    """
    try:
        if _is_xml(payload, media_type):
            root = strict_xml.parse(payload)
            return _certificate(payload) if _is_certificate(root) else None
        document = strict_json.loads_object(payload)
    except TradeError:
        return None
    known = (item for item in _definitions().items() if item[1].type.media_type != XML)
    return next((key for key, item in known if item.recognises(document)), None)


def _is_certificate(root: etree._Element) -> bool:
    return str(root.tag).rpartition("}")[2] == SPS_ROOT


def _certificate(payload: bytes) -> str:
    """The SPS certificate type whose own code this one has, else the phytosanitary one."""
    facts: Document = sps.examine(payload)[0]["facts"]
    certificates = (item for item in _definitions().items() if item[1].type.media_type == XML)
    return next((key for key, item in certificates if item.recognises(facts)), SPS_KEY)


def _is_xml(payload: bytes, media_type: str | None) -> bool:
    if media_type is not None and media_type.partition(";")[0].strip().endswith("xml"):
        return True
    return payload.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _definition(key: str) -> Definition:
    known = _definitions()
    if key in known:
        return known[key]
    near = get_close_matches(key[:100], known, n=1)
    hint = f"; the nearest name is {near[0]}" if near else ""
    raise RefusedError("unknown_document_type", f"no document type has this name{hint}")


@cache
def _definitions() -> Mapping[str, Definition]:
    folder = resources.files("schemas") / "documents"
    names = sorted(item.name for item in folder.iterdir() if item.joinpath("__init__.py").is_file())
    definitions: dict[str, Definition] = {}
    for name in names:
        definition: Definition = import_module(f"schemas.documents.{name}").DOCUMENT
        definitions[definition.type.key] = definition
    return MappingProxyType(definitions)
