"""Test switches: what a conformance toolkit needs a node to believe, on test networks only (R7).

A toolkit names platforms and a carrier that no member list has, signs everything with
certificates that it shows beforehand, and still speaks an older dialect of PINT. An operator tells
the node of them here; nothing is written to disk, so a restart forgets it. Where the member list
says something of a platform, the switch adds to it and takes nothing away. In a network that is not
flagged `test` nothing can be told, and what was told before counts no longer.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from interop.pint_beta import beta
from protocols.digest import sha256
from protocols.members.anchors import PLATFORM, AnchorEntry
from protocols.pint import signed
from protocols.pint.platforms import Keyring, Signatory, certified
from protocols.x509 import path as x509_path
from schemas import strict_json
from schemas.errors import ForbiddenError, MalformedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.runtime import Node
    from protocols.member_list import MemberList
    from protocols.pint.chain import Dialect
    from protocols.pint.envelope import EblEnvelope
    from protocols.pint.parties import TransactionParty

MAX_PEERS = 32
MAX_CERTIFICATES = 8
_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SwitchedPeer:
    """A platform or carrier that is under test, or tests.

    code: its platform code; certificates: DER, whose keys sign for it; url: base address of its API
    headers: sent with every call to it; beta: whether it speaks PINT's older dialect
    """

    code: str
    certificates: tuple[bytes, ...] = ()
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    beta: bool = False


class Switches:
    """What an operator told for a test; empty until then, and after a reset."""

    def __init__(self, members: Callable[[], MemberList | None]) -> None:
        """members: the list in force."""
        self._members = members
        self._peers: dict[str, SwitchedPeer] = {}
        self._carriers: tuple[bytes, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the node is in a network that is flagged `test`."""
        members = self._members()
        return members is not None and members.test

    def require(self) -> None:
        """Raises ForbiddenError `test_switch_refused` unless the network is flagged `test` (R7)."""
        if not self.allowed:
            raise ForbiddenError("test_switch_refused", "the network is not flagged for tests")

    def tell(
        self,
        *,
        peers: Iterable[SwitchedPeer] = (),
        carriers: Iterable[bytes] = (),
    ) -> None:
        """Replaces everything that was told. carriers: DER certificates of whoever issues.

        Raises ForbiddenError `test_switch_refused`.
        """
        self.require()
        self._peers = {peer.code: peer for peer in peers}
        self._carriers = tuple(carriers)

    def to_json(self) -> dict[str, Any]:
        """What was told; certificates by their SHA-256."""
        return {
            "peers": [
                {
                    "code": peer.code,
                    "certificates": [sha256(der).hex() for der in peer.certificates],
                    "url": peer.url,
                    "beta": peer.beta,
                }
                for peer in self._peers.values()
            ],
            "carriers": [sha256(der).hex() for der in self._carriers],
        }

    @property
    def told(self) -> bool:
        """Whether anything holds that the member list does not say."""
        return self.allowed and bool(self._peers or self._carriers)

    def peer(self, code: str) -> SwitchedPeer | None:
        """The peer of that platform code, None where nothing was told of it."""
        return self._peers.get(code) if self.allowed else None

    def keyring(self, listed: Keyring) -> Keyring:
        """The keyring with what was told added; `listed` itself where nothing was."""
        if not self.told:
            return listed
        return SwitchedKeyring(listed, self._peers, self._carriers)

    def dialect(self, data: bytes) -> Callable[[EblEnvelope], Dialect] | None:
        """The older dialect, when the platform that the last entry names was told to speak it.

        data: the body of POST /v3/envelopes. Whose the entry really is, its signature shows later.
        """
        if not self.allowed or not any(peer.beta for peer in self._peers.values()):
            return None
        peer = self._peers.get(_last_platform(data))
        return beta if peer is not None and peer.beta else None


def switches_of(node: Node) -> Switches:
    """What was told to this node; nothing, where it is composed without the switches."""
    service = getattr(node, "switches", None)
    return service.held if service is not None else Switches(lambda: None)


def _last_platform(data: bytes) -> str:
    try:
        chain = strict_json.loads_object(data).get("envelopeTransferChain")
        last = chain[-1] if isinstance(chain, list) and chain else ""
        entry = strict_json.loads_object(signed.parse(str(last)).payload)
    except TradeError:
        return ""
    return str(entry.get("eblPlatform"))


@dataclass(frozen=True, slots=True)
class SwitchedKeyring(Keyring):
    """The member list's keyring with the certificates that an operator told of."""

    listed: Keyring
    peers: Mapping[str, SwitchedPeer]
    carriers: tuple[bytes, ...]

    @override
    def platform(self, code: str) -> Signatory | None:
        """The listed platform and what was told of it."""
        found, peer = self.listed.platform(code), self.peers.get(code)
        if peer is None:
            return found
        return _with(found or Signatory(code), peer.certificates)

    @override
    def carrier(self, issuer: TransactionParty) -> Signatory | None:
        """The listed carrier; for an issuer that is no member, the carrier that was told of."""
        found = self.listed.carrier(issuer)
        if found is not None or not self.carriers:
            return found
        return _with(Signatory(issuer.name), self.carriers)


def _with(signatory: Signatory, certificates: Iterable[bytes]) -> Signatory:
    anchors = tuple(AnchorEntry(PLATFORM, signatory.name, der, _ALWAYS) for der in certificates)
    return replace(
        signatory,
        keys=(*signatory.keys, *certified(anchors)),
        anchors=(*signatory.anchors, *anchors),
    )


def read_certificate(pem: str) -> bytes:
    """DER of a certificate in PEM; raises MalformedError `certificate_malformed`."""
    try:
        der = ssl.PEM_cert_to_DER_cert(pem.strip())
    except ValueError:
        raise MalformedError("certificate_malformed", "a certificate is given in PEM") from None
    x509_path.load(der)
    return der
