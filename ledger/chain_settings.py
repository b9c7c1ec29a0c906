"""How one chain is spoken to, as one frozen value, and what counts as final on it.

Finality (R21): `qbft` blocks are final when a quorum of the pinned validators has sealed them;
`finalized` is what the chain's own tag says; `depth` is a number of blocks on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from protocols.evm.keys import read_address
from protocols.evm.proof import MAX_VALIDATORS
from schemas.errors import MalformedError, SettingsError

FeeMode: TypeAlias = Literal["zero", "legacy", "eip1559"]
FEE_MODES: Final = ("zero", "legacy", "eip1559")
MAX_DEPTH: Final = 10_000
MAX_URLS: Final = 8


@dataclass(frozen=True, slots=True)
class Epoch:
    """The validators from block `start` on."""

    start: int
    validators: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Finality:
    """mode: qbft, finalized or depth; depth: blocks on top, for that mode."""

    mode: Literal["qbft", "finalized", "depth"]
    depth: int = 0
    epochs: tuple[Epoch, ...] = ()

    def validators(self, block: int) -> frozenset[bytes]:
        """The set pinned for that block; raises SettingsError `chain_validators_unknown`."""
        found = [epoch for epoch in self.epochs if epoch.start <= block]
        if not found:
            raise SettingsError("chain_validators_unknown", f"none are pinned for block {block}")
        return found[-1].validators


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """What transactions offer: mode, cap and tip in wei, seconds until a stuck one is replaced."""

    mode: FeeMode = "eip1559"
    cap: int = 100 * 10**9
    tip: int = 10**9
    stuck_after: float = 60.0


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """One chain.

    urls:       JSON-RPC addresses, the preferred one first
    agree:      how many of them must say the same of what is believed final
    deadline:   seconds for a call; max_answer: bytes of an answer
    """

    urls: tuple[str, ...]
    chain_id: int
    finality: Finality
    fee: FeePolicy = FeePolicy()
    agree: int = 1
    deadline: float = 10.0
    max_answer: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        if not 1 <= len(self.urls) <= MAX_URLS or len(set(self.urls)) != len(self.urls):
            raise SettingsError("chain_setting_bad", f"one to {MAX_URLS} different addresses")
        if not 1 <= self.agree <= len(self.urls):
            raise SettingsError("chain_setting_bad", "agree is at most the number of addresses")
        if not 1 <= self.chain_id < 2**53:
            raise SettingsError("chain_setting_bad", "the chain's id is missing")


def read_finality(text: str, validators: Sequence[str]) -> Finality:
    """`finalized`, `qbft` or `depth:12`; raises SettingsError `chain_setting_bad`.

    validators: `<first block>:<address>,<address>…` for each epoch, for qbft alone
    """
    epochs = tuple(sorted((_epoch(item) for item in validators), key=lambda epoch: epoch.start))
    if len({epoch.start for epoch in epochs}) != len(epochs):
        raise SettingsError("chain_setting_bad", "two sets of validators for one block")
    if text == "qbft":
        if not epochs:
            raise SettingsError("chain_setting_bad", "qbft needs its validators pinned")
        return Finality("qbft", 0, epochs)
    if epochs:
        raise SettingsError("chain_setting_bad", "validators are for finality qbft")
    if text == "finalized":
        return Finality("finalized")
    mode, _, depth = text.partition(":")
    if mode == "depth" and depth.isascii() and depth.isdigit() and int(depth[:6]) <= MAX_DEPTH:
        return Finality("depth", int(depth[:6]))
    raise SettingsError("chain_setting_bad", "finality is finalized, qbft or depth:<blocks>")


def _epoch(text: str) -> Epoch:
    start, _, listed = text.partition(":")
    try:
        found = [read_address(item.strip()) for item in listed.split(",")]
    except MalformedError as error:
        raise SettingsError("chain_setting_bad", f"validators: {error.detail}") from None
    if not (start.isascii() and start.isdigit() and len(start) < 16):
        raise SettingsError("chain_setting_bad", "validators begin with a block's number")
    if len(set(found)) != len(found) or len(found) > MAX_VALIDATORS:
        raise SettingsError("chain_setting_bad", "validators are named once, at most 200")
    return Epoch(int(start), frozenset(found))
