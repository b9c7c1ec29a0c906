"""Title operations on an EVM chain: EIP-712 typed data, mapped to `protocols.title.machine`.

The contract (ledger/contracts/TitleRegistry.vy) is the machine of `protocols.title.machine`. What
differs is how parties are named: there an address, here a DID and a key. `to_model` gives the
model's operation for one of the chain's, one to one; the operation's EIP-712 digest is its
identity, and `protocols.title.machine.next_head` over those digests is the head that the contract
stores. The domain holds network, chain and contract (R1, R19), so a signature counts nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import cbor2

from protocols import base64url, times
from protocols.digest import sha256
from protocols.evm.keys import (
    NOBODY,
    Signature,
    checksum_text,
    joint_address,
    keccak256,
    recover,
)
from protocols.title.machine import Bill, Ending, Issuance, Kind, Operation, Party
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.evm.keys import EvmSigner

NAME: Final = "Pratique title registry"
VERSION: Final = "1"
OPERATION_TYPE: Final = (
    "Operation(bytes32 title,uint32 seq,uint8 kind,address sender,address recipient,"
    "bytes32 entry,uint64 deadline,uint64 expires,uint8 bill,address holder,bytes32 replaces,"
    "uint8 ending)"
)
DOMAIN_TYPE: Final = (
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,"
    "bytes32 salt)"
)
CODE: Final = "title_operation_malformed"
NO_DIGEST: Final = bytes(32)
_ARBITER_TAG: Final = "pratique/arbiter/evm/1"

#: Numbers of kinds, bills, endings and refusals on the chain: their place in these tuples.
KINDS: Final = (
    None,
    Kind.ISSUE,
    Kind.TRANSFER,
    Kind.OFFER,
    Kind.ACCEPT_OFFER,
    Kind.DECLINE_OFFER,
    Kind.CANCEL_OFFER,
    Kind.ENDORSE,
    Kind.ENDORSE_TO_ORDER,
    Kind.BLANK_ENDORSE,
    Kind.SURRENDER_FOR_DELIVERY,
    Kind.SURRENDER_FOR_AMENDMENT,
    Kind.ACCEPT_SURRENDER,
    Kind.REJECT_SURRENDER,
    Kind.END,
)
BILLS: Final = (None, Bill.STRAIGHT, Bill.TO_ORDER, Bill.BLANK, Bill.NAMED)
ENDINGS: Final = (None, Ending.DELIVERED, Ending.AMENDED, Ending.PAPER)
REFUSALS: Final = (
    "",
    "title_operation_malformed",
    "bad_signature",
    "title_issuer_not_listed",
    "title_operation_expired",
    "title_exists",
    "title_never_issued",
    "title_seq_conflict",
    "title_seq_ahead",
    "title_ended",
    "title_state_forbids",
    "title_bad_recipient",
    "title_replaces_unended",
    "title_not_issuer",
    "title_not_possessor",
    "title_not_recipient",
    "title_not_negotiable",
    "title_not_holder",
    "title_offer_expired",
    "title_offer_other_entry",
    "title_offer_open",
    "title_ending_mismatch",
    "title_already_replaced",
)
_NUMBERS: Final[Mapping[object, int]] = MappingProxyType(
    {
        value: number
        for values in (KINDS, BILLS, ENDINGS)
        for number, value in enumerate(values)
        if value is not None
    }
)

PartyOf: TypeAlias = Callable[[bytes], Party]


def number_of(value: Kind | Bill | Ending | None) -> int:
    """The chain's number of a kind, bill or ending; 0 for none."""
    return 0 if value is None else _NUMBERS[value]


def word(number: int) -> bytes:
    """32 bytes, big-endian: one ABI word."""
    return number.to_bytes(32, "big")


def padded(address: bytes | None) -> bytes:
    """An address as an ABI word; None is the zero address."""
    return (address or NOBODY).rjust(32, b"\0")


