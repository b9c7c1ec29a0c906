"""Records with their proofs: what a control tracking registry answers, and how it is checked.

Every record is a leaf of the log of the node that keeps the register. Its subject follows from the
bill's id alone, so whoever knows the bill finds all its records in the log, and two histories for
two askers would both be there to see (R18). Each leaf names the bill's leaf before it. What
counts is checked under the verifier's own member list (R5); until a quorum has cosigned the log
over a record, it is taken but not final (R21).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.digest import sha256
from protocols.log import leaf
from protocols.log import proof as log_proof
from protocols.log.leaf import LeafKind
from protocols.log.merkle import leaf_hash
from protocols.pint.reading import Json
from protocols.pint.tracking import RegistryRecord, open_platform_record, read_registry_record
from protocols.pint.tracking_state import MAX_RECORDS, Tracked, advance
from protocols.verify.receipt_steps import origin_of, verify_in_listed_log
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from protocols.fields import Fields
    from protocols.member_list import MemberList
    from protocols.pint.platforms import Keyring

BAD = "tracking_records_bad"
_TAG = b"pratique/ctr/1\n"
_TYPE = "ctr-record"
MAX_ENTRY = 1024


def subject_of(ebl: bytes) -> bytes:
    """The leaves' subject for a bill, for everybody who knows its id."""
    return leaf.subject(_TYPE, ebl.hex(), sha256(_TAG + ebl))


def commit_of(ebl: bytes, record_id: bytes) -> bytes:
    """The leaf's commitment to one record."""
    return leaf.commit(sha256(_TAG + ebl), record_id)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A record's place in the log: the entry's bytes, and the tlog-proof once there is one."""

    entry: bytes
    proof: str | None

    def to_json(self) -> Json:
        """As it travels beside the record."""
        return {"entry": base64.b64encode(self.entry).decode("ascii"), "proof": self.proof}


@dataclass(frozen=True, slots=True)
class ReceivedRecord:
    """A record as a registry of this kind answers it."""

    record: RegistryRecord
    receipt: Receipt

    def to_json(self) -> Json:
        """The record with what proves it."""
        return self.record.to_json() | {"receipt": self.receipt.to_json()}


def read_received(fields: Fields) -> ReceivedRecord:
    """A record with its receipt, not yet verified."""
    inner = fields.child("receipt")
    proof = inner.members.get("proof")
    if proof is not None:
        proof = inner.text("proof", max_length=log_proof.MAX_TEXT)
    try:
        entry = base64.b64decode(inner.text("entry", max_length=2 * MAX_ENTRY), validate=True)
    except (ValueError, binascii.Error):
        raise inner.fault("entry", "an entry is standard base64") from None
    return ReceivedRecord(read_registry_record(fields), Receipt(entry, proof))


def read_answer(fields: Fields) -> tuple[ReceivedRecord, ...]:
    """The records of a bill, oldest first."""
    return tuple(read_received(item) for item in fields.children("records", MAX_RECORDS))


@dataclass(frozen=True, slots=True)
class ProvenRecords:
    """The state that the records come to. final: a quorum has cosigned all of them."""

    state: Tracked
    final: bool


def verify_records(
    records: Sequence[ReceivedRecord],
    ebl: bytes,
    members: MemberList,
    keyring: Keyring,
    register: str,
) -> ProvenRecords | None:
    """Check all records of a bill that the register of member `register` (a DID) answered.

    Signatures count at the time the register took the record; None when there is no record.
    Raises RefusedError `tracking_records_bad`, and as `advance`, `Signatory.verify`,
    `verify_in_listed_log`, `leaf.decode`.
    """
    owner = members.node(register)
    own = owner.platform if owner is not None and owner.platform else ""
    state, before, final = None, None, True
    for number, item in enumerate(records):
        parsed, record = open_platform_record(item.record.text)
        platform = keyring.platform(record.actor)
        if item.record.number != number or record.ebl != ebl or platform is None:
            raise RefusedError(BAD, f"record {number + 1} is not the next of this bill")
        platform.verify(parsed, item.record.inserted_at)
        state = advance(state, item.record.id, record, own)
        final &= _placed(item, ebl, members, register, before)
        before = item.receipt.entry
    return None if state is None else ProvenRecords(state, final)


def _placed(
    item: ReceivedRecord, ebl: bytes, members: MemberList, register: str, before: bytes | None
) -> bool:
    """Whether a quorum saw the record's leaf; raises when leaf or proof are not of this record."""
    found = leaf.decode(item.receipt.entry)
    expected = (LeafKind.TITLE_OPERATION_SEEN, subject_of(ebl), commit_of(ebl, item.record.id))
    if (found.kind, found.subject, found.commit) != expected:
        raise RefusedError(BAD, "the leaf is not of this record")
    # A log that was begun anew does not know its forerunner's leaves (R15).
    if found.prev is not None and (before is None or found.prev != leaf_hash(before)):
        raise RefusedError(BAD, "a record of this bill was left out")
    if item.receipt.proof is None:
        return False
    proven = verify_in_listed_log(members, item.receipt.entry, item.receipt.proof)
    origin = origin_of(item.receipt.proof)
    if register not in {entry.did for entry in members.log_epochs(origin)}:
        raise RefusedError(BAD, "the record is in another member's log")
    return proven.witnessed
