"""What logs and witnesses say to each other: C2SP tlog-witness, and the question of R15.

After every start a log or a witness asks its partners for the last state they hold of a log. The
answer is a note signed by the partner's witness key over the asker's nonce, so that nobody between
them can replay an older one; the log's own signed checkpoint stands beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.log import checkpoint, merkle, note
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Proof
from protocols.log.note import ED25519, Sign, VerifierKey
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError

SIZE_MEDIA_TYPE = "text/x.tlog.size"
MAX_REQUEST = note.MAX_NOTE + 8192
MAX_PROOF_LINES = 63
STATE_HEADER = "pratique/witness-state/v1"
NONCE_SIZE = 16
_NONCE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request for a cosignature: the size cosigned before, the proof, the signed note."""

    old: int
    proof: Proof
    checkpoint: str

    def to_bytes(self) -> bytes:
        """The request body."""
        hashes = "".join(f"{note.encode64(item)}\n" for item in self.proof)
        return f"old {self.old}\n{hashes}\n{self.checkpoint}".encode()


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Raises MalformedError `witness_request_malformed`, `checkpoint_malformed`; TooLargeError."""
    if len(data) > MAX_REQUEST:
        raise TooLargeError("note_too_large", f"a request has at most {MAX_REQUEST} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("a request is UTF-8") from None
    head, separator, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    if not separator or not first.startswith("old ") or len(lines) > MAX_PROOF_LINES:
        raise _malformed("old size, at most 63 proof lines, an empty line, the checkpoint")
    hashes = tuple(note.decode64(line, code="witness_request_malformed") for line in lines)
    if any(len(item) != merkle.HASH_SIZE for item in hashes):
        raise _malformed("a proof line is a hash of 32 bytes")
    return AddCheckpoint(checkpoint.parse_size(first.removeprefix("old ")), hashes, body)


def parse_size_answer(body: bytes) -> int:
    """The size in the body of a 409 answer."""
    if len(body) > 32 or not body.endswith(b"\n"):
        raise _malformed("a size is a decimal line")
    return checkpoint.parse_size(body[:-1].decode("ascii", "replace"))


def _malformed(detail: str) -> MalformedError:
    return MalformedError("witness_request_malformed", detail)


@dataclass(frozen=True, slots=True)
class WitnessState:
    """What a witness holds of a log: its last cosigned checkpoint (signed note), or nothing."""

    network: bytes
    nonce: bytes
    origin: str
    checkpoint: str = ""

    def text(self) -> str:
        """The text of the statement; it names the checkpoint by size and root."""
        head = Checkpoint(self.origin, 0, merkle.EMPTY_ROOT)
        if self.checkpoint:
            head = checkpoint.parse_body(note.parse(self.checkpoint).text)
        return (
            f"{STATE_HEADER}\nnetwork {self.network.hex()}\nnonce {self.nonce.hex()}\n"
            f"origin {self.origin}\nsize {head.size}\nroot {note.encode64(head.root)}\n"
        )


def _statement_key(key: VerifierKey) -> VerifierKey:
    """The witness's key under type 0x01: the text's first line keeps it apart (signed-note)."""
    return VerifierKey(key.name, ED25519, key.public_key)


def sign_state(state: WitnessState, key: VerifierKey, sign_with: Sign) -> bytes:
    """The answer's body: the signed statement and the checkpoint it is about."""
    line = note.sign(state.text(), _statement_key(key), sign_with)
    statement = note.Note(state.text(), (line,)).to_text()
    return strict_json.canonical({"statement": statement, "checkpoint": state.checkpoint})


def open_state(
    data: bytes, asked: WitnessState, key: VerifierKey, log_key: VerifierKey
) -> tuple[Checkpoint | None, str]:
    """The verified checkpoint that the witness `key` holds, and its note; (None, "") without one.

    `asked` tells network, nonce and origin. Raises RefusedError `witness_state_invalid`, what
    `note.open_note` and `checkpoint.open_checkpoint` raise, and `json_*`.
    """
    value = strict_json.loads_object(data, max_bytes=2 * note.MAX_NOTE)
    statement, held = value.get("statement"), value.get("checkpoint")
    if not isinstance(statement, str) or not isinstance(held, str):
        raise RefusedError("witness_state_invalid", "an answer has a statement and a checkpoint")
    opened = note.open_note(statement, _statement_key(key))
    told = WitnessState(asked.network, asked.nonce, asked.origin, held)
    if opened.text != told.text():
        raise RefusedError("witness_state_invalid", "the answer is not to this question")
    if not held:
        return None, ""
    return checkpoint.open_checkpoint(held, log_key, origin=asked.origin).checkpoint, held


def parse_nonce(text: str) -> bytes:
    """The 16-byte nonce of a question, in hexadecimal."""
    if not _NONCE.fullmatch(text):
        raise _malformed("a nonce is 32 hexadecimal digits")
    return bytes.fromhex(text)
