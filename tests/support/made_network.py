"""A small made-up network for unit tests: deterministic keys, a founding list, its next version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from protocols import member_list
from protocols.digest import sha256
from protocols.keys import SoftwareSigner
from protocols.member_list import (
    IssuerEntry,
    ListedKey,
    LogEntry,
    MemberList,
    MemberListDraft,
    NodeEntry,
    PartyEntry,
    RegistryEntry,
    Roots,
)

NOW = datetime(2026, 11, 18, 6, tzinfo=UTC)
START = NOW - timedelta(days=30)
A, B = "did:web:a-port.example", "did:web:b-customs.example"
PARTY = "did:web:exporter.example"
ED25519_PURPOSES = ("log", "witness", "registry", "registry-witness", "root")


def signer(kid: str) -> SoftwareSigner:
    """A key that is always the same for the same key id."""
    seed = sha256(kid.encode())
    purpose = kid.partition("#")[2].rpartition("-")[0]
    if purpose in ED25519_PURPOSES:
        return SoftwareSigner(kid, ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    return SoftwareSigner(
        kid, ec.derive_private_key(int.from_bytes(seed, "big") >> 1, ec.SECP256R1())
    )


def listed(kid: str, purpose: str, **times: datetime) -> ListedKey:
    """The key as a list has it."""
    did = kid.partition("#")[0]
    return ListedKey(signer(kid).public(), purpose, did, **{"valid_from": START, **times})


def node(did: str, country: str, port: int, **more: object) -> NodeEntry:
    """A node with a key for each of the usual purposes."""
    keys = tuple(
        listed(f"{did}#{purpose}-1", purpose)
        for purpose in ("credential", "exchange", "log", "witness", "title")
    )
    values = {"roles": ("port",), "names": {"zh": "港"}, **more}
    return NodeEntry(
        did,
        did[8:].title(),
        country=country,
        endpoint=f"http://127.0.0.1:{port}",
        keys=keys,
        **values,
    )


@dataclass(frozen=True)
class Made:
    """The founding list, the roots that signed it and its draft."""

    members: MemberList
    roots: tuple[SoftwareSigner, ...]
    draft: MemberListDraft


def founded(*, threshold: int = 2, roots: int = 3, test: bool = True) -> Made:
    """A network of two nodes and one party under `threshold` of `roots` root keys."""
    signers = tuple(signer(f"{A}#root-{number}") for number in range(1, roots + 1))
    draft = MemberListDraft(
        name="A network",
        test=test,
        issued_at=NOW - timedelta(days=1),
        expires=NOW + timedelta(days=90),
        roots=Roots(threshold, tuple(item.public() for item in signers)),
        nodes=(
            node(A, "CN", 1, locode="CNSHA", platform="AAAA"),
            node(B, "NL", 2, roles=("customs", "issuer")),
        ),
        parties=(
            PartyEntry(PARTY, "Exporter", A, (listed(f"{PARTY}#title-1", "title"),), {"zh": "商"}),
        ),
        issuers=(
            IssuerEntry(A, "certificate-of-origin", "CN", START, None, "origin"),
            IssuerEntry(B, "quality-certificate", "NL", START, NOW + timedelta(days=10)),
            IssuerEntry(A, "quality-certificate", "NL", START, delegated_by=B),
        ),
        agreements=(
            member_list.Agreement(
                "cn-nl", "NL", "CN", ("certificate-of-origin",), START, rules="nl-2026"
            ),
        ),
        logs=(LogEntry("a-port.example/log", A, "vkey-a", 1, ""),),
        registries=(RegistryEntry("a-port.example/registry", A, "vkey-r", "policy"),),
    )
    signed = member_list.sign_list(draft.payload(), signers[:threshold])
    return Made(member_list.open_founding(signed, now=NOW), signers, draft)


def following(made: Made, **changes: object) -> MemberListDraft:
    """A draft of version 2 with some members replaced."""
    from dataclasses import replace

    base = MemberListDraft.after(made.members, issued_at=NOW, expires=NOW + timedelta(days=120))
    return replace(base, **changes)
