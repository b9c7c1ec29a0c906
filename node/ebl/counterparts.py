"""Carriers and platforms on the other side: members of the network, and others that the operator
has written down.

A member is known by its signature on the call (RFC 9421, R12) and reached at the address of the
member list. A foreign one stands in the file that `ebl.counterparts` names: its address, the header
that we show it, the header that it shows us, the certificates with which it signs. Nothing about it
is ever taken from a message (R7). Secrets are in files of their own.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from node.http.peer_auth import PeerGuard, is_secret
from protocols.members.anchors import PLATFORM, AnchorEntry
from protocols.pint.parties import (
    DID_LIST,
    DID_PROVIDER,
    NO_PLATFORM,
    IdentifyingCode,
    TransactionParty,
)
from protocols.pint.platforms import MemberKeyring, Signatory, certified
from schemas.errors import NotFoundError, SettingsError, UnauthenticatedError

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web

    from node.runtime import Node
    from protocols.member_list import MemberList
    from protocols.seams import Answer

CARRIER_ROLE, PLATFORM_ROLE = "carrier", "platform"
MAX_FILE = 256 * 1024
_ALWAYS = datetime.min.replace(tzinfo=UTC)
_KEYS = {"role", "url", "send", "expect", "certificates", "subscription"}


@dataclass(frozen=True, slots=True)
class Header:
    """A header that proves who calls."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Counterpart:
    """One other side. name: its DID as a member, else the operator's name for it.

    code: of a platform, up to four characters; subscription: the reference it gave for
    notifications, None when it wants none
    """

    name: str
    roles: frozenset[str]
    code: str | None = None
    url: str | None = None
    send: Header | None = None
    expect: Header | None = None
    certificates: tuple[bytes, ...] = ()
    subscription: str | None = None

    @property
    def is_member(self) -> bool:
        """Whether the member list names it."""
        return self.url is None


