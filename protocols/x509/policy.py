"""Certificate policies along a path: the valid policy tree of RFC 5280 §6.1.

Only what decides acceptance is kept; policy qualifiers are not. Whoever sets no policy of its own
(`PolicyInput()`) still obeys what certificates require of each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY_POLICY = "2.5.29.32.0"
_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
MAX_NODES = 1_000


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """The inputs of RFC 5280 §6.1.1 (c), (e), (f), (g): policies as dotted identifiers."""

    accepted: frozenset[str] = frozenset({ANY_POLICY})
    explicit: bool = False
    no_mapping: bool = False
    no_any: bool = False


@dataclass(eq=False, slots=True)
class _Node:
    """One node of the tree: its policy, the policies expected below it, and its parent."""

    policy: str
    expected: set[str]
    parent: _Node | None = None
    children: list[_Node] = field(default_factory=list)


class PolicyTree:
    """The state of §6.1.2 (a), (d), (e), (f), carried from certificate to certificate."""

    def __init__(self, length: int, given: PolicyInput) -> None:
        """`length`: certificates in the path, the anchor left out."""
        self._given = given
        self._explicit = 0 if given.explicit else length + 1
        self._mapping = 0 if given.no_mapping else length + 1
        self._any = 0 if given.no_any else length + 1
        self._levels: list[list[_Node]] = [[_Node(ANY_POLICY, {ANY_POLICY})]]

    @property
    def _empty(self) -> bool:
        return not self._levels[0]

    def enter(self, certificate: x509.Certificate, *, last: bool, self_issued: bool) -> None:
        """§6.1.3 (d) to (f): grow the tree by what this certificate asserts."""
        asserted = _asserted(certificate)
        if asserted is None or self._empty:
            self._levels = [[]]
        else:
            self._grow(asserted, wide=self._any > 0 or (not last and self_issued))
        self._require()

    def _require(self) -> None:
        if self._explicit == 0 and self._empty:
            raise RefusedError("certificate_policy", "no policy holds along the whole path")

    def _grow(self, asserted: set[str], *, wide: bool) -> None:
        above, level = self._levels[-1], list[_Node]()
        self._levels.append(level)
        for policy in sorted(asserted - {ANY_POLICY}):
            parents = [node for node in above if policy in node.expected]
            for parent in parents or [node for node in above if node.policy == ANY_POLICY]:
                self._add(level, policy, {policy}, parent)
        if ANY_POLICY in asserted and wide:
            for parent in above:
                for policy in sorted(parent.expected - {node.policy for node in parent.children}):
                    self._add(level, policy, {policy}, parent)
        self._prune()

    def _add(self, level: list[_Node], policy: str, expected: set[str], parent: _Node) -> None:
        if len(level) >= MAX_NODES:
            raise RefusedError("certificate_policy", "the policies are too many")
        node = _Node(policy, expected, parent)
        parent.children.append(node)
        level.append(node)

    def _prune(self) -> None:
        """Take away, level by level upwards, what has no descendant at the lowest level."""
        for depth in range(len(self._levels) - 2, -1, -1):
            for node in self._levels[depth]:
                if not node.children and node.parent is not None:
                    node.parent.children.remove(node)
            self._levels[depth] = [node for node in self._levels[depth] if node.children]

    def leave(self, certificate: x509.Certificate, *, self_issued: bool) -> None:
        """§6.1.4 (a), (b), (h) to (j): prepare for the certificate that this one signed."""
        mappings = _mappings(certificate)
        if any(ANY_POLICY in pair for pair in mappings):
            raise RefusedError("certificate_policy", "any policy is mapped")
        if not self._empty:
            for policy in sorted({issuer for issuer, _ in mappings}):
                self._map(policy, {subject for issuer, subject in mappings if issuer == policy})
        if not self_issued:
            self._explicit, self._mapping, self._any = (
                max(0, each - 1) for each in (self._explicit, self._mapping, self._any)
            )
        constraints = _constraints(certificate)
        self._explicit = min(self._explicit, *constraints[0])
        self._mapping = min(self._mapping, *constraints[1])
        self._any = min(self._any, *constraints[2])

    def _map(self, policy: str, mapped: set[str]) -> None:
        level = self._levels[-1]
        found = [node for node in level if node.policy == policy]
        if self._mapping == 0:
            for node in found:
                level.remove(node)
                if node.parent is not None:
                    node.parent.children.remove(node)
            self._prune()
            return
        for node in found:
            node.expected = mapped
        wild = next((node for node in level if node.policy == ANY_POLICY), None)
        if not found and wild is not None and wild.parent is not None:
            self._add(level, policy, mapped, wild.parent)

    def finish(self, certificate: x509.Certificate) -> None:
        """§6.1.5 (a), (b), (g): what remains must meet the policies that are accepted."""
        self._explicit = max(0, self._explicit - 1)
        if 0 in _constraints(certificate)[0]:
            self._explicit = 0
        if ANY_POLICY not in self._given.accepted:
            self._intersect()
        self._require()

    def _intersect(self) -> None:
        """Keep the branches whose first policy of their own is accepted; any policy keeps all."""
        kept = [node for node in self._levels[-1] if self._accepted(node)]
        if not kept:
            self._levels = [[]]

    def _accepted(self, node: _Node) -> bool:
        first = node
        while first.parent is not None and first.parent.policy != ANY_POLICY:
            first = first.parent
        return first.policy == ANY_POLICY or first.policy in self._given.accepted


def _asserted(certificate: x509.Certificate) -> set[str] | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies)
    except x509.ExtensionNotFound:
        return None
    return {item.policy_identifier.dotted_string for item in found.value}


def _constraints(
    certificate: x509.Certificate,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """requireExplicitPolicy, inhibitPolicyMapping and inhibitAnyPolicy.

    Each ends with a number larger than any counter, so that each has a smallest.
    """
    explicit: int | None = None
    mapping: int | None = None
    no_any: int | None = None
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.PolicyConstraints):
            explicit = extension.value.require_explicit_policy
            mapping = extension.value.inhibit_policy_mapping
        elif isinstance(extension.value, x509.InhibitAnyPolicy):
            no_any = extension.value.skip_certs
    return _bounded(explicit), _bounded(mapping), _bounded(no_any)


def _bounded(value: int | None) -> tuple[int, ...]:
    return (MAX_NODES,) if value is None else (value, MAX_NODES)


def _mappings(certificate: x509.Certificate) -> list[tuple[str, str]]:
    """Pairs (issuer's policy, subject's policy) of the extension §4.2.1.5."""
    for extension in certificate.extensions:
        if extension.oid == _MAPPINGS and isinstance(extension.value, x509.UnrecognizedExtension):
            ((_, outer),) = _elements(extension.value.value)
            pairs = [list(_elements(pair)) for _, pair in _elements(outer)]
            if any([tag for tag, _ in pair] != [6, 6] for pair in pairs):
                raise _malformed()
            return [(_dotted(pair[0][1]), _dotted(pair[1][1])) for pair in pairs]
    return []


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of the DER elements in `data` (X.690 §8.1), lengths up to 64 KiB."""
    position = 0
    while position < len(data):
        head = data[position : position + 4]
        if len(head) < 2:
            raise _malformed()
        size, start = head[1], position + 2
        if size > 0x82 or size == 0x80:
            raise _malformed()
        if size > 0x80:
            count = size - 0x80
            size, start = int.from_bytes(head[2 : 2 + count], "big"), start + count
        position = start + size
        if position > len(data):
            raise _malformed()
        yield head[0], data[start:position]


def _dotted(content: bytes) -> str:
    """An object identifier's content octets (X.690 §8.19) in dotted form."""
    numbers: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    if not numbers or content[-1] & 0x80:
        raise _malformed()
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _malformed() -> MalformedError:
    return MalformedError("certificate_malformed", "the policy mappings are not DER")
