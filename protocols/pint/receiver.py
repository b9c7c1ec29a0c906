"""The receiving platform at one moment: whose keys count, which registries, whom it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from protocols.pint.chain import Dialect
    from protocols.pint.envelope import EblEnvelope
    from protocols.pint.history import KnownChain
    from protocols.pint.parties import TransactionParty
    from protocols.pint.platforms import Keyring


def _everybody(party: TransactionParty) -> bool:
    del party
    return True


def _nobody(party: TransactionParty) -> bool:
    del party
    return False


@dataclass(frozen=True, slots=True)
class RegistryPolicy:
    """Which control tracking registries count.

    listed: base URIs that the member list leads to (R7); required: refuse chains without one
    test: the network is flagged `test`
    arbiters: base URIs behind which a title arbiter of this network is, with its id; a bill under
    one carries the issuance manifest that makes the title's id, for this very arbiter (R19)
    network: the network's id, which such a manifest names (R1)
    """

    listed: AbstractSet[str] = frozenset()
    required: bool = True
    test: bool = False
    arbiters: Mapping[str, bytes] = field(default_factory=dict)
    network: bytes = b""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The receiving platform at one moment, and what it knows of the bill.

    accepts: whether a recipient has an active account here
    known: finds the longest known chain by the transport document's checksum
    held: checksums of additional documents that are here already
    verified: checksums of entries whose signatures were verified when they were first received, so
    that a key's later end does not undo them (R17)
    dialect: how an older dialect's envelope is read, for a peer on a network flagged `test` (R7)
    """

    platform: str
    keyring: Keyring
    now: datetime
    known: Callable[[bytes], KnownChain | None]
    registries: RegistryPolicy = field(default_factory=RegistryPolicy)
    accepts: Callable[[TransactionParty], bool] = _everybody
    is_bank: Callable[[TransactionParty], bool] = _nobody
    represents_carrier: Callable[[TransactionParty], bool] = _nobody
    held: AbstractSet[bytes] = frozenset()
    verified: AbstractSet[bytes] = frozenset()
    dialect: Callable[[EblEnvelope], Dialect] | None = None

    def __post_init__(self) -> None:
        """Refuse an older dialect outside test networks (R7)."""
        if self.dialect is not None and not self.registries.test:
            raise SettingsError("pint_dialect_refused", "older dialects are for test networks")
