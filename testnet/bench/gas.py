"""What the contracts cost, in whole transactions on the development chain in this process.

Every title, key and entry is new, as in life; "of 100" is the cost of one operation in a batch of a
hundred. `python -m testnet.bench.gas` prints the table of docs/title-registry.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Final

from ledger import contracts
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Act, Refused
from protocols.evm.keys import SoftwareEvmSigner
from protocols.evm.title import (
    EvmOperation,
    SignedEvmOperation,
    domain_separator,
    sign_operation,
    word,
)
from protocols.evm.transaction import FREE, Transaction, sign
from protocols.title.machine import Bill, Kind
from testnet.devchain_evm import DevEvm, MinedTransaction

BATCH: Final = 100
CHAIN_ID: Final = 1337
GAS: Final = 30_000_000
#: Zero bytes of calldata cost less, so the same moments make the same figures.
START: Final = 1_795_000_000
NETWORK: Final = sha256(b"gas")
#: What must not be exceeded, by the line's name.
MOST: Final = {
    "anchor": 40_000,
    "issue, of 100": 80_000,
    "transfer, of 100": 23_000,
    "transfer, single": 45_000,
}


def key(name: str) -> SoftwareEvmSigner:
    """The key of that name."""
    return SoftwareEvmSigner(sha256(name.encode()))


@dataclass
class Meter:
    """Both contracts on a chain of their own; the carrier may issue."""

    evm: DevEvm = field(default_factory=lambda: DevEvm(CHAIN_ID, lambda: START))
    registry: bytes = b""
    anchors: bytes = b""
    domain: bytes = b""

    def __post_init__(self) -> None:
        governors = sorted((key(f"governor {n}") for n in range(3)), key=lambda one: one.address)
        governing = contracts.Governing(tuple(one.address for one in governors), 2, 0)
        self.registry = self._made(contracts.title_registry_creation(NETWORK, governing))
        self.anchors = self._made(contracts.load(contracts.ANCHORS).bytecode)
        self.domain = domain_separator(CHAIN_ID, self.registry, NETWORK)
        act = Act(0, evm_calls.LIST, carrier=7, key=key("carrier").address)
        signed = [one.sign_digest(act.digest(self.domain)) for one in governors[:2]]
        self.send(self.registry, evm_calls.govern_call(act, signed))

    def _made(self, code: bytes) -> bytes:
        created = self.send(None, code).created
        assert created is not None
        return created

    def send(self, to: bytes | None, data: bytes) -> MinedTransaction:
        """One transaction in a block of its own, which succeeded."""
        relayer = key("relayer")
        nonce = self.evm.nonce(relayer.address)
        made = sign(Transaction(CHAIN_ID, nonce, to, data, GAS, FREE), relayer)
        self.evm.add(made.raw)
        self.evm.mine()
        done = self.evm.transaction(made.hash)
        if done is None or not done.succeeded:
            raise AssertionError("a transaction of the measure failed")
        return done

    def spent(self, data: bytes, each: int = 1) -> int:
        """Gas of one operation of a transaction in which none was refused."""
        done = self.send(self.registry, data)
        logs = (evm_calls.Log(log.address, log.topics, log.data) for log in done.logs)
        if any(isinstance(evm_calls.read_event(log), Refused) for log in logs):
            raise AssertionError("an operation of the measure was refused")
        return -(-done.gas_used // each)

    @property
    def deadline(self) -> int:
        """A moment long after the chain's."""
        return int(self.evm.head.header.timestamp) + 10**6

    def issue(self, number: int) -> SignedEvmOperation:
        """The issue of a title to a holder of its own."""
        made = EvmOperation(
            title=sha256(b"title %d" % number),
            seq=0,
            kind=Kind.ISSUE,
            sender=key("carrier").address,
            recipient=key(f"1 {number}").address,
            entry=sha256(b"manifest %d" % number),
            deadline=self.deadline,
            bill=Bill.TO_ORDER,
            holder=key(f"holder {number}").address,
        )
        return sign_operation(made, self.domain, key("carrier"))

    def move(
        self, number: int, seq: int, who: int, kind: Kind = Kind.TRANSFER
    ) -> SignedEvmOperation:
        """The title's party number `who` to the next one; ACCEPT_OFFER by the one it is offered."""
        accepts = kind is Kind.ACCEPT_OFFER
        sender, deadline = key(f"{who} {number}"), self.deadline
        made = EvmOperation(
            title=sha256(b"title %d" % number),
            seq=seq,
            kind=kind,
            sender=sender.address,
            recipient=None if accepts else key(f"{who + 1} {number}").address,
            entry=sha256(b"entry %d" % number),
            deadline=deadline,
            expires=deadline if kind is Kind.OFFER else 0,
        )
        return sign_operation(made, self.domain, sender)

    def batch(self, kind: Kind, seq: int, who: int) -> int:
        """Gas per title of a hundred such moves in one transaction."""
        made = [self.move(number, seq, who, kind) for number in range(BATCH)]
        return self.spent(evm_calls.apply_batch(made), BATCH)


def measure() -> dict[str, int]:
    """Gas by what was done; in batches per title."""
    meter, origin = Meter(), sha256(b"a log")
    opened = meter.send(meter.anchors, evm_calls.call(evm_calls.OPEN, origin))
    anchor = evm_calls.call(evm_calls.ANCHOR, origin, word(10**6), sha256(b"root"))
    issues = [meter.issue(number) for number in range(BATCH)]
    table = {
        "open a log's anchors, once": opened.gas_used,
        "anchor": meter.send(meter.anchors, anchor).gas_used,
        "issue, of 100": meter.spent(evm_calls.apply_batch(issues), BATCH),
        "transfer, of 100": meter.batch(Kind.TRANSFER, 1, 1),
    }
    offered = meter.batch(Kind.OFFER, 2, 2)
    table["offer and accept, of 100"] = offered + meter.batch(Kind.ACCEPT_OFFER, 3, 3)
    table["transfer, single"] = meter.spent(evm_calls.apply_one(meter.move(0, 4, 3)))
    offered = meter.spent(evm_calls.apply_one(meter.move(0, 5, 4, Kind.OFFER)))
    accepted = meter.spent(evm_calls.apply_one(meter.move(0, 6, 5, Kind.ACCEPT_OFFER)))
    table["offer and accept, single"] = offered + accepted
    table["issue, single"] = meter.spent(evm_calls.apply_one(meter.issue(BATCH)))
    return table


def rows(table: dict[str, int]) -> list[str]:
    """The lines of the documented table."""
    return [f"| {name} | {gas:,} |" for name, gas in table.items()]


if __name__ == "__main__":
    sys.stdout.write("\n".join(rows(measure())) + "\n")
