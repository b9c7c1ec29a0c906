"""Contracts on EVM chains in which logs are anchored, as the member list names them (R5, R7).

Nothing that a receipt says of a chain is believed for itself: chain id, contract, code hash and
what vouches for a block are those of the list. Whoever calls the contract owns its own row, so the
list also says whose row is a log's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.evm.keys import checksum_text, read_address
from protocols.members.arbiters import ArbiterEntry, read_arbiter

if TYPE_CHECKING:
    from protocols.fields import Fields
    from schemas.strict_json import JsonValue

MAX_SENDERS = 10_000


@dataclass(frozen=True, slots=True)
class AnchorSender:
    """Whose calls anchor a log: its C2SP origin line, and an address."""

    origin: str
    address: bytes

    def to_json(self) -> dict[str, JsonValue]:
        """The sender's object in the list."""
        return {"origin": self.origin, "address": checksum_text(self.address)}


@dataclass(frozen=True, slots=True)
class AnchorContractEntry:
    """One contract, and who anchors which log in it.

    place: name, chain, contract, code hash and finality; listed as an arbiter's are
    """

    place: ArbiterEntry
    senders: tuple[AnchorSender, ...] = ()

    @property
    def name(self) -> str:
        """What the entry is called in the list."""
        return self.place.name

    def senders_of(self, origin: str) -> frozenset[bytes]:
        """The addresses whose rows are that log's; earlier ones stay listed."""
        return frozenset(item.address for item in self.senders if item.origin == origin)

    def to_json(self) -> dict[str, JsonValue]:
        """The contract's object in the list."""
        return {**self.place.to_json(), "senders": [item.to_json() for item in self.senders]}


def read_anchor_contract(fields: Fields) -> AnchorContractEntry:
    """One contract; any fault has the code of `fields`."""
    senders = tuple(map(_sender, fields.children("senders", MAX_SENDERS)))
    if len(set(senders)) != len(senders):
        raise fields.fault("senders", "a sender stands twice")
    return AnchorContractEntry(read_arbiter(fields), senders)


def _sender(fields: Fields) -> AnchorSender:
    address = fields.text("address", max_length=42)
    return AnchorSender(
        fields.text("origin", max_length=255),
        read_address(address, pointer=fields.place("address")),
    )
