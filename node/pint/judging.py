"""Looking at an envelope: everything that is known here is handed to `protocols.pint.checks`.

Runs as one job that reads the store, so all steps see one moment of it. Nothing is written: an
envelope that is refused leaves nothing behind that could stand in the way of the right one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson
from typing_extensions import override

from node.ebl.carriers import issuing_carrier
from node.pint import platforms, rows
from node.pint.keys import platform_code
from node.title import partners
from node.tracking.policy import registry_policy
from protocols import base64url
from protocols.pint import signed
from protocols.pint.checks import judge_all
from protocols.pint.envelope import read_envelope
from protocols.pint.judgement import Judgement
from protocols.pint.receiver import Receiver
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from node.pint.rows import Account
    from node.runtime import Node
    from protocols.pint.chain import Dialect
    from protocols.pint.envelope import EblEnvelope
    from protocols.pint.history import KnownChain
    from protocols.pint.parties import TransactionParty
    from protocols.pint.platforms import Keyring
    from protocols.pint.receiver import RegistryPolicy

MAX_CODE = 4


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found, and upon which chain: it is compared again before anything is kept."""

    judgement: Judgement
    known: KnownChain | None
    account: Account | None = None

    @property
    def document(self) -> bytes:
        """The bill that the chain is about; only for a judgement with entries."""
        return self.judgement.entries[0].entry.document

    @property
    def sender(self) -> str:
        """The code of the platform that signed the last entry."""
        return self.judgement.entries[-1].entry.platform

    @property
    def entry(self) -> bytes:
        """The payload digest of the last entry: what a transfer is known by."""
        return self.judgement.entries[-1].jws.payload_digest


@dataclass(frozen=True, slots=True)
class _About:
    """What the last entry says before it is verified: which bill, from which platform."""

    document: bytes = b""
    platform: str = ""


def look(conn: Connection, node: Node, body: bytes, at: datetime) -> Looked:
    """All checks over the body of POST /v3/envelopes (never raises for what is in it).

    Raises UnavailableError `member_list_missing`, `pint_list_expired`, NotFoundError
    `pint_not_a_platform`.
    """
    return look_all(conn, node, [body], at)[0]


def look_all(conn: Connection, node: Node, bodies: Sequence[bytes], at: datetime) -> list[Looked]:
    """As `look`, over bodies of which none knows of the others."""
    code, keys, policy = platform_code(node), keyring(node), registry_policy(node)
    seen = [_Seen(conn, node, body) for body in bodies]
    judgements = judge_all(
        (one.body, one.receiver(code, keys, policy, at), one.envelope) for one in seen
    )
    return [
        Looked(judgement, one.known, one.accounts.found)
        for judgement, one in zip(judgements, seen, strict=True)
    ]


class _Seen:
    """One body before it is judged: what the store knows of the bill that it is about."""

    def __init__(self, conn: Connection, node: Node, body: bytes) -> None:
        self._conn, self._node, self.body = conn, node, body
        self.envelope = _read(body)
        self.about = _about(self.envelope)
        self.known = rows.known_chain(conn, self.about.document)
        self.accounts = _Accounts(conn, node, self.about.document)

    def receiver(self, code: str, keys: Keyring, policy: RegistryPolicy, at: datetime) -> Receiver:
        known = self.known
        return Receiver(
            platform=code,
            keyring=keys,
            now=at,
            known=lambda wanted: known if wanted == self.about.document else None,
            registries=policy,
            accepts=lambda party: self.accounts.of(party) is not None,
            is_bank=partial(is_bank, self._node),
            held=_Held(self._conn, self.about),
            verified=frozenset(map(signed.checksum, known.texts if known else ())),
            dialect=_dialect(self._node, self.body),
        )


class _Held(AbstractSet[bytes]):
    """The documents that this platform sent for the bill; read when a manifest lists any."""

    def __init__(self, conn: Connection, about: _About) -> None:
        self._conn, self._about = conn, about
        self._read: frozenset[bytes] | None = None

    @property
    def _all(self) -> frozenset[bytes]:
        if self._read is None:
            about = self._about
            self._read = rows.held_documents(self._conn, about.document, about.platform)
        return self._read

    @override
    def __contains__(self, checksum: object) -> bool:
        return checksum in self._all

    @override
    def __iter__(self) -> Iterator[bytes]:
        return iter(self._all)

    @override
    def __len__(self) -> int:
        return len(self._all)


class _Accounts:
    """Looks a recipient up and remembers the account that was found."""

    def __init__(self, conn: Connection, node: Node, document: bytes) -> None:
        self._conn, self._node, self._document = conn, node, document
        self.found: Account | None = None

    def of(self, party: TransactionParty) -> Account | None:
        self.found = platforms.account_of(self._conn, self._node, party.codes)
        if self.found is None:
            self.found = issuing_carrier(self._conn, self._document, party)
        return self.found


def keyring(node: Node) -> Keyring:
    """The list's keyring; on test networks with what an operator told for a test (R7)."""
    listed = platforms.keyring(node)
    switches = getattr(node, "switches", None)
    found: Keyring = listed if switches is None else switches.held.keyring(listed)
    return found


def _dialect(node: Node, body: bytes) -> Callable[[EblEnvelope], Dialect] | None:
    """An older dialect for the peer that an operator named, on test networks only (R7)."""
    switches = getattr(node, "switches", None)
    found: Callable[[EblEnvelope], Dialect] | None = (
        None if switches is None else switches.held.dialect(body)
    )
    return found


def _read(body: bytes) -> EblEnvelope | None:
    """The envelope; None for what is none, of which `judge` says why."""
    try:
        return read_envelope(body)
    except TradeError:
        return None


def _about(envelope: EblEnvelope | None) -> _About:
    """Read loosely: nothing is believed of the entry, `judge` reads it again and verifies it."""
    if envelope is None:
        return _About()
    try:
        payload = orjson.loads(base64url.decode(envelope.chain[-1].split(".")[1]))
        document, platform = payload["transportDocumentChecksum"], payload["eblPlatform"]
        return _About(bytes.fromhex(document), str(platform)[:MAX_CODE])
    except (TradeError, ValueError, TypeError, LookupError, AttributeError):
        return _About()


def is_bank(node: Node, party: TransactionParty) -> bool:
    """Whether a straight bill may be pledged to that party: a bank, or hosted by one."""
    members, did = partners.members_of(node), party.did
    hosted = members.party(did) if did is not None else None
    owner = members.node(hosted.host if hosted is not None else did or "")
    return owner is not None and "bank" in owner.roles
