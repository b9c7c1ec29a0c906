"""Actors with a key on each kind of arbiter, and a deployed title registry that lists carriers.

Keys follow from names. `party_of` gives the same `Party` for an address as the log arbiter's
member list has, so that one model stands for both.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import rlp
from cryptography.hazmat.primitives.asymmetric import ec

from ledger import contracts
from ledger.receipt_trie import ReceiptTrie
from protocols import jws
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Act, Event, EvmTitle
from protocols.evm.keys import Signature, SoftwareEvmSigner, keccak256
from protocols.evm.proof import EventProof
from protocols.evm.title import (
    EvmArbiterId,
    EvmOperation,
    SignedEvmOperation,
    domain_separator,
    sign_operation,
    to_model,
)
from protocols.keys import SoftwareSigner
from protocols.member_list import MemberList, MemberListDraft, NodeEntry, advance, sign_list
from protocols.title.machine import Operation, Party, TitleState
from tests.support.evm_chain import CHAIN_ID, EvmChain, Receipt
from tests.support.title_world import TRADERS, did, draft, ecdsa, listed, member_list

GOVERNORS = ("governor-1", "governor-2", "governor-3")
#: The carriers' numbers in the contract, and the keys that speak for each.
CARRIERS = {"nhl": (7, ("nhl", "nhl-second")), "other-carrier": (8, ("other-carrier",))}


@cache
def signer(name: str) -> SoftwareEvmSigner:
    return SoftwareEvmSigner(sha256(f"{name} evm".encode()))


def address(name: str) -> bytes:
    return signer(name).address


def party_named(name: str) -> Party:
    """`nhl-second` is another key of `nhl`."""
    return Party(jws.did_of(title_signer(name).kid), title_signer(name).public().thumbprint())


ACTORS = ("nhl", "nhl-second", "other-carrier", *sorted(TRADERS))


@cache
def name_of(key: bytes) -> str:
    return next(name for name in ACTORS if address(name) == key)


@cache
def party_of(key: bytes) -> Party:
    return party_named(name_of(key))


class EvmWorld:
    """One chain with both contracts."""

    def __init__(self, chain: EvmChain | None = None, delay: int = 0) -> None:
        self.chain = chain or EvmChain()
        self.governors = sorted(map(signer, GOVERNORS), key=lambda item: item.address)
        keys = tuple(item.address for item in self.governors)
        governing = contracts.Governing(keys, 2, delay)
        code = contracts.title_registry_creation(network(), governing)
        self.registry = self.chain.transact(None, code).address
        anchors = contracts.load(contracts.ANCHORS).bytecode
        self.anchors = self.chain.transact(None, anchors).address
        self.domain = domain_separator(CHAIN_ID, self.registry, network())
        self.acts = 0
        code_hash = keccak256(self.chain.code(self.registry))
        self.arbiter = EvmArbiterId(CHAIN_ID, self.registry, code_hash)

    def list_carriers(self) -> None:
        for number, keys in CARRIERS.values():
            for key in keys:
                assert self.govern(evm_calls.LIST, carrier=number, key=address(key)).ok

    def act(self, kind: int, **members: object) -> Act:
        return Act(self.acts, kind, **members)

    def signed_act(self, act: Act, count: int = 2) -> list[Signature]:
        return [item.sign_digest(act.digest(self.domain)) for item in self.governors[:count]]

    def govern(self, kind: int, **members: object) -> Receipt:
        act = self.act(kind, **members)
        done = self.chain.transact(self.registry, evm_calls.govern_call(act, self.signed_act(act)))
        self.acts += done.ok
        return done

    def sign(self, operation: EvmOperation) -> SignedEvmOperation:
        return sign_operation(operation, self.domain, signer(name_of(operation.sender)))

    def send(self, *signed: SignedEvmOperation) -> list[Event]:
        """One transaction with these operations; what became of each."""
        data = evm_calls.apply_one(signed[0]) if len(signed) == 1 else evm_calls.apply_batch(signed)
        return self.events(data)

    def events(self, data: bytes) -> list[Event]:
        done = self.chain.transact(self.registry, data)
        assert done.ok, done.output
        return [event for log in done.logs if (event := evm_calls.read_event(log))]

    def prove(self, data: bytes) -> EventProof:
        """Mine a call of the registry, and the proof of the first log it leaves."""
        block, receipt, _ = self.chain.mine(self.registry, data)
        return EventProof(rlp.encode(block.header), 0, ReceiptTrie([receipt.encode()]).path(0), 0)

    def together(self, now: int, calls: list[bytes]) -> list[Event]:
        """One block at `now` with a transaction for each call."""
        done = self.chain.together(now, self.registry, calls)
        logs = [log for receipt in done for log in receipt.logs]
        return [event for log in logs if (event := evm_calls.read_event(log))]

    def control(self, title: bytes) -> EvmTitle:
        return evm_calls.read_control(
            self.chain.call(self.registry, evm_calls.call(evm_calls.CONTROL, title))
        )

    def state(self, title: bytes, issue: EvmOperation) -> TitleState | None:
        """The contract's state in the words of the model."""

        def ask(name: bytes) -> bytes:
            return self.chain.call(self.registry, evm_calls.call(name, title))

        return evm_calls.to_state(
            title,
            self.control(title),
            issue=issue,
            party_of=party_of,
            offer=evm_calls.read_offer(ask(evm_calls.OFFER_OF)),
            surrendered_by=evm_calls.read_address_word(ask(evm_calls.SURRENDERED_BY)),
        )

    def model(self, operation: EvmOperation) -> Operation:
        return to_model(
            operation,
            network=network(),
            arbiter=self.arbiter.id,
            digest=operation.digest(self.domain),
            party_of=party_of,
        )


@cache
def title_signer(name: str) -> SoftwareSigner:
    """The key with which an actor signs for a log arbiter."""
    if name != "nhl-second":
        return ecdsa(name, "title")
    number = int.from_bytes(sha256(b"nhl-second title"), "big") >> 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    return SoftwareSigner(f"{did('nhl')}#title-2", key)


@cache
def two_carriers() -> MemberList:
    """The title world's member list with a second key of its carrier, and a second carrier."""
    base = draft()
    first = base.nodes[0]
    keys = (*first.keys, listed(title_signer("nhl-second"), "title"))
    other = NodeEntry(
        did("other-carrier"),
        "other",
        ("carrier",),
        "NL",
        "https://other-carrier.example",
        (listed(ecdsa("other-carrier", "title"), "title"),),
    )
    nodes = (replace(first, keys=keys), *base.nodes[1:], other)
    return member_list(replace(base, nodes=nodes))


@cache
def other_delisted() -> MemberList:
    """The next version: the second carrier keeps its keys and issues no more."""
    held = two_carriers()
    following = MemberListDraft.after(held, issued_at=held.issued_at, expires=held.expires)
    node = next(node for node in held.nodes if node.did == did("other-carrier"))
    following = following.with_node(replace(node, roles=("port",)))
    return advance(held, sign_list(following.payload(), [ecdsa("founder", "root")]), now=None)


def network() -> bytes:
    return two_carriers().network