@dataclass(frozen=True, slots=True)
class EvmArbiterId:
    """Which registry: chain, contract, and the code that was read there (R19).

    code_hash: Keccak-256 of the runtime code at the address (EXTCODEHASH), immutables included
    """

    chain_id: int
    contract: bytes
    code_hash: bytes

    @property
    def id(self) -> bytes:
        """The arbiter id that titles and operations name."""
        parts = [_ARBITER_TAG, self.chain_id, self.contract, self.code_hash]
        return sha256(cbor2.dumps(parts, canonical=True))


def domain_separator(chain_id: int, contract: bytes, network: bytes) -> bytes:
    """EIP-712 domain separator; `network` is the domain's salt (R1)."""
    return keccak256(
        keccak256(DOMAIN_TYPE.encode())
        + keccak256(NAME.encode())
        + keccak256(VERSION.encode())
        + word(chain_id)
        + padded(contract)
        + network
    )


@dataclass(frozen=True, slots=True)
class EvmOperation:
    """One operation as the contract reads it; times are whole seconds since 1970 (UTC).

    The members are those of `protocols.title.machine.Operation`, parties being addresses of 20
    bytes.
    """

    title: bytes
    seq: int
    kind: Kind
    sender: bytes
    recipient: bytes | None
    entry: bytes
    deadline: int
    expires: int = 0
    bill: Bill | None = None
    holder: bytes | None = None
    replaces: bytes | None = None
    ending: Ending | None = None

    def struct_hash(self) -> bytes:
        """EIP-712 hashStruct."""
        return keccak256(
            _OPERATION_HASH
            + self.title
            + word(self.seq)
            + word(number_of(self.kind))
            + padded(self.sender)
            + padded(self.recipient)
            + self.entry
            + word(self.deadline)
            + word(self.expires)
            + word(number_of(self.bill))
            + padded(self.holder)
            + (self.replaces or NO_DIGEST)
            + word(number_of(self.ending))
        )

    def digest(self, domain: bytes) -> bytes:
        """What is signed, and the operation's identity: EIP-712 over a domain separator."""
        return keccak256(b"\x19\x01" + domain + self.struct_hash())


_OPERATION_HASH: Final = keccak256(OPERATION_TYPE.encode())


@dataclass(frozen=True, slots=True)
class Joint:
    """Joint holders' consent: their addresses, ascending, and each one's signature."""

    members: tuple[bytes, ...]
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class SignedEvmOperation:
    """An operation with its signature, or with those of joint holders."""

    operation: EvmOperation
    consent: Signature | Joint

    def verify(self, domain: bytes) -> bytes:
        """The operation's digest, once its sender has signed it.

        Raises RefusedError `bad_signature`.
        """
        digest = self.operation.digest(domain)
        if _signer(self.consent, digest) != self.operation.sender:
            raise RefusedError("bad_signature", "the sender's key did not sign this operation")
        return digest


def _signer(consent: Signature | Joint, digest: bytes) -> bytes | None:
    if isinstance(consent, Signature):
        return recover(digest, consent)
    signers = tuple(recover(digest, signature) for signature in consent.signatures)
    return joint_address(consent.members) if signers == consent.members else None


def sign_operation(operation: EvmOperation, domain: bytes, signer: EvmSigner) -> SignedEvmOperation:
    """Signed by its sender's key; raises RefusedError `title_key_mismatch` for another one."""
    if signer.address != operation.sender:
        raise RefusedError("title_key_mismatch", "the key is not the one that the operation names")
    return SignedEvmOperation(operation, signer.sign_digest(operation.digest(domain)))


