"""Deterministic Ed25519 keys for the tests of log and witness."""

from __future__ import annotations

from dataclasses import dataclass

import nacl.signing

from protocols.digest import sha256
from protocols.log.note import COSIGNATURE, ED25519, VerifierKey, verifier_key


@dataclass(frozen=True)
class Pair:
    key: VerifierKey
    secret: nacl.signing.SigningKey

    def sign(self, message: bytes) -> bytes:
        return bytes(self.secret.sign(message).signature)


def pair(name: str, algorithm: int) -> Pair:
    secret = nacl.signing.SigningKey(sha256(f"{name}/{algorithm}".encode()))
    return Pair(verifier_key(name, algorithm, bytes(secret.verify_key)), secret)


def log_pair(name: str = "cn-rail.example/log/1") -> Pair:
    return pair(name, ED25519)


def witness_pairs(count: int = 4) -> list[Pair]:
    return [pair(f"w{number}.example/witness/1", COSIGNATURE) for number in range(count)]
