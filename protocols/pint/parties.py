"""Parties of transactions and surrenders: who acts, to whom, with which identifying codes.

ActorParty, RecipientParty, RepresentedParty, IdentifyingCode and TaxLegalReference are the same in
PINT 3.0.0, SUR 3.0.4 and END 3.0.4. A party is known by its codes, never by its name; SUR's "No
Party" stands where a schema demands a recipient and the deed has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.fields import COUNTRY, Fields
from protocols.pint.reading import PLATFORM, TRIMMED, Json, loose, present, some

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from schemas.strict_json import JsonValue

MAX_NAME = 70
NO_PLATFORM = "NONE"
DID_PROVIDER, DID_LIST = "W3C", "DID"
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class IdentifyingCode:
    """A code of a code list. provider: the list's keeper; list_name: which of its lists."""

    provider: str
    code: str
    list_name: str | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        return {
            "codeListProvider": self.provider,
            "partyCode": self.code,
            **present(codeListName=self.list_name),
        }


def read_code(fields: Fields) -> IdentifyingCode:
    """One identifying code."""
    return IdentifyingCode(
        fields.text("codeListProvider", max_length=100),
        fields.text("partyCode", max_length=150),
        loose(fields, "codeListName", 100),
    )


@dataclass(frozen=True, slots=True)
class TaxLegalReference:
    """A tax or legal reference of a jurisdiction; country ZZ is unknown."""

    type: str
    country: str
    value: str

    def to_json(self) -> Json:
        """The object on the wire."""
        return {"type": self.type, "countryCode": self.country, "value": self.value}


def read_reference(fields: Fields) -> TaxLegalReference:
    """One tax or legal reference."""
    return TaxLegalReference(
        fields.text("type", pattern=TRIMMED, max_length=50),
        fields.text("countryCode", pattern=COUNTRY, max_length=2),
        fields.text("value", pattern=TRIMMED, max_length=35),
    )


@dataclass(frozen=True, slots=True)
class RepresentedParty:
    """On whose behalf the deed was done, or towards whom."""

    name: str
    codes: tuple[IdentifyingCode, ...] = ()

    def to_json(self) -> Json:
        """The object on the wire."""
        body: Json = {"partyName": self.name}
        if self.codes:
            body["identifyingCodes"] = [code.to_json() for code in self.codes]
        return body


def _read_represented(fields: Fields) -> RepresentedParty:
    return RepresentedParty(
        fields.text("partyName", pattern=TRIMMED, max_length=MAX_NAME),
        tuple(read_code(item) for item in fields.children("identifyingCodes", 255)),
    )


@dataclass(frozen=True, slots=True)
class TransactionParty:
    """Who acts, or to whom: name, platform code, identifying codes."""

    name: str
    platform: str
    codes: tuple[IdentifyingCode, ...]
    references: tuple[TaxLegalReference, ...] = ()
    represented: RepresentedParty | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        body: Json = {
            "partyName": self.name,
            "eblPlatform": self.platform,
            "identifyingCodes": [code.to_json() for code in self.codes],
        }
        if self.references:
            body["taxLegalReferences"] = [one.to_json() for one in self.references]
        if self.represented is not None:
            body["representedParty"] = self.represented.to_json()
        return body

    @property
    def did(self) -> str | None:
        """The W3C decentralised identifier among the codes, if there is exactly one."""
        found = {code.code for code in self.codes if is_did(code)}
        return found.pop() if len(found) == 1 else None

    def is_same(self, other: TransactionParty) -> bool:
        """Whether the codes say that both are one party, wherever their accounts are."""
        return same_codes(self.codes, other.codes)


def is_did(code: IdentifyingCode) -> bool:
    """Whether the code is a decentralised identifier."""
    return code.provider == DID_PROVIDER and code.list_name in (None, DID_LIST)


def read_party(fields: Fields) -> TransactionParty:
    """An actor or a recipient."""
    represented = fields.optional_child("representedParty")
    return TransactionParty(
        name=fields.text("partyName", pattern=TRIMMED, max_length=MAX_NAME),
        platform=fields.text("eblPlatform", pattern=PLATFORM, max_length=4),
        codes=some(fields, "identifyingCodes", read_code),
        references=tuple(
            read_reference(item) for item in fields.children("taxLegalReferences", 255)
        ),
        represented=None if represented is None else _read_represented(represented),
    )


def no_party() -> TransactionParty:
    """SUR 3.0.4's "No Party": the recipient of a deed that has none."""
    return TransactionParty("NONE", NO_PLATFORM, (IdentifyingCode("ZZZ", "NONE"),))


def by_list(codes: Iterable[IdentifyingCode]) -> dict[tuple[str, str | None], set[str]]:
    """The codes by code list; a code that is the list's only one may leave its name out."""
    found: dict[tuple[str, str | None], set[str]] = {}
    for code in codes:
        found.setdefault((code.provider, code.list_name), set()).add(code.code)
    return found


def same_codes(left: Sequence[IdentifyingCode], right: Sequence[IdentifyingCode]) -> bool:
    """Whether two sets of codes name one party: they share one, and contradict in no list."""
    if left and left == right:
        return True
    ours, theirs = by_list(left), by_list(right)
    shared = [name for name in ours if name in theirs]
    return bool(shared) and all(ours[name] & theirs[name] for name in shared)


@dataclass(frozen=True, slots=True)
class DocumentParty:
    """A party that a transport document names: consignee, endorsee, shipper, issuing party."""

    name: str
    codes: tuple[IdentifyingCode, ...] = ()

    def is_same(self, party: TransactionParty | DocumentParty) -> bool:
        """By codes; by the name only where this party has no codes at all."""
        if self.codes and party.codes:
            return same_codes(self.codes, party.codes)
        return _plain(self.name) == _plain(party.name)


def _plain(name: str) -> str:
    return _SPACE.sub(" ", name).strip().casefold()


def document_party(document: Mapping[str, JsonValue], role: str) -> DocumentParty | None:
    """The party of that role in a transport document that satisfies its profile, or None."""
    parties = document.get("documentParties")
    party = parties.get(role) if isinstance(parties, dict) else None
    if not isinstance(party, dict):
        return None
    fields = Fields(party, "pint_message_malformed", f"/documentParties/{role}")
    codes = tuple(read_code(item) for item in fields.children("identifyingCodes", 255))
    return DocumentParty(fields.text("partyName"), codes)
