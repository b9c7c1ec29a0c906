"""Who stands behind a key on a chain: keys made for one title each, and the word that tells whose.

A holder's key is derived from a seed that stays at its node (BIP-32, hardened steps only), one for
every title, so the chain does not show that two bills have the same holder. Who it is, counterparts
learn from a statement that the holder's listed title key signs (R20) and that the derived key signs
too, so that nobody claims another's address. A carrier's issuing key is the same for all its
titles, because the contract lists it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocols import base64url, jws
from protocols.evm.keys import (
    N,
    SoftwareEvmSigner,
    checksum_text,
    keccak256,
    read_address,
    recover,
    signature_from_bytes,
)
from protocols.evm.title import NO_DIGEST, EvmArbiterId, account, domain_separator, padded
from protocols.fields import DID, Fields
from protocols.title.json_forms import Json, require_members
from protocols.title.machine import Party
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from protocols.evm.keys import EvmSigner
    from protocols.evm.title import PartyOf
    from protocols.keys import Signer
    from protocols.member_list import MemberList

TYP: Final = "px-title-key+jws"
CODE: Final = "title_key_statement_malformed"
HOLDER_TYPE: Final = "Holder(bytes32 title,string did)"
MAX_TEXT: Final = 4096
SEED_BYTES: Final = 32
#: The first step from the seed: UNTDID 1001 code of a bill of lading; then what the key is for.
_PURPOSE: Final = 705
_CARRIER, _TITLE, _GOVERNOR = 0, 1, 2
_HARDENED: Final = 1 << 31


# Derivation.


def master(seed: bytes) -> tuple[bytes, bytes]:
    """BIP-32's master key and chain code of a seed of 16 to 64 bytes.

    Raises MalformedError `evm_key_malformed`.
    """
    if not 16 <= len(seed) <= 64:
        raise MalformedError("evm_key_malformed", "a seed has 16 to 64 bytes")
    made = hmac.digest(b"Bitcoin seed", seed, hashlib.sha512)
    return _checked(int.from_bytes(made[:32], "big")), made[32:]


def hardened(key: bytes, chain_code: bytes, index: int) -> tuple[bytes, bytes]:
    """BIP-32 CKDpriv of the hardened child `index` (below 2³¹)."""
    data = b"\0" + key + (index | _HARDENED).to_bytes(4, "big")
    made = hmac.digest(chain_code, data, hashlib.sha512)
    left = int.from_bytes(made[:32], "big")
    if left >= N:
        raise MalformedError("evm_key_malformed", "no key has this index")
    return _checked((left + int.from_bytes(key, "big")) % N), made[32:]


def _checked(value: int) -> bytes:
    # Chance 2⁻¹²⁷ (BIP-32): nobody will ever see it.
    if not 0 < value < N:
        raise MalformedError("evm_key_malformed", "no key has this seed")
    return value.to_bytes(32, "big")


def _derived(seed: bytes, *path: int) -> SoftwareEvmSigner:
    key, code = master(seed)
    for index in path:
        key, code = hardened(key, code, index)
    return SoftwareEvmSigner(key)


def title_signer(seed: bytes, title: bytes) -> SoftwareEvmSigner:
    """The holder's key for that title alone: the title's 256 bits in nine steps of 31."""
    number = int.from_bytes(title, "big")
    steps = (number >> 31 * place & _HARDENED - 1 for place in range(9))
    return _derived(seed, _PURPOSE, _TITLE, *steps)


def carrier_signer(seed: bytes) -> SoftwareEvmSigner:
    """The key with which a carrier issues, as the contract lists it."""
    return _derived(seed, _PURPOSE, _CARRIER)


def governor_signer(seed: bytes) -> SoftwareEvmSigner:
    """The key with which a member votes on a contract's acts."""
    return _derived(seed, _PURPOSE, _GOVERNOR)


# Statements.


