"""What the contracts cost, measured with whole transactions on the in-process chain.

`python -m tests.support.evm_gas` prints the table of docs/title-registry.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from protocols import evm_calls
from protocols.digest import sha256
from protocols.evm_calls import Refused
from protocols.evm_keys import SoftwareEvmSigner
from protocols.evm_title import EvmOperation, SignedEvmOperation, sign_operation, word
from protocols.title import Bill, Kind
from tests.support.evm_world import EvmWorld, signer

BATCH = 100


def key(name: str) -> SoftwareEvmSigner:
    return SoftwareEvmSigner(sha256(name.encode()))


@dataclass
class Meter:
    """A chain on which every title, key and entry is new, as in life."""

    world: EvmWorld

    def spent(self, data: bytes, each: int = 1) -> int:
        done = self.world.chain.transact(self.world.registry, data)
        assert done.ok
        assert not any(isinstance(evm_calls.read_event(log), Refused) for log in done.logs)
        return -(-done.gas // each)

    def issue(self, number: int) -> SignedEvmOperation:
        made = EvmOperation(
            title=sha256(b"title %d" % number),
            seq=0,
            kind=Kind.ISSUE,
            sender=signer("nhl").address,
            recipient=key(f"1 {number}").address,
            entry=sha256(b"manifest %d" % number),
            deadline=self.world.chain.now + 10**6,
            bill=Bill.TO_ORDER,
            holder=key(f"holder {number}").address,
        )
        return sign_operation(made, self.world.domain, signer("nhl"))

    def move(
        self, number: int, seq: int, who: int, kind: Kind = Kind.TRANSFER
    ) -> SignedEvmOperation:
        """The title's party number `who` to the next one; ACCEPT_OFFER by the one it is offered."""
        accepts = kind is Kind.ACCEPT_OFFER
        sender = key(f"{who} {number}")
        deadline = self.world.chain.now + 10**6
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
        return sign_operation(made, self.world.domain, sender)


def measure() -> dict[str, int]:
    """Gas by what was done; in batches per title."""
    world = EvmWorld()
    world.list_carriers()
    meter, numbers = Meter(world), range(BATCH)
    origin, chain = sha256(b"a log"), world.chain
    size = word(10**6)
    table = {
        "open a log's anchors, once": chain.transact(
            world.anchors, evm_calls.call(evm_calls.OPEN, origin)
        ).gas,
        "anchor": chain.transact(
            world.anchors, evm_calls.call(evm_calls.ANCHOR, origin, size, sha256(b"root"))
        ).gas,
    }

    def batch(kind: Kind, seq: int, who: int) -> int:
        made = [meter.move(number, seq, who, kind) for number in numbers]
        return meter.spent(evm_calls.apply_batch(made), BATCH)

    issues = [meter.issue(number) for number in numbers]
    table["issue, of 100"] = meter.spent(evm_calls.apply_batch(issues), BATCH)
    table["transfer, of 100"] = batch(Kind.TRANSFER, 1, 1)
    offered = batch(Kind.OFFER, 2, 2)
    table["offer and accept, of 100"] = offered + batch(Kind.ACCEPT_OFFER, 3, 3)
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
