"""What a chain entry says: the parties, and what happened to the title since the last entry.

Under our registry every change of possession is a transaction (`rules.Terms.possession_recorded`),
so the transactions of a chain are the final operations of its title, one for one: an accepted offer
is the TRANSFER, offers alone are nothing (`words.FROM_TITLE`). What parties of this platform did
among themselves goes into the next entry together with the deed that leaves the platform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.title.following import host_of
from protocols import times
from protocols.fields import Fields
from protocols.pint.chain import ChainEntry, following, open_entry
from protocols.pint.parties import (
    DID_LIST,
    DID_PROVIDER,
    MAX_NAME,
    IdentifyingCode,
    TransactionParty,
    is_did,
    read_code,
)
from protocols.pint.reading import checksum_of
from protocols.pint.transactions import Transaction
from protocols.pint.words import FROM_TITLE, SURRENDERS, Action
from protocols.title.machine import ACCOUNT, Kind
from schemas.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from protocols.member_list import MemberList
    from protocols.pint.words import Reason
    from protocols.title.machine import Operation
    from schemas.strict_json import JsonValue

Document = Mapping[str, "JsonValue"]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done with a title, as a transfer chain tells it.

    actor, recipient: DIDs; at: when it was known to be final, ms UTC, None for what is done now
    """

    action: Action
    actor: str
    recipient: str | None = None
    reason: Reason | None = None
    comments: str | None = None
    at: int | None = None


def deeds_of(operations: Iterable[tuple[Operation, int]]) -> tuple[Deed, ...]:
    """The final operations of a title, first to last, as deeds; END ends no chain anew.

    operations: each with the moment at which it was known to be final, ms UTC
    """
    found: list[Deed] = []
    offered, surrendered, carrier = "", "", ""
    for one, at in operations:
        sender = one.sender.did
        if one.kind is Kind.OFFER:
            offered = sender
        action = FROM_TITLE[one.kind]
        if action is None:
            continue
        recipient = one.recipient.did if one.recipient is not None else None
        if one.kind is Kind.ISSUE:
            carrier = sender
        elif one.kind is Kind.ACCEPT_OFFER:
            sender, recipient = offered, sender
        elif action in SURRENDERS:
            surrendered, recipient = sender, carrier
        elif action in {Action.SACC, Action.SREJ}:
            recipient = surrendered
        found.append(Deed(action, sender, recipient, at=at))
    return tuple(found)


class Parties:
    """Parties as transactions name them: as the chain had them, else by list and document."""

    def __init__(
        self,
        members: MemberList,
        document: Document,
        transactions: Iterable[Transaction] = (),
        carrier: TransactionParty | None = None,
    ) -> None:
        """transactions: of the chain so far; carrier: as ISSUE names it, on the issuing platform"""
        self._members, self._document = members, document
        self._carrier = carrier
        self._known: dict[str, TransactionParty] = {}
        for one in transactions:
            for party in (one.actor, one.recipient):
                if party is not None and party.did is not None:
                    self._known[party.did] = party
                if one.action is Action.ISSUE:
                    self._carrier = one.actor

    def of(self, did: str) -> TransactionParty:
        """The party of that DID.

        Raises RefusedError `pint_party_unnamed` (an account on a chain that nobody has named),
        `title_recipient_not_listed`, `pint_platform_missing` (its node is no platform).
        """
        if self._carrier is not None and self._carrier.did == did:
            return self._carrier
        if did.startswith(ACCOUNT):
            raise RefusedError("pint_party_unnamed", did)
        platform = platform_of(self._members, did)
        known = self._known.get(did)
        if known is not None:
            return known if known.platform == platform else replace(known, platform=platform)
        return TransactionParty(name_of(self._members, did), platform, self.codes(did))

    def codes(self, did: str) -> tuple[IdentifyingCode, ...]:
        """The DID, and what else the bill says of the party that has it."""
        own = IdentifyingCode(DID_PROVIDER, did, DID_LIST)
        found = [own]
        for codes in _codes_in(self._document):
            if any(is_did(code) and code.code == did for code in codes):
                found += [code for code in codes if code not in found and not is_did(code)]
        return tuple(found)


