"""A title registry deployed on a running chain, listed in a network's second member list."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ledger import contracts
from ledger.chain_client import ChainClient
from ledger.chain_settings import ChainConfig, FeePolicy, read_finality
from node.keystore import KeyStore
from node.title.evm_keys import seed_in
from protocols import member_list
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Act
from protocols.evm.holder_keys import carrier_signer
from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.transaction import FREE, Transaction, sign
from protocols.member_list import MemberListDraft
from protocols.members.arbiters import ArbiterEntry
from tests.support.network import Made, did_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.chain_values import Receipt
    from protocols.member_list import MemberList

GAS = 6_000_000
GOVERNORS = tuple(
    sorted(
        (SoftwareEvmSigner(sha256(b"network governor %d" % number)) for number in range(3)),
        key=lambda item: item.address,
    )
)


@dataclass
class Deployer:
    """Sends transactions of one key that pays nothing."""

    client: ChainClient
    signer: SoftwareEvmSigner

    async def send(self, to: bytes | None, data: bytes, gas: int = GAS) -> Receipt:
        """The receipt of a transaction that is in a block and succeeded."""
        nonce = await self.client.nonce(self.signer.address)
        chain = self.client.config.chain_id
        signed = sign(Transaction(chain, nonce, to, data, gas, FREE), self.signer)
        said = await self.client.send(signed.raw)
        assert said.kind == "taken", said
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = await self.client.sightings(signed.hash)
            if found:
                assert found[0].succeeded
                return found[0]
            await asyncio.sleep(0.02)
        raise AssertionError("the transaction is in no block")


def client_of(url: str, chain_id: int, finality: str) -> ChainClient:
    """A client of one address that offers nothing for gas."""
    final = read_finality(finality, ())
    return ChainClient(ChainConfig((url,), chain_id, final, FeePolicy("zero")))


async def deploy(
    client: ChainClient,
    network: bytes,
    carriers: Iterable[bytes],
    finality: str,
    name: str = "chain-1",
) -> ArbiterEntry:
    """A title registry whose governors have listed these issuing keys, each a carrier."""
    deployer = Deployer(client, SoftwareEvmSigner(sha256(b"deployer" + name.encode())))
    governing = contracts.Governing(tuple(item.address for item in GOVERNORS), 2, 0)
    made = await deployer.send(None, contracts.title_registry_creation(network, governing))
    assert made.created is not None
    code = contracts.title_registry_code(
        network=network, chain_id=client.config.chain_id, contract=made.created, delay=0
    )
    entry = ArbiterEntry(
        name, client.config.chain_id, made.created, keccak256(code), finality, made.block
    )
    for number, key in enumerate(carriers):
        await govern(deployer, entry, network, Act(number, evm_calls.LIST, number + 1, key))
    return entry


async def govern(deployer: Deployer, entry: ArbiterEntry, network: bytes, act: Act) -> None:
    """An act that two of the three governors signed."""
    digest = act.digest(entry.registry(network).domain)
    signatures = [item.sign_digest(digest) for item in GOVERNORS[:2]]
    await deployer.send(entry.contract, evm_calls.govern_call(act, signatures))


def issuing_key(made: Made, name: str) -> bytes:
    """The address with which that node will issue."""
    return carrier_signer(seed_in(made.homes[name], did_of(name))).address


def with_arbiters(made: Made, entries: Iterable[ArbiterEntry]) -> Made:
    """The network with a second list that names these arbiters, too."""
    held: MemberList = made.members
    now = datetime.now(UTC)
    draft = MemberListDraft.after(held, issued_at=now, expires=now + timedelta(days=90))
    draft = replace(draft, arbiters=tuple(entries))
    first = next(iter(made.homes))
    root = KeyStore(made.homes[first].keys, did_of(first)).signer("root")
    signed = member_list.sign_list(draft.payload(), [root])
    return Made(made.homes, member_list.advance(held, signed, now=now))
