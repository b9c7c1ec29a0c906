"""How a document type is defined: its description, its rules, its view and its reader.

`JsonDocument` serves every JSON type, ours and DCSA's; a type in another format brings a class of
its own with the same four members (see `schemas.documents.phytosanitary_certificate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from schemas import profiles, strict_json
from schemas.view import Examination

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from schemas.rules import Document, RuleBook
    from schemas.view import DocumentType, View


class Definition(Protocol):
    """What the folder of a document type exports as ``DOCUMENT``."""

    @property
    def type(self) -> DocumentType:
        """The description of the type."""
        ...

    @property
    def rules(self) -> RuleBook:
        """Its numbered rules."""
        ...

    def examine(self, payload: bytes) -> Examination:
        """Reads, checks and normalises one payload; faults of the document are findings.

        Raises MalformedError or TooLargeError when the bytes cannot be read at all.
        """
        ...

    def recognises(self, document: Document) -> bool:
        """Whether a parsed JSON object of unknown type is one of these."""
        ...


class JsonDocument:
    """A type whose payload is one JSON object with a profile."""

    __slots__ = ("_recognises", "rules", "type", "view")

    def __init__(
        self,
        document_type: DocumentType,
        rules: RuleBook,
        view: Callable[[Document], View],
        recognises: Callable[[Document], bool] | None = None,
    ) -> None:
        """`recognises` defaults to: the member ``documentType`` is this type's key."""
        self.type = document_type
        self.rules = rules
        self.view = view
        self._recognises = recognises

    def examine(self, payload: bytes) -> Examination:
        """Profile first; the rules speak only about a document that satisfies it."""
        return self.examine_parsed(strict_json.loads_object(payload))

    def examine_parsed(self, document: Document) -> Examination:
        """As `examine`, for a document that the strict reader has read."""
        findings = profiles.faults(self.type.key, document)
        if not findings:
            findings = tuple(self.rules.examine(document))
        return Examination(self.view(document), findings)

    def examine_part(self, payload: bytes, withheld: AbstractSet[str]) -> Examination:
        """As `examine`, for a document some of whose members its holder does not show.

        withheld: their JSON pointers. What a rule says about such a place is not held against it.
        """
        document = strict_json.loads_object(payload)
        findings = profiles.faults(self.type.key, document, withheld)
        if not findings:
            told = self.rules.examine(document)
            findings = tuple(each for each in told if not _lies_in(each.pointer, withheld))
        return Examination(self.view(document), findings)

    def recognises(self, document: Document) -> bool:
        """See `Definition.recognises`."""
        if self._recognises is not None:
            return self._recognises(document)
        return document.get("documentType") == self.type.key


def _lies_in(pointer: str, places: AbstractSet[str]) -> bool:
    return any(pointer == place or pointer.startswith(f"{place}/") for place in places)