@dataclass(frozen=True, slots=True)
class HolderKey:
    """`did` says that `address` is its key: for that title, or (None) as a carrier's for all."""

    network: bytes
    arbiter: EvmArbiterId
    did: str
    address: bytes
    title: bytes | None

    @property
    def party(self) -> Party:
        """The party as states name it: its key is the address's ABI word in base64url."""
        return bound(self.did, self.address)

    def digest(self) -> bytes:
        """What the key itself signs: EIP-712 in the registry's domain."""
        kind = keccak256(HOLDER_TYPE.encode())
        struct = keccak256(kind + (self.title or NO_DIGEST) + keccak256(self.did.encode()))
        where = self.arbiter
        domain = domain_separator(where.chain_id, where.contract, self.network)
        return keccak256(b"\x19\x01" + domain + struct)


def bound(did: str, address: bytes) -> Party:
    """The party of an address whose owner is known."""
    return Party(did, base64url.encode(padded(address)))


def address_of(party: Party) -> bytes:
    """The address of a party that a title on a chain names.

    Raises MalformedError `evm_address_malformed` for a party with another kind of key.
    """
    word = base64url.decode(party.key, pointer="/key")
    if len(word) != 32 or any(word[:12]):
        raise MalformedError("evm_address_malformed", "the party's key is none of a chain")
    return word[12:]


def sign_statement(statement: HolderKey, holder: Signer, key: EvmSigner) -> str:
    """The statement as compact JWS by the holder's listed title key."""
    body: Json = {
        "v": 1,
        "network": statement.network.hex(),
        "arbiter": statement.arbiter.id.hex(),
        "did": statement.did,
        "address": checksum_text(statement.address),
        "proof": key.sign_digest(statement.digest()).to_bytes().hex(),
    }
    if statement.title is not None:
        body["title"] = statement.title.hex()
    return jws.sign(strict_json.canonical(body), typ=TYP, signer=holder)


_MEMBERS = frozenset({"v", "network", "arbiter", "title", "did", "address", "proof"})


def read_statement(text: str, arbiter: EvmArbiterId, members: MemberList) -> HolderKey:
    """A statement for that arbiter, signed by a listed title key of its DID and by the address.

    Raises MalformedError `title_key_statement_malformed`, RefusedError `title_key_mismatch`,
    `bad_signature`, UnavailableError `registry_members_unknown` for a key not listed here yet.
    """
    parsed = jws.parse(text, typ=TYP, max_bytes=MAX_TEXT)
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    require_members(fields, _MEMBERS)
    fields.integer("v", 1, 1)
    statement = HolderKey(
        network=fields.digest("network"),
        arbiter=arbiter,
        did=fields.text("did", pattern=DID),
        address=read_address(fields.text("address", max_length=42), pointer="/address"),
        title=fields.optional_digest("title"),
    )
    if (statement.network, fields.digest("arbiter")) != (members.network, arbiter.id):
        raise RefusedError("title_key_mismatch", "the statement is for another arbiter")
    _require_signed(parsed, statement.did, members)
    _require_possessed(statement, fields.text("proof", max_length=130))
    return statement


def _require_signed(parsed: jws.Jws, did: str, members: MemberList) -> None:
    key = members.key(parsed.kid)
    if key is None:
        raise UnavailableError("registry_members_unknown", f"{parsed.kid} is not listed here yet")
    if key.did != did or key.purpose != "title":
        raise RefusedError("title_key_mismatch", "the key is not a title key of who speaks")
    jws.verify(parsed, key.public)


def _require_possessed(statement: HolderKey, proof: str) -> None:
    try:
        made = signature_from_bytes(bytes.fromhex(proof))
    except ValueError:
        raise MalformedError(CODE, "a signature is 65 bytes in hexadecimal") from None
    if recover(statement.digest(), made) != statement.address:
        raise RefusedError("bad_signature", "the address did not sign for its holder")


def party_of(statements: Iterable[HolderKey], title: bytes, chain_id: int) -> PartyOf:
    """Names the parties behind a title's addresses; one that is not known is a bare account.

    An address that two claim is nobody's: the first statement counts for neither.
    """
    named: dict[bytes, set[str]] = {}
    for each in statements:
        if each.title in (None, title):
            named.setdefault(each.address, set()).add(each.did)
    owners: Mapping[bytes, str] = {
        address: next(iter(dids)) for address, dids in named.items() if len(dids) == 1
    }

    def name(address: bytes) -> Party:
        did = owners.get(address)
        return account(chain_id, address) if did is None else bound(did, address)

    return name
