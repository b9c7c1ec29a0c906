"""Offline receipts, C2SP tlog-proof v1: one entry is in a log, and a quorum saw that log.

The policy always comes from the verifier's own member list (R5), never from beside the proof.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from protocols.log import checkpoint, cosignature, merkle, note
from protocols.log import policy as log_policy
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Proof
from protocols.log.note import Signature, VerifierKey
from protocols.log.policy import Policy
from schemas.errors import MalformedError, RefusedError, TooLargeError

HEADER = "c2sp.org/tlog-proof@v1"
MEDIA_TYPE = "text/plain; charset=utf-8"
MAX_TEXT = 2 * note.MAX_NOTE
_FORM = re.compile(
    rf"{re.escape(HEADER)}\n"
    r"(?:extra (?P<extra>[^\n]+)\n)?"
    r"index (?P<index>[^\n]+)\n"
    r"(?P<hashes>(?:[^\n]+\n)*)"
    r"\n(?P<checkpoint>[^\n].*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class LogProof:
    """The parts of a proof text. `checkpoint` is the signed note, verbatim."""

    index: int
    hashes: Proof
    checkpoint: str
    extra: bytes | None = None

    def to_text(self) -> str:
        """The proof text (file ending ``.tlog-proof``)."""
        extra = "" if self.extra is None else f"extra {note.encode64(self.extra)}\n"
        hashes = "".join(f"{note.encode64(item)}\n" for item in self.hashes)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.checkpoint}"


def parse(text: str) -> LogProof:
    """Raises MalformedError `log_proof_malformed`, TooLargeError `log_proof_too_large`."""
    if len(text) > MAX_TEXT:
        raise TooLargeError("log_proof_too_large", f"a proof has at most {MAX_TEXT} characters")
    match = _FORM.fullmatch(text)
    if match is None:
        raise _malformed("a proof is header, index, hashes, an empty line and a checkpoint")
    lines = match["hashes"].split("\n")[:-1]
    if len(lines) > merkle.MAX_PROOF:
        raise _malformed(f"at most {merkle.MAX_PROOF} hashes")
    extra = match["extra"]
    return LogProof(
        checkpoint.parse_size(match["index"]),
        tuple([note.decode64(line, code="log_proof_malformed") for line in lines]),
        match["checkpoint"],
        None if extra is None else _decode64(extra),
    )


def _decode64(text: str) -> bytes:
    return note.decode64(text, code="log_proof_malformed")


def _malformed(detail: str) -> MalformedError:
    return MalformedError("log_proof_malformed", detail)


@dataclass(frozen=True, slots=True)
class CheckedCheckpoint:
    """A checkpoint whose signatures were checked under a policy; worth keeping for many proofs.

    witness_times: witness name in the policy → POSIX seconds of its cosignature
    """

    checkpoint: Checkpoint
    witnessed: bool
    witness_times: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ProofResult:
    """What a proof proves: an entry's place, and by whose clocks it was there.

    witnessed: the policy's quorum cosigned; otherwise the receipt proves no time (R17)
    """

    index: int
    size: int
    root: bytes
    leaf_hash: bytes
    witnessed: bool
    witness_times: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def witness_time(self) -> int | None:
        """The median (the lower of two) POSIX time of a quorum's witnesses, else None."""
        times = sorted(self.witness_times.values())
        return times[(len(times) - 1) // 2] if self.witnessed else None


def check_checkpoint(
    text: bytes | str,
    log_key: VerifierKey | str,
    policy: Policy | str,
    *,
    strict: bool = True,
    origin: str | None = None,
) -> CheckedCheckpoint:
    """Check the log's signature and all cosignatures of a checkpoint.

    strict: every line must be by the log or a witness of the policy, and stand there once, so
            that no byte can change unseen. Otherwise lines of unknown keys are ignored. A line
            that names a known key must verify in both modes.
    origin: the log's origin line, where its key has another name

    Raises what `checkpoint.open_checkpoint` raises, `cosignature_invalid`, and in strict mode
    `signature_of_stranger` or `note_malformed`.
    """
    log_key = note.parse_vkey(log_key) if isinstance(log_key, str) else log_key
    policy = log_policy.parse(policy) if isinstance(policy, str) else policy
    opened = checkpoint.open_checkpoint(text, log_key, origin=origin)
    times: dict[str, int] = {}
    for line in opened.note.signatures:
        witness = policy.witness_of(line)
        if witness is not None:
            time = cosignature.verify(opened.note.text, line, witness.key)
            times[witness.name] = min(time, times.get(witness.name, time))
        elif strict and not line.names(log_key):
            raise RefusedError("signature_of_stranger", "a signature line is by an unknown key")
    if strict:
        _one_line_each(opened.note.signatures)
    head = opened.checkpoint
    votes = {item.name for item in policy.voters(head.origin)}
    counted = {name: time for name, time in times.items() if name in votes}
    witnessed = policy.satisfied(counted, origin=head.origin)
    return CheckedCheckpoint(head, witnessed, MappingProxyType(counted))


def _one_line_each(lines: tuple[Signature, ...]) -> None:
    if len({(line.name, line.key_id) for line in lines}) != len(lines):
        raise MalformedError("note_malformed", "a key has signed twice")


def verify(
    proof_text: str,
    entry: bytes,
    log_key: VerifierKey | str,
    policy: Policy | str,
    *,
    strict: bool = True,
    origin: str | None = None,
) -> ProofResult:
    """Verify that `entry` is in the log `log_key`, as far as `policy` says that was witnessed.

    An unsatisfied quorum is no error but `witnessed` = False. In strict mode the unauthenticated
    extra line is refused too. Raises `log_proof_malformed`, `inclusion_proof_invalid` and what
    `check_checkpoint` raises.
    """
    proof = parse(proof_text)
    if strict and proof.extra is not None:
        raise _malformed("extra data is not authenticated")
    checked = check_checkpoint(proof.checkpoint, log_key, policy, strict=strict, origin=origin)
    return verify_under(checked, proof, merkle.leaf_hash(entry))


def verify_under(checked: CheckedCheckpoint, proof: LogProof, leaf_hash: bytes) -> ProofResult:
    """The Merkle half of `verify`, under a checkpoint that was checked before."""
    head = checked.checkpoint
    merkle.verify_inclusion(proof.index, head.size, leaf_hash, proof.hashes, head.root)
    return ProofResult(
        proof.index, head.size, head.root, leaf_hash, checked.witnessed, checked.witness_times
    )