def name_of(members: MemberList, did: str) -> str:
    """The name in the member list, cut to what a transaction takes; the DID where there is none."""
    party, node = members.party(did), members.node(did)
    name = party.name if party else node.name if node else ""
    return name.strip()[:MAX_NAME].strip() or did[:MAX_NAME]


def platform_of(members: MemberList, did: str) -> str:
    """The code of the platform at which a party has its account.

    Raises RefusedError `title_recipient_not_listed`, `pint_platform_missing`.
    """
    host = host_of(members, did)
    node = members.node(host) if host is not None else None
    if node is None:
        raise RefusedError("title_recipient_not_listed", f"{did} is not in the member list")
    if node.platform is None:
        raise RefusedError("pint_platform_missing", f"{node.did} has no platform code")
    return node.platform


def _codes_in(document: Document) -> Iterable[Sequence[IdentifyingCode]]:
    """The identifying codes of every party the document names, party by party."""
    parties = document.get("documentParties")
    for role, named in (parties if isinstance(parties, dict) else {}).items():
        for party in named if isinstance(named, list) else [named]:
            inner = party.get("party", party) if isinstance(party, dict) else None
            if isinstance(inner, dict):
                fields = Fields(inner, "pint_message_malformed", f"/documentParties/{role}")
                yield [read_code(item) for item in fields.children("identifyingCodes", 255)]


def carrier_party(
    members: MemberList, did: str, platform: str, document: Document
) -> TransactionParty:
    """The carrier as ISSUE names it: on the platform on which it issues."""
    known = Parties(members, document)
    return TransactionParty(name_of(members, did), platform, known.codes(did))


def transactions_in(chain: Sequence[str]) -> tuple[Transaction, ...]:
    """All transactions of a chain, first to last."""
    entries = (open_entry(text).entry for text in chain)
    return tuple(one for entry in entries for one in entry.transactions)


def outstanding(deeds: Sequence[Deed], told: Sequence[Transaction]) -> tuple[Deed, ...]:
    """The deeds that the chain does not tell yet.

    Raises ConflictError `pint_chain_contradicts_title` where chain and title's history differ: an
    entry upon such a chain would be refused everywhere.
    """
    done = [one for one in told if one.action is not Action.SIGN]
    if len(done) > len(deeds) or any(
        _other(one, deed) for one, deed in zip(done, deeds, strict=False)
    ):
        raise ConflictError(
            "pint_chain_contradicts_title", "the chain tells another history than the arbiter"
        )
    return tuple(deeds[len(done) :])


def _other(told: Transaction, deed: Deed) -> bool:
    recipient = told.recipient.did if told.recipient is not None else None
    return (told.action, told.actor.did, recipient) != (deed.action, deed.actor, deed.recipient)


def transactions_of(
    deeds: Sequence[Deed], parties: Parties, now: datetime
) -> tuple[Transaction, ...]:
    """The deeds as transactions of one entry; the last is dated now, when its key stands."""
    last = len(deeds) - 1
    return tuple(
        Transaction(
            deed.action,
            parties.of(deed.actor),
            now if deed.at is None or place == last else min(now, times.from_ms(deed.at)),
            None if deed.recipient is None else parties.of(deed.recipient),
            deed.reason,
            deed.comments,
        )
        for place, deed in enumerate(deeds)
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """What only a chain's first entry holds: the carrier's manifest, the registry's base URI."""

    issuance: str
    registry: str | None = None


def entry_after(
    chain: Sequence[str],
    platform: str,
    document: Document,
    transactions: Sequence[Transaction],
    opening: Opening,
) -> ChainEntry:
    """The next entry of this platform, or the first one with what opens a chain."""
    if chain:
        return following(chain, platform, transactions)
    return ChainEntry(
        platform,
        checksum_of(document),
        tuple(transactions),
        issuance=opening.issuance,
        registry=opening.registry,
    )
