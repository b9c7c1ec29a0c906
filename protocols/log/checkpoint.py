"""Checkpoints, C2SP tlog-checkpoint v1.0.0: a log's signed size and root; and proofs of forks.

Ours have exactly three lines. Extension lines are refused because monitors cannot audit them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.log import merkle, note
from protocols.log.note import Note, Sign, VerifierKey
from schemas.errors import MalformedError, RefusedError

_SIZE = re.compile(r"(?a:0|[1-9]\d{0,18})")
MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree head: origin line, number of leaves, 32-byte root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """The note text, three lines."""
        return f"{self.origin}\n{self.size}\n{note.encode64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose log signature was verified, with the note it came in."""

    checkpoint: Checkpoint
    note: Note


def parse_size(text: str) -> int:
    """A tree size or index: ASCII decimal without leading zeroes, below 2**63."""
    if not _SIZE.fullmatch(text) or int(text) > MAX_SIZE:
        raise _malformed("a size is decimal without leading zeroes")
    return int(text)


def parse_body(text: str) -> Checkpoint:
    """A checkpoint from its note text. Raises MalformedError `checkpoint_malformed`."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise _malformed("a checkpoint has three lines: origin, size, root")
    root = note.decode64(lines[2], code="checkpoint_malformed")
    if len(root) != merkle.HASH_SIZE:
        raise _malformed("a root has 32 bytes")
    return Checkpoint(lines[0], parse_size(lines[1]), root)


def _malformed(detail: str) -> MalformedError:
    return MalformedError("checkpoint_malformed", detail)


def sign(checkpoint: Checkpoint, key: VerifierKey, sign_with: Sign) -> Note:
    """The checkpoint as a note signed by the log's key."""
    body = checkpoint.body()
    return Note(body, (note.sign(body, key, sign_with),))


def open_checkpoint(
    data: bytes | str, key: VerifierKey, *, origin: str | None = None
) -> SignedCheckpoint:
    """A checkpoint that the log's key has signed.

    The origin line must be `origin`, by default the key's name: they are the same for our logs, but
    not for every log (the Go checksum database's key is ``sum.golang.org``).

    Raises `checkpoint_malformed`, `note_malformed`, `checkpoint_origin_mismatch`,
    `note_not_signed`, `note_signature_invalid`.
    """
    opened = note.open_note(data, key)
    checkpoint = parse_body(opened.text)
    if checkpoint.origin != (key.name if origin is None else origin):
        raise RefusedError("checkpoint_origin_mismatch", "the checkpoint is of another log")
    return SignedCheckpoint(checkpoint, opened)


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Proof that one log signed two histories: `smaller` is no prefix of `larger`."""

    smaller: Checkpoint
    larger: Checkpoint

    @property
    def same_size(self) -> bool:
        """Two roots for one size; otherwise the consistency proof shows the fork."""
        return self.smaller.size == self.larger.size


def equivocation(
    note_a: bytes | str,
    note_b: bytes | str,
    key: VerifierKey | str,
    proof: Sequence[bytes] = (),
    *,
    origin: str | None = None,
) -> Equivocation | None:
    """The proven fork between two notes of the log `key`, or None when they prove none.

    For different sizes, `proof` is the consistency proof that came with the larger one: when it
    leads to the larger root but from another old root, the larger tree contains a different
    history (nobody can find a second old root for it without breaking SHA-256). Raises what
    `open_checkpoint` raises: without the log's own signature nothing is proven.
    """
    log_key = note.parse_vkey(key) if isinstance(key, str) else key
    first, second = sorted(
        (open_checkpoint(data, log_key, origin=origin).checkpoint for data in (note_a, note_b)),
        key=lambda item: (item.size, item.root),
    )
    found = Equivocation(first, second)
    return found if _forked(first, second, proof) else None


def _forked(first: Checkpoint, second: Checkpoint, proof: Sequence[bytes]) -> bool:
    if first.size == second.size:
        return first.root != second.root
    # A power of two is its own first hash, so its proof cannot show another old root.
    if first.size & (first.size - 1) == 0 or not proof:
        return False
    try:
        old_root, new_root = merkle.roots_from_consistency(
            first.size, second.size, first.root, proof
        )
    except RefusedError:
        return False
    return new_root == second.root and old_root != first.root
