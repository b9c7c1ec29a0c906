"""Where a URL out of a document may lead: to a listed host, or nowhere (R7). No socket is opened.

The URL is a look-up key. Its host is a member's endpoint, the host of a listed did:web, or a host
that the operator named in `fetching.hosts`; everything else is unlisted and is not called. What a
listed DID's host names is asked at the endpoint that the list gives for it.

The form is that of RFC 3986 in its narrowest reading: https, a DNS name of letters (RFC 1123), no
user, no fragment, no escaped separators. Plain http exists for loopback endpoints in networks
flagged `test` only. Whether an address may be called is what the IANA registries say, as
`ipaddress` reads them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from protocols.members import anchors
from schemas.errors import RefusedError, SettingsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from protocols.member_list import MemberList

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL = 2048
_URL = re.compile(
    r"(https?)://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?"
    r"(/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Separators, dots and control characters that a server may read otherwise than we do.
_ESCAPED = re.compile(r"%(?:2[ef]|5c|7f|[01][0-9a-f])", re.IGNORECASE)
_SHORTEST = 8
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Asked:
    """A URL in parts. authority: host, with the port where it is not the scheme's own."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As it stands in a URL and in the Host header."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes. name: the authority asked for, which the Host header tells."""

    at: Asked
    name: str

    @property
    def url(self) -> str:
        """The address that is called."""
        return f"{self.at.scheme}://{self.at.authority}{self.at.path}"


class Places:
    """What one member list, and the operator's own list of hosts, let a node call."""

    def __init__(
        self,
        members: MemberList | None,
        hosts: Collection[str] = (),
        inside: Collection[Network] = (),
    ) -> None:
        """hosts: authorities that the operator named; ``host`` or ``host:port``.

        inside: private networks that the operator says members are in; nobody else says so
        """
        self.members = members
        self._inside = tuple(inside)
        self.test = members is not None and members.test
        self._own = frozenset(host.lower() for host in hosts)
        self._endpoints, self._aliases = _index(members)

    def find(self, url: str) -> Target:
        """Where `url` leads.

        Raises RefusedError `url_refused` for a URL no document may hold, UnavailableError
        `host_unlisted` for a host that nothing here lists.
        """
        asked = parse(url)
        loopback = self.test and is_loopback(asked.host.strip("[]"))
        listed, own = self._endpoints.get(asked.authority), asked.authority in self._own
        if (listed is not None and listed.scheme == asked.scheme) or (loopback and own):
            return Target(asked, asked.authority)
        if not loopback:
            _require_public_form(asked)
        if own:
            return Target(asked, asked.authority)
        alias = self._aliases.get(asked.authority)
        if alias is not None and not loopback:
            endpoint, hosted = alias
            at = Asked(endpoint.scheme, endpoint.host, endpoint.port, asked.path)
            return Target(at, asked.authority if hosted else at.authority)
        if asked.port != _PORTS[asked.scheme] and not loopback:
            raise RefusedError("url_refused", "the port is not one that is listed")
        raise UnavailableError("host_unlisted", "the host is not in the member list")

    def allows(self, address: str) -> bool:
        """Whether an IP address may be connected to.

        A public one, one in the operator's own networks, and in test networks loopback.
        """
        return (
            is_public(address)
            or (self.test and is_loopback(address))
            or any(ipaddress.ip_address(address) in network for network in self._inside)
        )


def parse(url: object) -> Asked:
    """The parts of a URL of the narrow form; raises RefusedError `url_refused`."""
    match = _URL.fullmatch(url) if isinstance(url, str) and len(url) <= MAX_URL else None
    if match is None:
        raise RefusedError("url_refused", "not a plain URL of scheme, host and path")
    scheme, host, port, path, query = match.groups()
    path = path or "/"
    if _ESCAPED.search(path) or {".", ".."} & set(path.split("/")):
        raise RefusedError("url_refused", "the path has dots or escaped separators")
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65536 or (port or "1").startswith("0"):
        raise RefusedError("url_refused", "there is no such port")
    return Asked(scheme, host.lower(), number, path + (query or ""))


def read_network(text: str) -> Network:
    """A network in CIDR notation; raises SettingsError `setting_bad`. Never loopback or all."""
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        found = ipaddress.ip_network("::/0")
    if found.is_loopback or found.is_link_local or found.prefixlen < _SHORTEST:
        told = "fetching.inside: a private network is written like 10.20.0.0/16"
        raise SettingsError("setting_bad", told, pointer="/fetching/inside")
    return found


def is_public(address: str) -> bool:
    """Whether it is a globally reachable unicast address, whatever it is wrapped in."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or _translated(found)
        if found.teredo is not None or (inner is not None and not is_public(str(inner))):
            return False
        if inner is not None:
            return True
    return found.is_global and not found.is_multicast and not found.is_reserved


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address behind a NAT64 one (RFC 6052 §2.1)."""
    if address not in ipaddress.ip_network("64:ff9b::/96"):
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def is_loopback(address: str) -> bool:
    """Whether it is 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _require_public_form(asked: Asked) -> None:
    """https to a DNS name: no IP address in any writing, no name of this machine."""
    if asked.scheme != "https":
        raise RefusedError("url_refused", "only https is called")
    if not _is_public_name(asked.host):
        raise RefusedError("url_refused", "the host is no public DNS name")


def _is_public_name(host: str) -> bool:
    return _NAME.fullmatch(host) is not None and not host.endswith(".localhost")


def _index(
    members: MemberList | None,
) -> tuple[Mapping[str, Asked], Mapping[str, tuple[Asked, bool]]]:
    """Endpoints by authority; endpoints by the authority of a DID, and whether it is hosted."""
    endpoints: dict[str, Asked] = {}
    aliases: dict[str, tuple[Asked, bool]] = {}
    if members is None:
        return endpoints, aliases
    for anchor in members.anchors:
        if anchor.purpose == anchors.TIMESTAMP:
            server = _endpoint(anchor.subject, test=members.test)
            if server is not None:
                endpoints[server.authority] = server
    by_did: dict[str, Asked] = {}
    for node in members.nodes:
        found = _endpoint(node.endpoint, test=members.test)
        if found is not None:
            endpoints[found.authority] = by_did[node.did] = found
            aliases[web_authority(node.did)] = (found, False)
    for party in members.parties:
        host = by_did.get(party.host)
        if host is not None:
            aliases.setdefault(web_authority(party.did), (host, True))
    return endpoints, aliases


def _endpoint(text: str, *, test: bool) -> Asked | None:
    """A listed endpoint, if it may be called at all."""
    try:
        found = parse(text)
    except RefusedError:
        return None
    bare = found.host.strip("[]")
    if found.scheme == "http" and not (test and is_loopback(bare)):
        return None
    known = _is_public_name(found.host) or is_public(bare) or (test and is_loopback(bare))
    return found if known else None


def web_authority(did: str) -> str:
    """Host, and port where it has one, that a did:web names (did:web §3.2)."""
    return unquote(did.removeprefix("did:web:").partition(":")[0]).lower()
