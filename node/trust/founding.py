"""Founding a network, and setting up the home of a node: what `init` and the test network share.

Everything signed is built by pure functions of `protocols.member_list`; here private keys and
folders meet them. The founding list reaches a node as a file in its home, which the trust service
takes in at its first start: whoever can write there is the node's own operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from node.home import write_private
from node.keystore import KeyStore
from node.settings import Settings, parse, render
from protocols import member_list
from protocols.keys import SoftwareSigner
from protocols.log import note
from protocols.member_list import ListedKey, MemberListDraft, NodeEntry, PartyEntry, Roots
from schemas.errors import ConflictError, MalformedError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from node.home import Home

FOUNDING_FILE = "founding-list.json"
EVERYBODY = ("credential", "exchange", "log", "title", "release", "approval")
WITNESS = ("witness", "registry-witness")


def purposes_for(roles: Iterable[str], platform: str = "") -> tuple[str, ...]:
    """The purposes a node of these roles makes keys for, and of that platform code if it has one;
    registry and root keys are extra."""
    witness = WITNESS if "witness" in set(roles) else ()
    return (*EVERYBODY, *witness, *(("platform",) if platform else ()))


def set_up(
    home: Home,
    table: Mapping[str, Any],
    *,
    extra: Iterable[str] = (),
    credential_algorithm: str | None = None,
) -> KeyStore:
    """Make a home: folders, `pratique.toml`, a key per purpose, an empty store.

    table: settings as `node.settings.parse` takes them; extra: purposes beyond those of its roles
    (`registry`); credential_algorithm: ES256 when not given. Raises ConflictError `home_exists`,
    SettingsError.
    """
    from node import migrations

    settings = parse(table)
    _require_identity(settings)
    if home.settings_file.exists():
        raise ConflictError("home_exists", f"{home.path} is the home of a node already")
    home.create()
    keys = KeyStore(home.keys, settings.node.did)
    node = settings.node
    for purpose in (*purposes_for(node.roles, node.platform), *extra):
        if not keys.has(purpose):
            keys.create(purpose, credential_algorithm if purpose == "credential" else None)
    migrations.upgrade(settings.store.url or home.store_url())
    # Last: a home without settings is not set up, and may be tried again.
    write_private(home.settings_file, render(settings).encode())
    return keys


def _require_identity(settings: Settings) -> None:
    """The entry that a member list would take: the same reader judges it."""
    from protocols.fields import Fields
    from protocols.members import reading

    node = settings.node
    entry = NodeEntry(
        did=node.did,
        name=node.name,
        roles=node.roles,
        country=node.country,
        endpoint="https://endpoint.example",
        keys=(),
        locode=node.locode or None,
        platform=node.platform or None,
    )
    try:
        reading.read_node(Fields(entry.to_json(), reading.CODE))
    except MalformedError as error:
        name = error.pointer.removeprefix("/")
        raise SettingsError(
            "setting_bad", f"node.{name}: {error.detail}", pointer=f"/node/{name}"
        ) from None


def endpoint_of(settings: Settings) -> str:
    """The address peers use, as the member list will carry it."""
    http = settings.http
    return http.public_url.rstrip("/") or f"http://{http.host}:{http.port}"


def node_entry(
    settings: Settings, keys: KeyStore, at: datetime, *, names: Mapping[str, str] | None = None
) -> NodeEntry:
    """The node's entry from its settings and its own keys, valid from `at`."""
    node = settings.node
    return NodeEntry(
        did=node.did,
        name=node.name,
        roles=node.roles,
        country=node.country,
        endpoint=endpoint_of(settings),
        keys=listed_keys(keys, at),
        names=dict(names or {}),
        locode=node.locode or None,
        platform=node.platform or None,
    )


def listed_keys(keys: KeyStore, at: datetime) -> tuple[ListedKey, ...]:
    """All the node's own keys but its roots, as the list carries them, valid from `at`."""
    signers = ((signer, purpose_of(signer.kid)) for signer in keys.own())
    return tuple(listed_key(one, purpose, at) for one, purpose in signers if purpose != "root")


def purpose_of(kid: str) -> str:
    """The purpose in a key id `<did>#<purpose>-<n>`."""
    return kid.partition("#")[2].rpartition("-")[0]


def listed_key(signer: SoftwareSigner, purpose: str, at: datetime) -> ListedKey:
    """One key as the list carries it, valid from `at`."""
    return ListedKey(signer.public(), purpose, signer.kid.partition("#")[0], at)


def party_entries(
    keys: KeyStore, host: str, names: Mapping[str, str], at: datetime
) -> tuple[PartyEntry, ...]:
    """The hosted parties whose title keys are in the key store; names: DID → name."""
    return tuple(
        PartyEntry(did, names.get(did, did), host, (listed_key(signer, "title", at),))
        for did, signer in keys.parties().items()
    )


def roots_of(signers: Sequence[SoftwareSigner], threshold: int) -> Roots:
    """The root keys and how many of them must sign."""
    return Roots(threshold, tuple(signer.public() for signer in signers))


def log_key(signer: SoftwareSigner) -> note.VerifierKey:
    """The C2SP key of a node's log."""
    return note.log_key(_did(signer), signer.public().raw())


def witness_key(signer: SoftwareSigner) -> note.VerifierKey:
    """The C2SP key a node cosigns with."""
    return note.witness_key(_did(signer), signer.public().raw())


def _did(signer: SoftwareSigner) -> str:
    return signer.kid.partition("#")[0]


def found(draft: MemberListDraft, roots: Sequence[SoftwareSigner]) -> bytes:
    """The signed founding list; it is opened again before anybody sees it."""
    signed = member_list.sign_list(draft.payload(), roots)
    member_list.open_founding(signed)
    return signed


def install(home: Home, signed: bytes) -> None:
    """Leave the founding list in a home, to be taken in at the node's first start."""
    write_private(founding_file(home), signed)


def founding_file(home: Home) -> Path:
    """Where `install` leaves the founding list."""
    return home.path / FOUNDING_FILE


@dataclass(frozen=True, slots=True)
class Founding:
    """What the founder decides: the network's name, kind, term, and its own rights."""

    name: str
    test: bool
    at: datetime
    expires: datetime
    threshold: int = 1
    rights: tuple[member_list.IssuerEntry, ...] = ()


def found_alone(
    home: Home, settings: Settings, keys: KeyStore, plan: Founding
) -> member_list.MemberList:
    """A network of one node, whose home holds as many root keys as the threshold asks for."""
    from protocols.members import policies

    roots = [keys.create("root") for _ in range(plan.threshold)]
    entry = node_entry(settings, keys, plan.at)
    log = policies.log_of(entry)
    draft = MemberListDraft(
        name=plan.name,
        test=plan.test,
        issued_at=plan.at,
        expires=plan.expires,
        roots=roots_of(roots, plan.threshold),
        nodes=(entry,),
        issuers=plan.rights,
        logs=(log,) if log else (),
    )
    signed = found(draft, roots)
    install(home, signed)
    return member_list.open_founding(signed)
