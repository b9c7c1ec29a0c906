"""Names in certificates: comparing them (RFC 5280 §7) and the name constraints on them (§4.2.1.10).

Distinguished names compare without regard to case, string type and surplus spaces. Constraints are
known for directory names, DNS names, mail addresses, URIs and IP addresses; a constraint of any
other kind refuses the path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, TypeAlias

from cryptography import x509
from cryptography.x509.oid import NameOID

from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A distinguished name, ready to be compared: one frozen set per relative name.
Comparable: TypeAlias = tuple[frozenset[tuple[str, str | bytes]], ...]
_KINDS = (
    x509.DirectoryName,
    x509.DNSName,
    x509.RFC822Name,
    x509.UniformResourceIdentifier,
    x509.IPAddress,
)


def comparable(name: x509.Name) -> Comparable:
    """The name as §7.1 compares it."""
    return tuple(
        frozenset((item.oid.dotted_string, _folded(item.value)) for item in relative)
        for relative in name.rdns
    )


def _folded(value: str | bytes) -> str | bytes:
    return value if isinstance(value, bytes) else " ".join(value.casefold().split())


def same(one: x509.Name, other: x509.Name) -> bool:
    """Whether the names are equal under §7.1."""
    return comparable(one) == comparable(other)


@dataclass(slots=True)
class Constraints:
    """What the certificates so far permit, each set of its own, and exclude, all together."""

    permitted: list[list[x509.GeneralName]] = field(default_factory=list)
    excluded: list[x509.GeneralName] = field(default_factory=list)

    def add(self, certificate: x509.Certificate) -> None:
        """§6.1.4 (g). Raises RefusedError `certificate_name_constraints` for an unknown kind."""
        try:
            value = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return
        permitted, excluded = value.permitted_subtrees or [], value.excluded_subtrees or []
        if not all(isinstance(tree, _KINDS) for tree in (*permitted, *excluded)):
            raise _refused("a constraint is of a kind that is not understood here")
        if permitted:
            self.permitted.append(list(permitted))
        self.excluded += excluded

    def check(self, certificate: x509.Certificate) -> None:
        """§6.1.3 (b), (c): every name of the certificate lies within. Raises as `add`."""
        for name in names_of(certificate):
            if any(_is_within(name, tree) for tree in self.excluded):
                raise _refused("a name is excluded by a certificate above")
            for trees in self.permitted:
                alike = [tree for tree in trees if type(tree) is type(name)]
                if alike and not any(_is_within(name, tree) for tree in alike):
                    raise _refused("a name is not permitted by a certificate above")


def _refused(detail: str) -> RefusedError:
    return RefusedError("certificate_name_constraints", detail)


def names_of(certificate: x509.Certificate) -> list[x509.GeneralName]:
    """Subject, alternative names, and mail addresses that stand in the subject alone."""
    names: list[x509.GeneralName] = []
    if certificate.subject.rdns:
        names.append(x509.DirectoryName(certificate.subject))
    alternative = alternatives(certificate)
    names += alternative
    if not any(isinstance(name, x509.RFC822Name) for name in alternative):
        mails = certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
        names += [_mail(str(item.value)) for item in mails]
    return names


def _mail(text: str) -> x509.RFC822Name:
    try:
        return x509.RFC822Name(text)
    except ValueError:
        raise _refused("a mail address cannot be read") from None


def alternatives(certificate: x509.Certificate) -> list[x509.GeneralName]:
    """The subject's alternative names; none when there is no such extension."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def _is_within(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    if isinstance(name, x509.DirectoryName) and isinstance(tree, x509.DirectoryName):
        inner, outer = comparable(name.value), comparable(tree.value)
        return inner[: len(outer)] == outer
    if isinstance(name, x509.DNSName) and isinstance(tree, x509.DNSName):
        return _host_within(name.value, tree.value, below=True)
    if isinstance(name, x509.RFC822Name) and isinstance(tree, x509.RFC822Name):
        return _mail_within(name.value, tree.value)
    if isinstance(name, x509.UniformResourceIdentifier) and isinstance(
        tree, x509.UniformResourceIdentifier
    ):
        return _host_within(_host_of(name.value), tree.value, below=False)
    if isinstance(name, x509.IPAddress) and isinstance(tree, x509.IPAddress):
        network = tree.value
        return isinstance(network, IPv4Network | IPv6Network) and name.value in network
    return False


def _host_within(host: str, constraint: str, *, below: bool) -> bool:
    """Whether a host fits: itself, with `below` anything under it; with a dot, only under it."""
    host, constraint = host.casefold(), constraint.casefold()
    if constraint.startswith("."):
        return host.endswith(constraint)
    return host == constraint or (below and (not constraint or host.endswith("." + constraint)))


def _mail_within(mail: str, constraint: str) -> bool:
    """A whole address, a host, or with a dot the hosts of a domain (§4.2.1.10)."""
    local, _, host = mail.rpartition("@")
    if "@" in constraint:
        wanted, _, at = constraint.rpartition("@")
        return (local, host.casefold()) == (wanted, at.casefold())
    return _host_within(host, constraint, below=False)


def _host_of(uri: str) -> str:
    """The host of a URI with an authority (RFC 3986 §3.2); one without it fits no constraint."""
    rest = uri.partition("://")[2]
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    return authority.rpartition("@")[2].partition(":")[0]


def is_named(certificate: x509.Certificate, uri: str) -> bool:
    """Whether the certificate names that URI, exactly, among its alternative names."""
    names: Sequence[x509.GeneralName] = alternatives(certificate)
    return any(
        isinstance(one, x509.UniformResourceIdentifier) and one.value == uri for one in names
    )
