"""LOG-01 … LOG-04: the steps over a log receipt; LOG-09: over its renewals.

The log, its key and its witness policy come from the verifier's member list, never from beside the
receipt (R5). A receipt that no quorum cosigned is marked `unwitnessed`: it proves no time (R17),
which is INDETERMINATE only for who asks for witnesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocols import times, timestamp
from protocols.evidence.renewal import read_record
from protocols.log import checkpoint, leaf, merkle, note, votes
from protocols.log import epochs as log_epochs
from protocols.log import proof as log_proof
from protocols.verify import anchor_steps
from protocols.verify.certificate_steps import UNLISTED, verify_stamp
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, fault, not_reached
from schemas.errors import MalformedError, RefusedError, TradeError
from schemas.findings import Check

if TYPE_CHECKING:
    from protocols.log.proof import CheckedCheckpoint, ProofResult
    from protocols.log.receipt import ReceiptFile
    from protocols.member_list import LogEntry, MemberList
    from protocols.verify.case import Case, Receipt

STEPS = ("LOG-01", "LOG-02", "LOG-03", "LOG-04")
RENEWED = "LOG-09"
MAX_CHECKED = 256


def logs_at(members: MemberList, origin: str) -> list[LogEntry]:
    """The listed epochs of the log with that origin, youngest first (R16)."""
    return sorted(members.log_epochs(origin), key=lambda entry: entry.epoch, reverse=True)


class CheckedCheckpoints:
    """Checkpoints whose signatures were checked under one member list, for many receipts.

    It belongs to that very list: another version, or the same one with more known of its keys,
    needs another. The oldest is forgotten first.
    """

    __slots__ = ("_found", "members")

    def __init__(self, members: MemberList) -> None:
        """Nothing is checked yet."""
        self.members = members
        self._found: dict[str, CheckedCheckpoint] = {}

    def check(self, text: str) -> CheckedCheckpoint:
        """The checkpoint of that text; raises as `verify_in_listed_log`, every time anew."""
        found = self._found.get(text)
        if found is None:
            if len(self._found) >= MAX_CHECKED:
                del self._found[next(iter(self._found))]
            found = self._found[text] = _check(self.members, text)
        return found


def verify_in_listed_log(
    members: MemberList, entry: bytes, proof: str, *, checked: CheckedCheckpoints | None = None
) -> ProofResult:
    """The proof checked under the listed key of the log it names, and the policy in force there.

    Which epoch counts follows from the checkpoint's size; votes of keys that had ended, or were
    in foreign hands, do not (R16). `checked` keeps checkpoints from one call to the next; of
    another list than `members` it is not used. Raises RefusedError `log_not_listed`, what
    `log_proof.parse`, `log_epochs.check_checkpoint` and `log_proof.verify_under` raise.
    """
    parsed = log_proof.parse(proof)
    if parsed.extra is not None:
        raise MalformedError("log_proof_malformed", "extra data is not authenticated")
    if checked is not None and checked.members is members:
        head = checked.check(parsed.checkpoint)
    else:
        head = _check(members, parsed.checkpoint)
    return log_proof.verify_under(head, parsed, merkle.leaf_hash(entry))


def _check(members: MemberList, text: str) -> CheckedCheckpoint:
    epochs = logs_at(members, checkpoint.parse_body(text.partition("\n\n")[0] + "\n").origin)
    if not epochs:
        raise RefusedError("log_not_listed", "the log is not in the member list")
    return check_listed_checkpoint(members, text, epochs)


def check_listed_checkpoint(
    members: MemberList, text: str, epochs: Sequence[LogEntry]
) -> CheckedCheckpoint:
    """A checkpoint's signatures under the epoch that counts for its size."""
    size = checkpoint.parse_body(text.partition("\n\n")[0] + "\n").size
    listed = log_epochs.in_force(epochs, size)
    assert listed is not None
    policies = {entry.epoch: log_epochs.policy_of(entry) for entry in epochs}
    policy = policies.pop(listed.epoch)
    key = note.parse_vkey(listed.vkey)
    checked = log_epochs.check_checkpoint(
        text, key, policy, policies.values(), origin=listed.origin
    )
    return log_epochs.recount(checked, policy, votes.under(members))


def origin_of(proof: str) -> str:
    """The log that a proof's checkpoint names; nothing is verified yet."""
    note_text = log_proof.parse(proof).checkpoint
    return checkpoint.parse_body(note_text.partition("\n\n")[0] + "\n").origin


