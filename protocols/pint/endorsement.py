"""The endorsement chain, the auditor's view of a bill (DCSA EBL END 3.0.4, also inside SUR 3.0.4).

It is written from a transfer chain with the words of `words.TO_LINK`: SACC is SURRENDERED, and a
surrender that was rejected leaves no mark but itself. END lets a recipient be absent; SUR demands
one and writes the "No Party".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from protocols import times
from protocols.fields import Fields
from protocols.pint.issuance import TransportDocumentRelation, read_relation
from protocols.pint.parties import NO_PLATFORM, TransactionParty, no_party, read_party
from protocols.pint.reading import CODE, MAX_LIST, SOLID, Json, loose, present, word
from protocols.pint.transactions import Transaction
from protocols.pint.words import FROM_LINK, LINKS_WITHOUT_RECIPIENT, TO_LINK, LinkAction
from schemas import strict_json
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable

CHAINS = "/endorsement-chains/{transportDocumentReference}"
API_VERSION = "3.0.4"


@dataclass(frozen=True, slots=True)
class EndorsementLink:
    """One action on the back of the bill; recipient None where the deed has none."""

    action: LinkAction
    actor: TransactionParty
    at: datetime
    recipient: TransactionParty | None = None
    audit_reference: str | None = None

    def to_json(self, *, no_party_named: bool = False) -> Json:
        """The object on the wire; no_party_named: as SUR writes it."""
        recipient = self.recipient
        if recipient is None and no_party_named:
            recipient = no_party()
        body: Json = {
            "actionDateTime": times.to_text(self.at),
            "actionCode": self.action.value,
            "actor": self.actor.to_json(),
            **present(auditReference=self.audit_reference),
        }
        if recipient is not None:
            body["recipient"] = recipient.to_json()
        return body


def read_link(fields: Fields, *, recipient_required: bool = False) -> EndorsementLink:
    """One link; the "No Party" of SUR is nobody."""
    action = word(fields, "actionCode", LinkAction)
    named = fields.optional_child("recipient")
    recipient = None if named is None else read_party(named)
    if recipient_required and recipient is None:
        raise fields.fault("recipient", "SUR names a recipient in every link, or the No Party")
    if recipient is not None and recipient.platform == NO_PLATFORM:
        recipient = None
    if recipient is None and action not in LINKS_WITHOUT_RECIPIENT:
        raise fields.fault("recipient", f"{action.value} names a recipient")
    return EndorsementLink(
        action=action,
        actor=read_party(fields.child("actor")),
        at=fields.time("actionDateTime"),
        recipient=recipient,
        audit_reference=loose(fields, "auditReference", 100),
    )


@dataclass(frozen=True, slots=True)
class EndorsementChain:
    """An item of the answer to GET /endorsement-chains/{transportDocumentReference}."""

    relation: TransportDocumentRelation
    links: tuple[EndorsementLink, ...] = ()
    carrier: str | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        return {
            **self.relation.to_json(),
            **present(carrierSCACCode=self.carrier),
            "endorsementChain": [link.to_json() for link in self.links],
        }


def read_chain(fields: Fields) -> EndorsementChain:
    """One endorsement chain."""
    return EndorsementChain(
        relation=read_relation(fields),
        links=tuple(read_link(item) for item in fields.children("endorsementChain", 10_000)),
        carrier=fields.optional_text("carrierSCACCode", pattern=SOLID, max_length=4),
    )


def read_chains(data: bytes) -> tuple[EndorsementChain, ...]:
    """The whole answer, an array; raises MalformedError json_*, `pint_message_malformed`."""
    value = strict_json.loads(data)
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise MalformedError(CODE, "the answer is an array of endorsement chains")
    items = Fields({"chains": value}, CODE)
    return tuple(read_chain(item) for item in items.children("chains", MAX_LIST))


def link_of(transaction: Transaction) -> EndorsementLink | None:
    """A transaction as a link; None for a rejected surrender, which END does not know."""
    action = TO_LINK[transaction.action]
    if action is None:
        return None
    recipient = None if action in LINKS_WITHOUT_RECIPIENT else transaction.recipient
    return EndorsementLink(
        action, transaction.actor, transaction.at, recipient, transaction.audit_reference
    )


def links_of(transactions: Iterable[Transaction]) -> tuple[EndorsementLink, ...]:
    """A transfer chain as endorsement chain."""
    return tuple(link for link in map(link_of, transactions) if link is not None)


def transaction_of(link: EndorsementLink, answered: TransactionParty | None) -> Transaction:
    """A link as transaction; answered: who surrendered, to whom SACC goes."""
    action = FROM_LINK[link.action]
    made = Transaction(
        action, link.actor, link.at, link.recipient, audit_reference=link.audit_reference
    )
    return replace(made, recipient=answered) if link.action is LinkAction.SURRENDERED else made
