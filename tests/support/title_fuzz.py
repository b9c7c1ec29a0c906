"""Random operations, right and wrong, given to three machines at once: model, log and contract.

The driver is seeded, so a failure repeats. Each step makes up to 100 operations, gives them to
all three in the same order at the same moment, and compares every verdict; states are compared
whenever `compare` is called. The twelve invariants are methods of that name.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from protocols import evm_calls
from protocols.digest import sha256
from protocols.evm_calls import Event, Moved, Refused, Row
from protocols.evm_keys import N, Signature
from protocols.evm_title import EvmOperation, domain_separator
from protocols.registry import Registry, execute
from protocols.title import (
    NO_HEAD,
    Bill,
    Ending,
    Kind,
    State,
    TitleState,
    apply,
    next_head,
)
from protocols.title_operation import sign_operation
from schemas.errors import TradeError
from tests.support.evm_chain import CHAIN_ID, EvmChain
from tests.support.evm_world import (
    ACTORS,
    CARRIERS,
    EvmWorld,
    address,
    name_of,
    network,
    other_delisted,
    party_of,
    signer,
    title_signer,
    two_carriers,
)
from tests.support.title_world import ARBITER, NOTHING, NOW, TRADERS, World

CARRIER_KEYS = tuple(key for _, keys in CARRIERS.values() for key in keys)
MOVES = tuple(kind for kind in Kind if kind is not Kind.ISSUE)
TAKES_RECIPIENT = {Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
START = int(NOW.timestamp())
FAULTS = (
    "malleated",
    "bad v",
    "other key",
    "other contract",
    "other chain",
    "other network",
    "altered",
)


@dataclass(frozen=True)
class Case:
    """One operation as each machine takes it; `fault` says what is wrong with its signature."""

    operation: EvmOperation
    row: Row
    text: str
    fault: str = ""


@dataclass
class Fuzz:
    """The three machines and what was done to them."""

    seed: int
    random: random.Random = field(init=False)
    verdicts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.evm = EvmWorld(EvmChain(START))
        self.evm.list_carriers()
        members = two_carriers()
        registry = Registry(network=network(), arbiter=ARBITER)
        self.log = World(registry, members=members)
        self.model: dict[bytes, TitleState] = {}
        self.replaced: set[bytes] = set()
        self.listed = set(CARRIER_KEYS)
        self.issues: dict[bytes, EvmOperation] = {}
        self.sent: list[Case] = []
        self.applied: list[Case] = []
        self.batches: list[tuple[int, list[Case], list[Event]]] = []
        self.touched: set[bytes] = set()
        self.count = 0

    # Making operations.

    def _sign(self, operation: EvmOperation, fault: str = "") -> Case:
        who = name_of(operation.sender)
        signature = self._signature(operation, who, fault)
        made = self.evm.model(operation)
        text = sign_operation(replace(made, arbiter=ARBITER.id), title_signer(who))
        if fault:
            head, body, _ = text.split(".")
            other = sign_operation(
                replace(made, arbiter=ARBITER.id, deadline=datetime(2030, 1, 1, tzinfo=UTC)),
                title_signer(who),
            )
            text = ".".join([head, body, other.split(".")[2]])
        return Case(operation, evm_calls.raw_row(operation, signature), text, fault)

    def _signature(self, operation: EvmOperation, who: str, fault: str) -> Signature:
        domains = {
            "other contract": domain_separator(CHAIN_ID, self.evm.anchors, network()),
            "other chain": domain_separator(1, self.evm.registry, network()),
            "other network": domain_separator(CHAIN_ID, self.evm.registry, NOTHING),
        }
        digest = operation.digest(domains.get(fault, self.evm.domain))
        if fault == "altered":
            digest = replace(operation, deadline=operation.deadline + 1).digest(self.evm.domain)
        others = [name for name in ACTORS if name != who]
        key = self.random.choice(others) if fault == "other key" else who
        good = signer(key).sign_digest(digest)
        if fault == "malleated":
            return Signature(55 - good.v, good.r, N - good.s)
        if fault == "bad v":
            return replace(good, v=self.random.choice([0, 1, good.v - 27, 29, 255]))
        return good

    def _title(self) -> bytes:
        """Mostly one of the last forty, so that each sees many operations."""
        titles = list(self.model)
        if not titles or self.random.random() < 0.02:
            return sha256(b"never issued")
        return self.random.choice(titles[-40:] if self.random.random() < 0.9 else titles)

    def _deadline(self) -> int:
        # The batch is mined one second from now: before, at and after that moment.
        soon = self.random.random() < 0.06
        return self.evm.chain.now + (self.random.choice([-50, 0, 1, 1, 2]) if soon else 10**6)

    def _issue(self) -> EvmOperation:
        draw = self.random
        number = len(self.issues) + draw.randint(0, 10**9)
        old = [title for title, state in self.model.items() if state.state is State.ENDED]
        bill = draw.choice([Bill.STRAIGHT, Bill.TO_ORDER, Bill.TO_ORDER, Bill.BLANK])
        again = self.model and draw.random() < 0.05
        return EvmOperation(
            title=self._title() if again else sha256(b"title %d" % number),
            seq=0,
            kind=Kind.ISSUE,
            sender=address(draw.choice(CARRIER_KEYS if draw.random() < 0.93 else ACTORS)),
            recipient=address(draw.choice(ACTORS)),
            entry=sha256(b"manifest %d" % number),
            deadline=self._deadline(),
            bill=bill,
            holder=None if bill is Bill.BLANK else address(draw.choice(ACTORS)),
            replaces=draw.choice(old) if old and draw.random() < 0.3 else None,
        )

    def _move(self) -> EvmOperation:
        draw, title = self.random, self._title()
        state = self.model.get(title)
        wild = state is None or draw.random() < 0.25
        kind = draw.choice(MOVES) if wild else self._likely_kind(state)
        who = draw.choice(ACTORS) if wild else self._likely_sender(kind, state)
        entry = NOTHING
        if kind in TAKES_RECIPIENT or draw.random() < 0.1:
            entry = sha256(b"entry %d" % draw.randint(0, 3))
        if kind is Kind.ACCEPT_OFFER and state and state.offer and draw.random() < 0.9:
            entry = state.offer.entry
        takes = kind in TAKES_RECIPIENT
        if kind in {Kind.SURRENDER_FOR_DELIVERY, Kind.SURRENDER_FOR_AMENDMENT}:
            takes = draw.random() < 0.3
        seq = state.seq if state else 1
        if draw.random() < 0.06:
            seq = max(1, seq + draw.choice([-2, -1, 1, 2]))
        ending = self._ending(state) if kind is Kind.END else None
        expires = self.evm.chain.now + draw.choice([-5, 1, 2, 5, 60, 600, 10**5])
        return EvmOperation(
            title=title,
            seq=seq,
            kind=kind,
            sender=address(who),
            recipient=address(draw.choice(ACTORS)) if takes else None,
            entry=entry,
            deadline=self._deadline(),
            expires=expires if kind is Kind.OFFER else 0,
            ending=ending,
        )

    def _likely_kind(self, state: TitleState | None) -> Kind:
        assert state is not None
        draw = self.random
        if state.state is State.OFFERED:
            return draw.choice([Kind.ACCEPT_OFFER] * 4 + [Kind.DECLINE_OFFER, Kind.CANCEL_OFFER])
        if state.state is State.SURRENDERED:
            return draw.choice([Kind.ACCEPT_SURRENDER, Kind.REJECT_SURRENDER])
        if state.state is State.ACCEPTED:
            return Kind.END
        return draw.choice(
            [Kind.TRANSFER] * 8
            + [Kind.OFFER] * 4
            + [Kind.ENDORSE, Kind.ENDORSE_TO_ORDER, Kind.BLANK_ENDORSE] * 2
            + [Kind.SURRENDER_FOR_DELIVERY, Kind.SURRENDER_FOR_AMENDMENT] * 2
        )

    def _likely_sender(self, kind: Kind, state: TitleState | None) -> str:
        assert state is not None
        acting = state.possessor or state.issuer
        if kind in {Kind.ACCEPT_OFFER, Kind.DECLINE_OFFER} and state.offer:
            acting = state.offer.recipient
        return next(name for name in ACTORS if party_of(address(name)) == acting)

    def _ending(self, state: TitleState | None) -> Ending:
        if state and self.random.random() < 0.6:
            delivery = state.purpose is Kind.SURRENDER_FOR_DELIVERY
            amended = self.random.choice([Ending.AMENDED, Ending.PAPER])
            return Ending.DELIVERED if delivery else amended
        return self.random.choice(list(Ending))

    def _malformed(self, operation: EvmOperation) -> EvmOperation:
        named = address(self.random.choice(ACTORS))
        faults = [
            replace(operation, seq=0 if operation.seq else 1),
            replace(operation, seq=1_000_001),
            replace(operation, expires=0 if operation.expires else operation.deadline),
            replace(operation, ending=None if operation.ending else Ending.PAPER),
        ]
        if operation.kind is Kind.ISSUE:
            faults += [
                replace(operation, bill=Bill.NAMED, holder=operation.holder or named),
                replace(operation, holder=None if operation.holder else named),
                replace(operation, recipient=None),
            ]
        elif operation.kind in TAKES_RECIPIENT:
            faults.append(replace(operation, recipient=None))
        elif operation.recipient is None and "SURRENDER_FOR" not in operation.kind:
            faults.append(replace(operation, recipient=named))
        return self.random.choice(faults)

    def case(self) -> Case:
        """One operation, most of them right, every kind of wrong among them."""
        chance = self.random.random()
        if self.sent and chance < 0.06:
            return self.random.choice(self.sent)
        new = len(self.model) < 5 or self.random.random() < 0.12
        operation = self._issue() if new else self._move()
        if chance < 0.12:
            return self._sign(operation, self.random.choice(FAULTS))
        if chance < 0.16:
            return replace(self._sign(self._malformed(operation)), fault="malformed")
        return self._sign(operation)

    # The model.

    def _judge(self, case: Case, at: datetime) -> str:
        """The model's verdict, and its effect on the model."""
        operation, who = case.operation, name_of(case.operation.sender)
        if case.fault == "malformed":
            return "title_operation_malformed"
        if case.fault:
            return "bad_signature"
        if operation.kind is Kind.ISSUE and who not in self.listed:
            return "title_issuer_not_listed"
        old = operation.replaces
        try:
            after = apply(
                self.model.get(operation.title),
                self.evm.model(operation),
                at,
                replaced=self.model.get(old) if old else None,
            )
        except TradeError as error:
            return error.code
        if old in self.replaced:
            return "title_already_replaced"
        if old:
            self.replaced.add(old)
        self.model[operation.title] = after
        if operation.kind is Kind.ISSUE:
            self.issues[operation.title] = operation
        return ""

    # One step of all three.

    def step(self, size: int) -> None:
        """Make, send and compare one batch."""
        # The chain mines this batch in the next second: the moment for all three.
        self.evm.chain.now += self.random.choice([0, 1, 5, 60, 300])
        at = datetime.fromtimestamp(self.evm.chain.now + 1, UTC)
        cases, expected = [], []
        for _ in range(size):
            case = self.case()
            cases.append(case)
            expected.append(self._judge(case, at))
            if not expected[-1]:
                self.applied.append(case)
            if not case.fault:
                self.sent.append(case)
        events = self.evm.events(evm_calls.apply_rows([case.row for case in cases]))
        by_contract = [event.code if isinstance(event, Refused) else "" for event in events]
        assert by_contract == expected, self._difference(cases, expected, by_contract)
        by_log = self._run_log(cases, at)
        assert by_log == expected, self._difference(cases, expected, by_log)
        self.batches.append((self.evm.chain.now, cases, events))
        self.touched |= {case.operation.title for case in cases}
        self.verdicts.update(expected)
        self.count += size

    def _run_log(self, cases: list[Case], at: datetime) -> list[str]:
        run, codes = self.log.open(at), []
        for case in cases:
            try:
                run.apply(case.text)
                codes.append("")
            except TradeError as error:
                codes.append(error.code)
        if run.applied:
            self.log.commit(run)
        return codes

    def _difference(self, cases: list[Case], one: list[str], two: list[str]) -> str:
        found = next(at for at, pair in enumerate(zip(one, two, strict=True)) if len(set(pair)) > 1)
        case = cases[found]
        state = self.model.get(case.operation.title)
        return f"{case.operation} {case.fault}: {one[found]!r}, {two[found]!r}, now {state}"

    def compare(self) -> None:
        """The three machines hold the same state of every title touched since the last time."""
        for title in self.touched & set(self.model):
            expected = self.model[title]
            assert self.evm.state(title, self.issues[title]) == expected
            # The log's operations are other bytes, so its history has another head.
            assert replace(self.log.states[title], head=expected.head) == expected
        self.touched.clear()

    # The twelve invariants of the ledger reference, by number and name.

    def invariant_1_one_party_or_none_is_in_control(self) -> None:
        for title, state in self.model.items():
            row = self.evm.control(title)
            held = row.possessor is not None or row.state in {State.SURRENDERED, State.ACCEPTED}
            assert held == (row.state is not State.ENDED) == (state.possessor is not None)

    def _moved(self) -> dict[bytes, list[Moved]]:
        found: dict[bytes, list[Moved]] = {}
        for _, _, events in self.batches:
            for event in events:
                if isinstance(event, Moved):
                    found.setdefault(event.title, []).append(event)
        return found

    def invariant_2_seq_grows_by_one_with_each_move_and_never_else(self) -> None:
        for title, moves in self._moved().items():
            assert [move.seq for move in moves] == list(range(1, len(moves) + 1))
            assert self.evm.control(title).seq == len(moves)

    def invariant_3_only_who_is_entitled_moves_issues_and_ends(self) -> None:
        states: dict[bytes, TitleState] = {}
        for case in self.applied:
            made, before = self.evm.model(case.operation), states.get(case.operation.title)
            if made.kind is Kind.ISSUE:
                assert name_of(case.operation.sender) in CARRIER_KEYS
            else:
                assert before is not None
                self._entitled(case.operation, before)
            states[made.title] = apply(
                before,
                replace(made, deadline=datetime.max.replace(tzinfo=UTC)),
                self._at(case),
                replaced=states.get(case.operation.replaces or b""),
            )

    def _at(self, case: Case) -> datetime:
        # Not where it was refused first: what came too early may count when it is handed in again.
        moment = next(
            now
            for now, cases, events in self.batches
            for one, event in zip(cases, events, strict=True)
            if one is case and isinstance(event, Moved)
        )
        return datetime.fromtimestamp(moment, UTC)

    def _entitled(self, operation: EvmOperation, before: TitleState) -> None:
        who = party_of(operation.sender)
        if operation.kind in {Kind.ACCEPT_SURRENDER, Kind.REJECT_SURRENDER, Kind.END}:
            assert who.did == before.issuer.did
        elif operation.kind in {Kind.ACCEPT_OFFER, Kind.DECLINE_OFFER}:
            assert before.offer is not None
            assert who == before.offer.recipient
        else:
            assert who == before.possessor

    def _storage(self) -> bytes:
        return self.evm.chain.storage_root(self.evm.registry)

    def invariant_4_and_7_a_replay_is_refused_and_a_refusal_stores_nothing(self) -> None:
        before = self._storage()
        for at in range(0, len(self.applied), 150):
            rows = [case.row for case in self.applied[at : at + 150]]
            events = self.evm.events(evm_calls.apply_rows(rows))
            assert len(events) == len(rows)
            assert all(isinstance(event, Refused) for event in events)
        assert self._storage() == before

    def invariant_5_a_signature_counts_once_here_and_as_it_was_made(self) -> None:
        spoilt = {case.fault for _, cases, _ in self.batches for case in cases}
        assert spoilt >= set(FAULTS)
        for _, cases, events in self.batches:
            for case, event in zip(cases, events, strict=True):
                if case.fault in FAULTS:
                    assert isinstance(event, Refused)
                    assert event.code == "bad_signature"

    def invariant_6_an_ended_title_stays_ended_and_is_not_issued_again(self) -> None:
        ended: set[bytes] = set()
        for _, cases, events in self.batches:
            for case, event in zip(cases, events, strict=True):
                assert not (isinstance(event, Moved) and event.title in ended)
                if isinstance(event, Moved) and case.operation.kind is Kind.END:
                    ended.add(event.title)
        assert ended
        assert all(self.evm.control(title).state is State.ENDED for title in ended)

    def invariant_8_a_batch_is_its_operations_one_after_another(self, batches: int) -> None:
        """Another chain with the same contract: each operation in a transaction of its own."""
        other = EvmWorld(EvmChain(START))
        other.list_carriers()
        assert other.domain == self.evm.domain
        titles = set()
        for now, cases, events in self.batches[:batches]:
            calls = [evm_calls.apply_rows([case.row]) for case in cases]
            assert other.together(now, calls) == events
            titles |= {case.operation.title for case in cases}
        later = {case.operation.title for _, cases, _ in self.batches[batches:] for case in cases}
        for title in (titles - later) & set(self.issues):
            assert other.control(title) == self.evm.control(title)

    def invariant_9_one_move_for_each_title_and_seq(self) -> None:
        places = Counter(
            (event.title, event.seq)
            for _, _, events in self.batches
            for event in events
            if isinstance(event, Moved)
        )
        assert set(places.values()) == {1}

    def invariant_10_the_head_follows_from_the_events(self) -> None:
        for title, moves in self._moved().items():
            head = NO_HEAD
            for move in moves:
                head = next_head(head, move.digest)
            assert self.evm.control(title).head == head == self.model[title].head

    def invariant_11_de_listing_changes_no_live_title(self) -> None:
        number = CARRIERS["other-carrier"][0]
        theirs = {
            title: self.evm.control(title)
            for title, issue in self.issues.items()
            if name_of(issue.sender) == "other-carrier"
        }
        assert any(row.state is State.LIVE for row in theirs.values())
        assert self.evm.govern(evm_calls.DELIST, carrier=number).ok
        assert theirs == {title: self.evm.control(title) for title in theirs}
        self.listed.discard("other-carrier")
        # The same in the log: the member list no longer lets it issue.
        self.log.members = other_delisted()

    def invariant_12_whoever_follows_sees_what_the_contract_holds(self) -> None:
        """A node's own projection, from events and the operations they name; and a log witness."""
        known = {case.operation.digest(self.evm.domain): case.operation for case in self.sent}
        states: dict[bytes, TitleState] = {}
        for now, _, events in self.batches:
            for event in events:
                if isinstance(event, Moved):
                    operation = known[event.digest]
                    old = states.get(operation.replaces or b"")
                    moment = datetime.fromtimestamp(now, UTC)
                    states[event.title] = apply(
                        states.get(event.title), self.evm.model(operation), moment, replaced=old
                    )
        assert states == self.model
        for title, state in states.items():
            assert self.evm.state(title, self.issues[title]) == state
        lists = {item.digest: item for item in (two_carriers(), self.log.members)}
        fresh = Registry(network=network(), arbiter=ARBITER)
        again = execute(fresh, self.log.entries, lists.get, {}.get)
        assert again.changed == self.log.states
        assert again.registry.titles.root == self.log.registry.titles.root


def invariants(fuzz: Fuzz) -> list[Callable[[], None]]:
    """Those that take nothing, in their order; 8 and 11 are asked for by themselves."""
    return [
        fuzz.invariant_1_one_party_or_none_is_in_control,
        fuzz.invariant_2_seq_grows_by_one_with_each_move_and_never_else,
        fuzz.invariant_3_only_who_is_entitled_moves_issues_and_ends,
        fuzz.invariant_4_and_7_a_replay_is_refused_and_a_refusal_stores_nothing,
        fuzz.invariant_5_a_signature_counts_once_here_and_as_it_was_made,
        fuzz.invariant_6_an_ended_title_stays_ended_and_is_not_issued_again,
        fuzz.invariant_9_one_move_for_each_title_and_seq,
        fuzz.invariant_10_the_head_follows_from_the_events,
        fuzz.invariant_12_whoever_follows_sees_what_the_contract_holds,
    ]


__all__ = ["TRADERS", "Fuzz", "invariants"]