def receipt_checks(case: Case) -> tuple[Check, ...]:
    """The checks in order. Sets `case.proof` when the receipt is sound.

    Without a receipt there is nothing to check, unless witnesses are asked for. Anchor and
    renewals are checked where it has them.
    """
    if case.receipt is None:
        if not case.require_witnesses:
            return ()
        return (Check("LOG-01", UNKNOWN, code="receipt_missing"), *map(not_reached, STEPS[1:]))
    placed = _placed(case, case.receipt)
    origin = origin_of(case.receipt.proof) if case.proof else ""
    anchored = anchor_steps.anchor_checks(case, origin)
    return (*placed, *anchored, *_renewed(case, case.receipt))


def _placed(case: Case, receipt: Receipt) -> tuple[Check, ...]:
    first = log_01_leaf(case, receipt)
    if first.outcome is not PASSED:
        return (first, *map(not_reached, STEPS[1:]))
    listed = log_02_listed(case, receipt)
    if listed.outcome is not PASSED:
        return (first, listed, *map(not_reached, STEPS[2:]))
    placed = log_03_inclusion(case, receipt)
    return (first, listed, placed, log_04_witnesses(case))


def _renewed(case: Case, receipt: Receipt) -> tuple[Check, ...]:
    if receipt.file is None or not receipt.file.renewals:
        return ()
    try:
        return (log_09_renewals(case, receipt.file),)
    except TradeError as error:
        return (fault(RENEWED, error, UNKNOWN if error.code == UNLISTED else FAILED),)


def log_09_renewals(case: Case, file: ReceiptFile) -> Check:
    """LOG-09: each renewal's time-stamp covers the receipt as it was, while the last one held."""
    stamps = [renewal.stamp for renewal in file.renewals]
    moments = [timestamp.read(stamp).made for stamp in stamps]
    if moments != sorted(moments):
        return Check(RENEWED, FAILED, code="evidence_renewal_order")
    anchors = (case.logs or case.members).anchors
    judged = (*moments[1:], case.at)
    for number, (renewal, until) in enumerate(zip(file.renewals, judged, strict=True), start=1):
        stamped = read_record(renewal.record).stamped(file.covered(number))
        verify_stamp(renewal.stamp, stamped, anchors, judged=until)
    return Check(RENEWED, PASSED, evidence={"renewed": list(map(times.to_text, moments))})


def log_01_leaf(case: Case, receipt: Receipt) -> Check:
    """LOG-01: the leaf commits to this document under the credential's salt (R18)."""
    if case.claims is None or case.jws is None:
        return not_reached("LOG-01")
    try:
        found = leaf.decode(receipt.entry)
    except TradeError as error:
        return fault("LOG-01", error)
    salt, digest = case.claims.salt, case.jws.payload_digest
    same = (found.subject, found.commit) == (
        case.claims.subject_digest(),
        leaf.commit(salt, digest),
    )
    if not same:
        return Check("LOG-01", FAILED, code="leaf_of_other_document")
    return Check("LOG-01", PASSED, evidence={"kind": found.kind.name.lower()})


def log_02_listed(case: Case, receipt: Receipt) -> Check:
    """LOG-02: the log is in the member list the verifier holds (R5).

    Hand-overs that came with the receipt count as far as they link to that list (R16).
    """
    try:
        origin = origin_of(receipt.proof)
        carried = receipt.file.hand_overs if receipt.file else ()
        if carried:
            case.logs = log_epochs.with_hand_overs(case.logs or case.members, carried)
    except TradeError as error:
        return fault("LOG-02", error)
    if not logs_at(case.logs or case.members, origin):
        return Check("LOG-02", UNKNOWN, code="log_not_listed")
    return Check("LOG-02", PASSED, evidence={"origin": origin})


def log_03_inclusion(case: Case, receipt: Receipt) -> Check:
    """LOG-03: the leaf is in the tree whose root the log signed (RFC 6962 §2.1.1)."""
    try:
        listed = case.logs or case.members
        case.proof = verify_in_listed_log(
            listed, receipt.entry, receipt.proof, checked=case.checked
        )
    except TradeError as error:
        return fault("LOG-03", error)
    evidence = {"index": case.proof.index, "size": case.proof.size}
    return Check("LOG-03", PASSED, evidence={**evidence, "leaf": case.proof.leaf_hash.hex()})


def log_04_witnesses(case: Case) -> Check:
    """LOG-04: a quorum under the listed policy cosigned; their median time is the proven time."""
    if case.proof is None:
        return not_reached("LOG-04")
    seconds = case.proof.witness_time
    if seconds is None:
        outcome = UNKNOWN if case.require_witnesses else PASSED
        return Check("LOG-04", outcome, code="unwitnessed")
    evidence = {
        "witnesses": sorted(case.proof.witness_times),
        "time": times.to_text(times.from_ms(seconds * 1000)),
    }
    return Check("LOG-04", PASSED, evidence=evidence)
