"""Random operations, right and wrong, given to three machines at once: model, log and contract.

The driver is seeded, so a failure repeats. Each step makes up to 100 operations, gives them to
all three in the same order at the same moment, and compares every verdict; states are compared
whenever `compare` is called. What must hold of it all: `tests.support.title_invariants`.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Event, Refused, Row
from protocols.evm.keys import N, Signature
from protocols.evm.title import EvmOperation, domain_separator
from protocols.title.machine import (
    Bill,
    Ending,
    Kind,
    State,
    TitleState,
    apply,
)
from protocols.title.operation import sign_operation
from protocols.title.registry import Registry
from schemas.errors import TradeError
from tests.support.evm_chain import CHAIN_ID, EvmChain
from tests.support.evm_world import (
    ACTORS,
    CARRIERS,
    EvmWorld,
    address,
    name_of,
    network,
    party_of,
    signer,
    title_signer,
    two_carriers,
)
from tests.support.title_world import ARBITER, NOTHING, NOW, World

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