class Counterparts:
    """Finds, admits and calls them."""

    def __init__(self, node: Node) -> None:
        """Reads the operator's file; raises SettingsError `ebl_counterparts_bad`."""
        self._node = node
        self._guard = PeerGuard(node)
        self._foreign = read(node.home.path, node.settings.ebl.counterparts)

    def named(self, name: str) -> Counterpart:
        """By DID or by the operator's name; raises NotFoundError `ebl_counterpart_unknown`."""
        found = self._foreign.get(name) or self._member(name)
        if found is None:
            raise NotFoundError("ebl_counterpart_unknown", name)
        return found

    def platform(self, code: str) -> Counterpart:
        """The platform of that code; raises NotFoundError `ebl_counterpart_unknown`."""
        foreign = self._foreign.get(code)
        if foreign is not None and PLATFORM_ROLE in foreign.roles:
            return foreign
        members = self._node.members.current
        entry = members.platform(code) if members else None
        member = self._member(entry.did) if entry else None
        if member is None:
            raise NotFoundError("ebl_counterpart_unknown", code)
        return member

    async def admit(self, request: web.Request) -> Counterpart:
        """Who calls; raises UnauthenticatedError `ebl_caller_unknown` and as `PeerGuard.admit`."""
        if "Signature" in request.headers:
            call = await self._guard.admit(request)
            member = self._member(call.did)
            if member is not None:
                return member
        for one in self._foreign.values():
            if one.expect is not None and _shows(request, one.expect):
                return one
        raise UnauthenticatedError("ebl_caller_unknown", "neither a member's signature nor a key")

    async def call(self, to: Counterpart, method: str, path: str, body: bytes) -> Answer:
        """Its answer, whatever the status; raises UnavailableError when there was none."""
        headers = {"API-Version": "3", "Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        if to.url is None:
            return await self._node.client.call(to.name, method, path, body, headers=headers)
        if to.send is not None:
            headers[to.send.name] = to.send.value
        return await self._node.client.open_call(method, to.url + path, body, headers=headers)

    def signatory(self, carrier: Counterpart) -> Signatory:
        """Whose keys sign a carrier's issuance manifests."""
        members = self._node.members.current
        if carrier.is_member and members is not None:
            return member_carrier(members, carrier.name)
        return foreign_carrier(carrier)

    def _member(self, did: str) -> Counterpart | None:
        members = self._node.members.current
        entry = members.node(did) if members else None
        if entry is None:
            return None
        roles = frozenset(
            role
            for role, is_one in (
                (CARRIER_ROLE, "carrier" in entry.roles),
                (PLATFORM_ROLE, entry.platform is not None),
            )
            if is_one
        )
        return Counterpart(did, roles, entry.platform, subscription=did if roles else None)


def foreign_carrier(carrier: Counterpart) -> Signatory:
    """By the certificates that the operator wrote down for it."""
    # The operator's word has no beginning of its own: each certificate's own times count.
    anchors = tuple(
        AnchorEntry(PLATFORM, carrier.name, one, _ALWAYS) for one in carrier.certificates
    )
    return Signatory(carrier.name, tuple(certified(anchors)), anchors)


def member_carrier(members: MemberList, did: str) -> Signatory:
    """By its title key under our own typ, by its certified credential key in DCSA's plain form."""
    code = IdentifyingCode(DID_PROVIDER, did, DID_LIST)
    found = MemberKeyring(members).carrier(TransactionParty(did, NO_PLATFORM, (code,)))
    return found or Signatory(did)


def _shows(request: web.Request, expected: Header) -> bool:
    return is_secret(request.headers.get(expected.name, ""), expected.value)


def read(home: Path, name: str) -> dict[str, Counterpart]:
    """The operator's file: a table for each, by its name; raises SettingsError.

    role = "platform" | "carrier"; url; send, expect = "Header-Name: file"; certificates = a PEM
    file; subscription = the reference under which it is notified
    """
    if not name:
        return {}
    try:
        table = tomllib.loads(_bytes(home / name).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError("ebl_counterparts_bad", f"{name}: {error}") from None
    return {key: _counterpart(home, key, value) for key, value in table.items()}


def _counterpart(home: Path, name: str, values: Any) -> Counterpart:
    if not isinstance(values, dict) or not set(values) <= _KEYS:
        raise _bad(name, f"known are {', '.join(sorted(_KEYS))}")
    if not all(isinstance(value, str) for value in values.values()):
        raise _bad(name, "every value is a text")
    role, url = values.get("role"), values.get("url", "").rstrip("/")
    if role not in {CARRIER_ROLE, PLATFORM_ROLE} or not url.startswith(("https://", "http://")):
        raise _bad(name, "it has a role, carrier or platform, and a url")
    return Counterpart(
        name,
        frozenset({role}),
        code=name if role == PLATFORM_ROLE else None,
        url=url,
        send=_header(home, name, values.get("send")),
        expect=_header(home, name, values.get("expect")),
        certificates=_certificates(home, name, values.get("certificates")),
        subscription=values.get("subscription"),
    )


def _header(home: Path, name: str, text: str | None) -> Header | None:
    if text is None:
        return None
    header, separator, file = (part.strip() for part in text.partition(":"))
    value = _bytes(home / file).decode("ascii", "replace").strip() if file else ""
    if not separator or not header or not value:
        raise _bad(name, "a header is written as name: file, the file holds its value")
    return Header(header, value)


def _certificates(home: Path, name: str, file: str | None) -> tuple[bytes, ...]:
    if file is None:
        return ()
    try:
        found = x509.load_pem_x509_certificates(_bytes(home / file))
    except ValueError:
        raise _bad(name, f"{file} cannot be read as PEM") from None
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(MAX_FILE)
    except OSError as error:
        raise SettingsError("ebl_counterparts_bad", f"{file.name}: {error.strerror}") from None


def _bad(name: str, detail: str) -> SettingsError:
    return SettingsError("ebl_counterparts_bad", f"{name}: {detail}")
