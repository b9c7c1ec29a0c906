"""From a title's final operations to the transactions of a chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from node.pint.building import (
    Deed,
    Opening,
    Parties,
    deeds_of,
    entry_after,
    outstanding,
    transactions_in,
    transactions_of,
)
from protocols import times
from protocols.pint.chain import open_entry
from protocols.pint.words import Action
from protocols.title.machine import Kind, Operation, Party
from schemas.errors import ConflictError, RefusedError
from tests.support import pint_world as w
from tests.support.title_world import did

NHL, A, BANK, BUYER = did("nhl"), did("exp-a"), did("bank"), did("imp-a")


def done(kind: Kind, sender: str, recipient: str | None = None) -> tuple[Operation, int]:
    to = None if recipient is None else Party(recipient, "key")
    operation = Operation(
        bytes(32), bytes(32), bytes(32), 0, kind, Party(sender, "key"), to, bytes(32), w.NOW
    )
    return operation, times.to_ms(w.START)


def told(*operations: tuple[Operation, int]) -> list[tuple[Action, str, str | None]]:
    return [(one.action, one.actor, one.recipient) for one in deeds_of(operations)]


def test_an_offer_is_told_when_it_was_accepted_and_by_whom_it_was_made() -> None:
    issue = done(Kind.ISSUE, NHL, A)
    offers = (done(Kind.OFFER, A, BANK), done(Kind.DECLINE_OFFER, BANK), done(Kind.OFFER, A, BUYER))
    assert told(issue, *offers) == [(Action.ISSUE, NHL, A)]
    assert told(issue, *offers, done(Kind.ACCEPT_OFFER, BUYER)) == [
        (Action.ISSUE, NHL, A),
        (Action.TRANSFER, A, BUYER),
    ]


def test_a_surrender_goes_to_the_carrier_and_its_answer_to_who_surrendered() -> None:
    found = told(
        done(Kind.ISSUE, NHL, A),
        done(Kind.BLANK_ENDORSE, A),
        done(Kind.SURRENDER_FOR_AMENDMENT, A),
        done(Kind.REJECT_SURRENDER, NHL),
        done(Kind.SURRENDER_FOR_DELIVERY, A, NHL),
        done(Kind.ACCEPT_SURRENDER, NHL),
        done(Kind.END, NHL),
    )
    assert found[1:] == [
        (Action.BLANK_ENDORSE, A, None),
        (Action.SURRENDER_FOR_AMENDMENT, A, NHL),
        (Action.SREJ, NHL, A),
        (Action.SURRENDER_FOR_DELIVERY, A, NHL),
        (Action.SACC, NHL, A),
    ]


def test_a_chain_is_continued_with_what_it_does_not_tell_or_not_at_all() -> None:
    chain = w.chain_of(w.first(w.bill()))
    transactions = transactions_in(chain)
    deeds = deeds_of(
        [done(Kind.ISSUE, NHL, A), done(Kind.TRANSFER, A, BUYER), done(Kind.BLANK_ENDORSE, BUYER)]
    )
    assert [one.action for one in outstanding(deeds, transactions)] == [Action.BLANK_ENDORSE]
    assert outstanding(deeds[:2], transactions) == ()
    for other in (deeds[:1], (deeds[0], replace(deeds[1], recipient=BANK))):
        with pytest.raises(ConflictError, match="pint_chain_contradicts_title"):
            outstanding(other, transactions)


def test_parties_are_named_as_the_chain_and_the_bill_name_them() -> None:
    listed = w.member_list()
    document = w.bill("order")
    lei = {"codeListProvider": "GLEIF", "codeListName": "LEI", "partyCode": "984500AWAY"}
    document["documentParties"]["endorsee"]["identifyingCodes"] = [
        *w.codes_of(w.party("nl-port")),
        lei,
    ]
    parties = Parties(listed, document)
    away = parties.of(did("nl-port"))
    assert (away.platform, [code.provider for code in away.codes]) == ("AWAY", ["W3C", "GLEIF"])
    known = Parties(listed, document, transactions_in(w.chain_of(w.first(document))))
    assert known.of(NHL) == w.CARRIER
    with pytest.raises(RefusedError, match="title_recipient_not_listed"):
        parties.of(did("nobody"))
    with pytest.raises(RefusedError, match="pint_party_unnamed"):
        parties.of("did:pkh:eip155:1:0x00")


def test_the_last_transaction_of_an_entry_is_dated_when_it_is_signed() -> None:
    listed, document = w.member_list(), w.bill()
    parties = Parties(listed, document, (w.ISSUE,))
    early = times.to_ms(w.START)
    deeds = [Deed(Action.ISSUE, NHL, NHL, at=early), Deed(Action.SIGN, NHL, at=early)]
    made = transactions_of(deeds, parties, w.NOW)
    assert [one.at for one in made] == [w.START, w.NOW]
    future = [replace(one, at=times.to_ms(w.NOW + timedelta(days=1))) for one in deeds]
    assert all(one.at == w.NOW for one in transactions_of(future, parties, w.NOW))


def test_only_the_first_entry_holds_manifest_and_registry() -> None:
    document, opening = w.bill(), Opening(w.issuance(w.bill()), w.REGISTRY)
    first = entry_after((), "HOME", document, (w.ISSUE,), opening)
    assert (first.issuance, first.registry) == (opening.issuance, w.REGISTRY)
    text = first.sign(w.platform_key("HOME"))
    second = entry_after([text], "HOME", document, (w.TO_BUYER,), opening)
    assert (second.issuance, second.registry) == (None, None)
    assert second.previous == open_entry(text).jws.checksum
