"""The text in which a signed operation of an EVM arbiter travels, and a title's history of them.

RFC 8785 JSON with exactly one spelling, so that two nodes never differ over what they hold. A
reader checks it against one `EvmRegistry`: network, chain, contract (R1, R19).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocols.evm.keys import (
    Signature,
    checksum_text,
    joint_address,
    read_address,
    signature_from_bytes,
)
from protocols.evm.title import (
    CODE,
    EvmArbiterId,
    EvmOperation,
    Joint,
    PartyOf,
    SignedEvmOperation,
    domain_separator,
    require_shape,
    to_model,
)
from protocols.fields import Fields
from protocols.title.json_forms import MAX_SEQ, one_of, require_members
from protocols.title.machine import NO_HEAD, Bill, Ending, Kind, Operation, next_head
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.title.machine import TitleState

TEXT_VERSION: Final = 1
MAX_BYTES: Final = 16 * 1024
_MAX_SECONDS: Final = 253_402_300_799
_MEMBERS = frozenset(
    {
        "v",
        "title",
        "seq",
        "kind",
        "from",
        "to",
        "entry",
        "deadline",
        "expires",
        "bill",
        "holder",
        "replaces",
        "ending",
        "signatures",
        "joint",
    }
)


def to_text(signed: SignedEvmOperation) -> str:
    """RFC 8785 JSON; members without a value are left out."""
    op, consent = signed.operation, signed.consent
    joint = consent if isinstance(consent, Joint) else None
    signatures = joint.signatures if joint else (consent,)
    body: dict[str, strict_json.JsonValue] = {
        "v": TEXT_VERSION,
        "title": op.title.hex(),
        "seq": op.seq,
        "kind": op.kind.value,
        "from": checksum_text(op.sender),
        "entry": op.entry.hex(),
        "deadline": op.deadline,
        "signatures": [made.to_bytes().hex() for made in signatures],  # type: ignore[union-attr] # none is joint
    }
    optional: dict[str, strict_json.JsonValue] = {
        "to": checksum_text(op.recipient) if op.recipient else None,
        "expires": op.expires or None,
        "bill": op.bill.value if op.bill else None,
        "holder": checksum_text(op.holder) if op.holder else None,
        "replaces": op.replaces.hex() if op.replaces else None,
        "ending": op.ending.value if op.ending else None,
        "joint": [checksum_text(member) for member in joint.members] if joint else None,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    return strict_json.canonical(body).decode()


def read_text(text: str) -> SignedEvmOperation:
    """A signed operation from its one spelling; the signature is not yet checked.

    Raises MalformedError `title_operation_malformed` or json_*.
    """
    fields = Fields(strict_json.loads_object(text.encode(), max_bytes=MAX_BYTES), CODE)
    require_members(fields, _MEMBERS)
    fields.integer("v", TEXT_VERSION, TEXT_VERSION)
    operation = EvmOperation(
        title=fields.digest("title"),
        seq=fields.integer("seq", 0, MAX_SEQ),
        kind=one_of(fields, "kind", Kind),
        sender=_address(fields, "from"),
        recipient=_optional_address(fields, "to"),
        entry=fields.digest("entry"),
        deadline=fields.integer("deadline", 1, _MAX_SECONDS),
        expires=fields.integer("expires", 1, _MAX_SECONDS) if fields.has("expires") else 0,
        bill=one_of(fields, "bill", Bill) if fields.has("bill") else None,
        holder=_optional_address(fields, "holder"),
        replaces=fields.optional_digest("replaces"),
        ending=one_of(fields, "ending", Ending) if fields.has("ending") else None,
    )
    require_shape(operation)
    signed = SignedEvmOperation(operation, _consent(fields))
    if to_text(signed) != text:
        raise MalformedError(CODE, "the operation is not in its canonical form")
    return signed


def _consent(fields: Fields) -> Signature | Joint:
    try:
        raw = [bytes.fromhex(item) for item in fields.texts("signatures", max_items=4)]
    except ValueError:
        raise fields.fault("signatures", "signatures are 65 bytes in hexadecimal") from None
    signatures = tuple(signature_from_bytes(item) for item in raw)
    members = fields.texts("joint", max_items=4)
    if not members:
        if len(signatures) != 1:
            raise fields.fault("signatures", "one signature, or one for each joint holder")
        return signatures[0]
    joint = tuple(read_address(member, pointer="/joint") for member in members)
    joint_address(joint)
    if len(signatures) != len(joint):
        raise fields.fault("signatures", "one signature for each joint holder")
    return Joint(joint, signatures)


def _address(fields: Fields, name: str) -> bytes:
    return read_address(fields.text(name, max_length=42), pointer=fields.place(name))


def _optional_address(fields: Fields, name: str) -> bytes | None:
    return _address(fields, name) if fields.has(name) else None


@dataclass(frozen=True, slots=True)
class EvmRegistry:
    """One title registry on one chain, for one network: what reading its operations takes."""

    network: bytes
    arbiter: EvmArbiterId

    @property
    def domain(self) -> bytes:
        """The EIP-712 domain separator."""
        return domain_separator(self.arbiter.chain_id, self.arbiter.contract, self.network)

    def operation(self, signed: SignedEvmOperation, party_of: PartyOf) -> Operation:
        """The model's operation, once its signature is checked.

        Raises RefusedError `bad_signature`.
        """
        return to_model(
            signed.operation,
            network=self.network,
            arbiter=self.arbiter.id,
            digest=signed.verify(self.domain),
            party_of=party_of,
        )

    def verify_history(self, state: TitleState, texts: Iterable[str]) -> None:
        """Check that these signed operations, first to last, are the whole history of `state`.

        As `protocols.title.proof.verify_history` does for a log. Raises RefusedError
        `title_history_mismatch`, `bad_signature`.
        """
        head, seq = NO_HEAD, 0
        for text in texts:
            signed = read_text(text)
            if signed.operation.title != state.title or signed.operation.seq != seq:
                raise RefusedError("title_history_mismatch", "an operation is missing or foreign")
            head, seq = next_head(head, signed.verify(self.domain)), seq + 1
        if (head, seq) != (state.head, state.seq):
            raise RefusedError("title_history_mismatch", "the operations lead to another head")


def is_text(text: str) -> bool:
    """Whether a signed operation is one of a chain (JSON) and not of a log (compact JWS)."""
    return text.startswith("{")
