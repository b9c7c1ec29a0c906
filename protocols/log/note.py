"""Signed notes and verifier keys, C2SP signed-note v1.0.0, byte for byte.

A note is text, an empty line and signature lines ``— <key name> base64(key ID ‖ signature)``.
Key types here are 0x01 (Ed25519 over the text), 0x04 (timestamped Ed25519 cosignature) and 0x06
(ML-DSA-44 cosignature), see `protocols.log.cosignature`; signatures of other types belong to
unknown keys and are ignored.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa

from protocols import keys
from protocols.digest import sha256
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from protocols.keys import Check

ED25519 = 0x01
COSIGNATURE = 0x04
ML_DSA_44 = 0x06
KEY_SIZES: Mapping[int, int] = MappingProxyType({ED25519: 32, COSIGNATURE: 32, ML_DSA_44: 1312})
"""Key type → bytes of a public key."""

MAX_NOTE = 65_536
MAX_SIGNATURES = 64
"""Verifiers must take at least 16 (signed-note, *Format*)."""

_DASH = "\u2014"
_CONTROLS = frozenset(map(chr, range(32))) - {"\n"}

Sign: TypeAlias = Callable[[bytes], bytes]
"""Private half of a key: message → signature (64 bytes by Ed25519, 2420 by ML-DSA-44)."""


def encode64(data: bytes) -> str:
    """Standard padded base64 (RFC 4648 §4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode64(text: str, *, code: str = "note_malformed") -> bytes:
    """The bytes of canonical padded base64; raises MalformedError `code` for any other text."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # of binascii, or for what is not ASCII
        raise MalformedError(code, "not base64") from None
    if encode64(data) != text:
        # Two texts for one value would let a changed byte pass unseen.
        raise MalformedError(code, "base64 is not in its canonical form")
    return data


def valid_name(name: str) -> bool:
    """A key name is non-empty, without Unicode spaces and plus."""
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def organisation(name: str) -> str:
    """Who stands behind a key name: the part before the first slash of a schema-less URL."""
    return name.split("/", 1)[0]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that notes are verified with: name, type byte, public key as `KEY_SIZES` says."""

    name: str
    algorithm: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """``SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]``."""
        return _key_id(self.name, self.algorithm, self.public_key)

    @property
    def organisation(self) -> str:
        """The organisation that has at most one vote (R16)."""
        return organisation(self.name)

    def to_text(self) -> str:
        """The vkey ``name+hex(key ID)+base64(type ‖ public key)``."""
        material = bytes((self.algorithm,)) + self.public_key
        return f"{self.name}+{self.key_id.hex()}+{encode64(material)}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` over `message` is by this key (Ed25519: libsodium's rule, R2)."""
        return _checker(self.algorithm, self.public_key)(signature, message)


@lru_cache(maxsize=1024)
def _key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes((algorithm,)) + public_key)[:4]


