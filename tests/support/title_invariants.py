"""The twelve invariants of the ledger reference, by number and name, of a fuzz that was run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from protocols.evm import calls as evm_calls
from protocols.evm.calls import Moved, Refused
from protocols.evm.title import EvmOperation
from protocols.title.machine import (
    NO_HEAD,
    Kind,
    State,
    TitleState,
    apply,
    next_head,
)
from protocols.title.registry import Registry, execute
from tests.support.evm_chain import EvmChain
from tests.support.evm_world import (
    CARRIERS,
    EvmWorld,
    name_of,
    network,
    other_delisted,
    party_of,
    two_carriers,
)
from tests.support.title_fuzz import CARRIER_KEYS, FAULTS, START, Case, Fuzz
from tests.support.title_world import ARBITER


def invariant_1_one_party_or_none_is_in_control(fuzz: Fuzz) -> None:
    for title, state in fuzz.model.items():
        row = fuzz.evm.control(title)
        held = row.possessor is not None or row.state in {State.SURRENDERED, State.ACCEPTED}
        assert held == (row.state is not State.ENDED) == (state.possessor is not None)


def _moved(fuzz: Fuzz) -> dict[bytes, list[Moved]]:
    found: dict[bytes, list[Moved]] = {}
    for _, _, events in fuzz.batches:
        for event in events:
            if isinstance(event, Moved):
                found.setdefault(event.title, []).append(event)
    return found


def invariant_2_seq_grows_by_one_with_each_move_and_never_else(fuzz: Fuzz) -> None:
    for title, moves in _moved(fuzz).items():
        assert [move.seq for move in moves] == list(range(1, len(moves) + 1))
        assert fuzz.evm.control(title).seq == len(moves)


def invariant_3_only_who_is_entitled_moves_issues_and_ends(fuzz: Fuzz) -> None:
    states: dict[bytes, TitleState] = {}
    for case in fuzz.applied:
        made, before = fuzz.evm.model(case.operation), states.get(case.operation.title)
        if made.kind is Kind.ISSUE:
            assert name_of(case.operation.sender) in CARRIER_KEYS
        else:
            assert before is not None
            _entitled(fuzz, case.operation, before)
        states[made.title] = apply(
            before,
            replace(made, deadline=datetime.max.replace(tzinfo=UTC)),
            _at(fuzz, case),
            replaced=states.get(case.operation.replaces or b""),
        )


def _at(fuzz: Fuzz, case: Case) -> datetime:
    # Not where it was refused first: what came too early may count when it is handed in again.
    moment = next(
        now
        for now, cases, events in fuzz.batches
        for one, event in zip(cases, events, strict=True)
        if one is case and isinstance(event, Moved)
    )
    return datetime.fromtimestamp(moment, UTC)


def _entitled(fuzz: Fuzz, operation: EvmOperation, before: TitleState) -> None:
    who = party_of(operation.sender)
    if operation.kind in {Kind.ACCEPT_SURRENDER, Kind.REJECT_SURRENDER, Kind.END}:
        assert who.did == before.issuer.did
    elif operation.kind in {Kind.ACCEPT_OFFER, Kind.DECLINE_OFFER}:
        assert before.offer is not None
        assert who == before.offer.recipient
    else:
        assert who == before.possessor


def _storage(fuzz: Fuzz) -> bytes:
    return fuzz.evm.chain.storage_root(fuzz.evm.registry)


def invariant_4_and_7_a_replay_is_refused_and_a_refusal_stores_nothing(fuzz: Fuzz) -> None:
    before = _storage(fuzz)
    for at in range(0, len(fuzz.applied), 150):
        rows = [case.row for case in fuzz.applied[at : at + 150]]
        events = fuzz.evm.events(evm_calls.apply_rows(rows))
        assert len(events) == len(rows)
        assert all(isinstance(event, Refused) for event in events)
    assert _storage(fuzz) == before


def invariant_5_a_signature_counts_once_here_and_as_it_was_made(fuzz: Fuzz) -> None:
    spoilt = {case.fault for _, cases, _ in fuzz.batches for case in cases}
    assert spoilt >= set(FAULTS)
    for _, cases, events in fuzz.batches:
        for case, event in zip(cases, events, strict=True):
            if case.fault in FAULTS:
                assert isinstance(event, Refused)
                assert event.code == "bad_signature"


def invariant_6_an_ended_title_stays_ended_and_is_not_issued_again(fuzz: Fuzz) -> None:
    ended: set[bytes] = set()
    for _, cases, events in fuzz.batches:
        for case, event in zip(cases, events, strict=True):
            assert not (isinstance(event, Moved) and event.title in ended)
            if isinstance(event, Moved) and case.operation.kind is Kind.END:
                ended.add(event.title)
    assert ended
    assert all(fuzz.evm.control(title).state is State.ENDED for title in ended)


def invariant_8_a_batch_is_its_operations_one_after_another(fuzz: Fuzz, batches: int) -> None:
    """Another chain with the same contract: each operation in a transaction of its own."""
    other = EvmWorld(EvmChain(START))
    other.list_carriers()
    assert other.domain == fuzz.evm.domain
    titles = set()
    for now, cases, events in fuzz.batches[:batches]:
        calls = [evm_calls.apply_rows([case.row]) for case in cases]
        assert other.together(now, calls) == events
        titles |= {case.operation.title for case in cases}
    later = {case.operation.title for _, cases, _ in fuzz.batches[batches:] for case in cases}
    for title in (titles - later) & set(fuzz.issues):
        assert other.control(title) == fuzz.evm.control(title)


def invariant_9_one_move_for_each_title_and_seq(fuzz: Fuzz) -> None:
    places = Counter(
        (event.title, event.seq)
        for _, _, events in fuzz.batches
        for event in events
        if isinstance(event, Moved)
    )
    assert set(places.values()) == {1}


def invariant_10_the_head_follows_from_the_events(fuzz: Fuzz) -> None:
    for title, moves in _moved(fuzz).items():
        head = NO_HEAD
        for move in moves:
            head = next_head(head, move.digest)
        assert fuzz.evm.control(title).head == head == fuzz.model[title].head


def invariant_11_de_listing_changes_no_live_title(fuzz: Fuzz) -> None:
    number = CARRIERS["other-carrier"][0]
    theirs = {
        title: fuzz.evm.control(title)
        for title, issue in fuzz.issues.items()
        if name_of(issue.sender) == "other-carrier"
    }
    assert any(row.state is State.LIVE for row in theirs.values())
    assert fuzz.evm.govern(evm_calls.DELIST, carrier=number).ok
    assert theirs == {title: fuzz.evm.control(title) for title in theirs}
    fuzz.listed.discard("other-carrier")
    # The same in the log: the member list no longer lets it issue.
    fuzz.log.members = other_delisted()


def invariant_12_whoever_follows_sees_what_the_contract_holds(fuzz: Fuzz) -> None:
    """A node's own projection, from events and the operations they name; and a log witness."""
    known = {case.operation.digest(fuzz.evm.domain): case.operation for case in fuzz.sent}
    states: dict[bytes, TitleState] = {}
    for now, _, events in fuzz.batches:
        for event in events:
            if isinstance(event, Moved):
                operation = known[event.digest]
                old = states.get(operation.replaces or b"")
                moment = datetime.fromtimestamp(now, UTC)
                states[event.title] = apply(
                    states.get(event.title), fuzz.evm.model(operation), moment, replaced=old
                )
    assert states == fuzz.model
    for title, state in states.items():
        assert fuzz.evm.state(title, fuzz.issues[title]) == state
    lists = {item.digest: item for item in (two_carriers(), fuzz.log.members)}
    fresh = Registry(network=network(), arbiter=ARBITER)
    again = execute(fresh, fuzz.log.entries, lists.get, {}.get)
    assert again.changed == fuzz.log.states
    assert again.registry.titles.root == fuzz.log.registry.titles.root


#: Those that take nothing, in their order; 8 and 11 are asked for by themselves.
INVARIANTS: tuple[Callable[[Fuzz], None], ...] = (
    invariant_1_one_party_or_none_is_in_control,
    invariant_2_seq_grows_by_one_with_each_move_and_never_else,
    invariant_3_only_who_is_entitled_moves_issues_and_ends,
    invariant_4_and_7_a_replay_is_refused_and_a_refusal_stores_nothing,
    invariant_5_a_signature_counts_once_here_and_as_it_was_made,
    invariant_6_an_ended_title_stays_ended_and_is_not_issued_again,
    invariant_9_one_move_for_each_title_and_seq,
    invariant_10_the_head_follows_from_the_events,
    invariant_12_whoever_follows_sees_what_the_contract_holds,
)
