"""Title arbiters on EVM chains, as the member list names them (R5, R19).

Chain id, contract and code hash are the arbiter's id. What makes a block final stands beside them
and not in the id: validators change while titles live. `start` is the contract's first block.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocols.evm.keys import checksum_text, read_address
from protocols.evm.proof import MAX_VALIDATORS
from protocols.evm.title import EvmArbiterId
from protocols.evm.title_text import EvmRegistry

if TYPE_CHECKING:
    from protocols.fields import Fields
    from schemas.strict_json import JsonValue

_NAME: Final = re.compile(r"(?a:[a-z0-9][a-z0-9-]{0,39})")
_FINALITY: Final = re.compile(r"(?a:finalized|qbft|depth:(?:0|[1-9][0-9]{0,3}))")
_MAX_BLOCK: Final = 2**53 - 1
MAX_EPOCHS: Final = 1000
#: Names that stand for a kind of arbiter wherever one is asked for.
RESERVED: Final = frozenset({"evm", "log"})


@dataclass(frozen=True, slots=True)
class ValidatorEpoch:
    """Who seals blocks from `start` on; addresses."""

    start: int
    validators: tuple[bytes, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """The epoch's object in the list."""
        return {"from": self.start, "addresses": [checksum_text(one) for one in self.validators]}


@dataclass(frozen=True, slots=True)
class ArbiterEntry:
    """One title registry contract.

    finality: `qbft` (sealed by the validators listed here), `finalized` (the chain's own tag) or
              `depth:<blocks>`
    """

    name: str
    chain_id: int
    contract: bytes
    code_hash: bytes
    finality: str
    start: int = 0
    validators: tuple[ValidatorEpoch, ...] = ()

    @property
    def arbiter(self) -> EvmArbiterId:
        """What titles name."""
        return EvmArbiterId(self.chain_id, self.contract, self.code_hash)

    @property
    def id(self) -> bytes:
        """The arbiter id (R19)."""
        return self.arbiter.id

    def registry(self, network: bytes) -> EvmRegistry:
        """What reading its operations takes."""
        return EvmRegistry(network, self.arbiter)

    def validators_at(self, block: int) -> frozenset[bytes]:
        """Who must have sealed that block; empty where the list pins nobody for it."""
        found = [epoch for epoch in self.validators if epoch.start <= block]
        return frozenset(found[-1].validators) if found else frozenset()

    def to_json(self) -> dict[str, JsonValue]:
        """The arbiter's object in the list."""
        body: dict[str, JsonValue] = {
            "name": self.name,
            "chainId": self.chain_id,
            "contract": checksum_text(self.contract),
            "codeHash": self.code_hash.hex(),
            "finality": self.finality,
            "start": self.start,
        }
        if self.validators:
            body["validators"] = [epoch.to_json() for epoch in self.validators]
        return body


def read_arbiter(fields: Fields) -> ArbiterEntry:
    """One arbiter; any fault has the code of `fields`."""
    name = fields.text("name", pattern=_NAME)
    if name in RESERVED:
        raise fields.fault("name", f"{name} is the name of a kind of arbiter")
    finality = fields.text("finality", pattern=_FINALITY)
    epochs = tuple(map(_epoch, fields.children("validators", MAX_EPOCHS)))
    if bool(epochs) != (finality == "qbft"):
        raise fields.fault("validators", "validators are for finality qbft, which needs them")
    starts = [epoch.start for epoch in epochs]
    if starts != sorted(set(starts)):
        raise fields.fault("validators", "epochs begin one after the other")
    return ArbiterEntry(
        name=name,
        chain_id=fields.integer("chainId", 1, _MAX_BLOCK),
        contract=read_address(fields.text("contract", max_length=42), pointer="/contract"),
        code_hash=fields.digest("codeHash"),
        finality=finality,
        start=fields.integer("start", 0, _MAX_BLOCK),
        validators=epochs,
    )


def _epoch(fields: Fields) -> ValidatorEpoch:
    addresses = fields.texts("addresses", max_items=MAX_VALIDATORS)
    read: Callable[[str], bytes] = read_address
    found = tuple(map(read, addresses))
    if not found or len(set(found)) != len(found):
        raise fields.fault("addresses", "one or more different addresses")
    return ValidatorEpoch(fields.integer("from", 0, _MAX_BLOCK), found)