def sign_jointly(
    operation: EvmOperation, domain: bytes, signers: tuple[EvmSigner, ...]
) -> SignedEvmOperation:
    """Signed by all joint holders; raises RefusedError `title_key_mismatch`."""
    ordered = sorted(signers, key=lambda signer: signer.address)
    members = tuple(signer.address for signer in ordered)
    if joint_address(members) != operation.sender:
        raise RefusedError("title_key_mismatch", "the keys are not those of the joint holder")
    digest = operation.digest(domain)
    signatures = tuple(signer.sign_digest(digest) for signer in ordered)
    return SignedEvmOperation(operation, Joint(members, signatures))


# The mapping to the model.


def account(chain_id: int, address: bytes) -> Party:
    """The party that an address is when nothing more is known of it: did:pkh (CAIP-10).

    Its key is the address's ABI word in base64url, as long as an RFC 7638 thumbprint.
    """
    did = f"did:pkh:eip155:{chain_id}:{checksum_text(address)}"
    return Party(did, base64url.encode(padded(address)))


def to_model(
    operation: EvmOperation, *, network: bytes, arbiter: bytes, digest: bytes, party_of: PartyOf
) -> Operation:
    """The model's operation for one of the chain's; `party_of` names the parties behind keys."""

    def party(address: bytes | None) -> Party | None:
        return None if address is None else party_of(address)

    issuance = None
    if operation.bill is not None:
        issuance = Issuance(operation.bill, party(operation.holder), operation.replaces)
    return Operation(
        network=network,
        arbiter=arbiter,
        title=operation.title,
        seq=operation.seq,
        kind=operation.kind,
        sender=party_of(operation.sender),
        recipient=party(operation.recipient),
        entry=operation.entry,
        deadline=_moment(operation.deadline),
        digest=digest,
        issuance=issuance,
        expires=_moment(operation.expires) if operation.expires else None,
        ending=operation.ending,
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def from_model(operation: Operation, address_of: Callable[[Party], bytes]) -> EvmOperation:
    """The chain's operation for one of the model's; fractions of a second are cut."""

    def address(party: Party | None) -> bytes | None:
        return None if party is None else address_of(party)

    issuance = operation.issuance
    return EvmOperation(
        title=operation.title,
        seq=operation.seq,
        kind=operation.kind,
        sender=address_of(operation.sender),
        recipient=address(operation.recipient),
        entry=operation.entry,
        deadline=times.to_ms(operation.deadline) // 1000,
        expires=times.to_ms(operation.expires) // 1000 if operation.expires else 0,
        bill=issuance.bill if issuance else None,
        holder=address(issuance.holder) if issuance else None,
        replaces=issuance.replaces if issuance else None,
        ending=operation.ending,
    )


_WITH_RECIPIENT: Final = frozenset(
    {Kind.ISSUE, Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
)
_MAY_NAME: Final = frozenset({Kind.SURRENDER_FOR_DELIVERY, Kind.SURRENDER_FOR_AMENDMENT})


def require_shape(operation: EvmOperation) -> None:
    """What each kind must and must not say; the contract's `_shape`.

    Raises MalformedError `title_operation_malformed`.
    """
    kind, first = operation.kind, operation.kind is Kind.ISSUE
    named = operation.recipient is not None
    faults = {
        "a sequence number from 1, or 0 to issue": (operation.seq == 0) != first,
        "a recipient exactly where the kind takes one": named != (kind in _WITH_RECIPIENT)
        and not (named and kind in _MAY_NAME),
        "an expiry for an offer only": (operation.expires != 0) != (kind is Kind.OFFER),
        "an ending for END only": (operation.ending is not None) != (kind is Kind.END),
        "the kind of bill for ISSUE only": (operation.bill is not None) != first,
        "a bill is issued straight, to order or blank": operation.bill is Bill.NAMED,
        "a holder for bills that name one": (operation.holder is not None)
        != (first and operation.bill is not Bill.BLANK),
        "a title it replaces for ISSUE only": operation.replaces is not None and not first,
        "no zero address": NOBODY in (operation.sender, operation.recipient, operation.holder),
    }
    for detail, wrong in faults.items():
        if wrong:
            raise MalformedError(CODE, detail)