@lru_cache(maxsize=1024)
def _checker(algorithm: int, public_key: bytes) -> Check:
    if algorithm != ML_DSA_44:
        return keys.from_ed25519_bytes("", public_key).verify
    key = mldsa.MLDSA44PublicKey.from_public_bytes(public_key)

    def check(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


def verifier_key(name: str, algorithm: int, public_key: bytes) -> VerifierKey:
    """A checked key. Raises MalformedError `vkey_malformed` for a bad name, type or point."""
    if not valid_name(name):
        raise _bad_vkey("a key name has no spaces and no plus sign")
    if algorithm not in KEY_SIZES:
        raise _bad_vkey("key types are 0x01 (Ed25519), 0x04 and 0x06 (cosignatures)")
    if len(public_key) != KEY_SIZES[algorithm]:
        raise _bad_vkey("the public key has another length")
    try:
        _checker(algorithm, public_key)
    except (MalformedError, ValueError):
        raise _bad_vkey("not a valid public key") from None
    return VerifierKey(name, algorithm, public_key)


def log_key(did: str, public_key: bytes, number: int = 1) -> VerifierKey:
    """The key of a member's log; its name, the origin line, is ``<host>/log/<number>``."""
    return verifier_key(f"{_host(did)}/log/{number}", ED25519, public_key)


def witness_key(did: str, public_key: bytes, number: int = 1) -> VerifierKey:
    """The key with which a member cosigns; its name is ``<host>/witness/<number>``."""
    return verifier_key(f"{_host(did)}/witness/{number}", COSIGNATURE, public_key)


def _host(did: str) -> str:
    return did.removeprefix("did:web:")


@lru_cache(maxsize=1024)
def parse_vkey(text: str) -> VerifierKey:
    """The key of a vkey text; the key ID must match. Raises MalformedError `vkey_malformed`."""
    parts = text.split("+", 2)
    if len(parts) != 3 or len(parts[1]) != 8 or set(parts[1]) - set("0123456789abcdef"):
        raise _bad_vkey("a vkey is name+key ID+key material")
    material = decode64(parts[2], code="vkey_malformed")
    key = verifier_key(parts[0], material[0] if material else 0, material[1:])
    if key.key_id.hex() != parts[1]:
        raise _bad_vkey("the key ID does not belong to this key")
    return key


def _bad_vkey(detail: str) -> MalformedError:
    return MalformedError("vkey_malformed", detail)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: key name, 4-byte key ID and the bytes after it."""

    name: str
    key_id: bytes
    value: bytes

    def to_text(self) -> str:
        """The line, with its newline."""
        return f"{_DASH} {self.name} {encode64(self.key_id + self.value)}\n"

    def names(self, key: VerifierKey) -> bool:
        """Whether this line claims to be by `key`: name and key ID both match."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True, slots=True)
class Note:
    """A note: its text, ending in a newline, and its signature lines in order."""

    text: str
    signatures: tuple[Signature, ...]

    def to_text(self) -> str:
        """The signed note."""
        return self.text + "\n" + "".join(line.to_text() for line in self.signatures)

    def with_signatures(self, signatures: Iterable[Signature]) -> Note:
        """The same text with more signature lines; a line already there is not repeated."""
        merged = dict.fromkeys((*self.signatures, *signatures))
        return Note(self.text, tuple(merged))


def parse(data: bytes | str) -> Note:
    """A signed note from its bytes. Raises `note_malformed` or TooLargeError `note_too_large`."""
    text = _to_text(data)
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise _bad_note("a note is text, an empty line and signature lines")
    lines = tail.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise TooLargeError("note_too_large", f"a note has at most {MAX_SIGNATURES} signatures")
    return Note(body + "\n", tuple(parse_signature(line) for line in lines))


def _to_text(data: bytes | str) -> str:
    if len(data) > MAX_NOTE:
        raise TooLargeError("note_too_large", f"a note has at most {MAX_NOTE} bytes")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad_note("a note is UTF-8") from None
    if not _CONTROLS.isdisjoint(text):
        raise _bad_note("a note has no control characters")
    return text


def parse_signature(line: str) -> Signature:
    """One signature line without its newline. Raises MalformedError `note_malformed`."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH or not valid_name(parts[1]):
        raise _bad_note("a signature line is — name base64")
    value = decode64(parts[2])
    if len(value) < 5:
        raise _bad_note("a signature is a key ID and at least one byte")
    return Signature(parts[1], value[:4], value[4:])


def parse_signature_lines(text: str) -> tuple[Signature, ...]:
    """The lines that a witness answers with, each ending in a newline."""
    if len(text) > MAX_NOTE or not text.endswith("\n"):
        raise _bad_note("signature lines end in a newline")
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise TooLargeError("note_too_large", f"at most {MAX_SIGNATURES} signature lines")
    return tuple(parse_signature(line) for line in lines)


def _bad_note(detail: str) -> MalformedError:
    return MalformedError("note_malformed", detail)


def sign(text: str, key: VerifierKey, sign_with: Sign) -> Signature:
    """The signature line of a type 0x01 key over `text`, which ends in a newline."""
    if key.algorithm != ED25519 or not text.endswith("\n"):
        raise ValueError("a type 0x01 key signs text that ends in a newline")
    return Signature(key.name, key.key_id, sign_with(text.encode()))


def open_note(data: bytes | str, key: VerifierKey) -> Note:
    """A note that `key` (type 0x01) has signed.

    Every line that names the key must verify. Raises RefusedError `note_not_signed` when none
    names it, `note_signature_invalid` when one does not verify.
    """
    note = parse(data)
    mine = {line for line in note.signatures if line.names(key)}
    if not mine:
        raise RefusedError("note_not_signed", "no signature line names the expected key")
    message = note.text.encode()
    if key.algorithm != ED25519 or not all(key.verifies(message, line.value) for line in mine):
        raise RefusedError("note_signature_invalid", "a signature of the expected key is wrong")
    return note
