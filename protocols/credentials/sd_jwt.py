"""Selective disclosure for JWTs (RFC 9901): a signed payload of digests, and what is disclosed.

`<JWS>~<disclosure>~…~[key binding]`. A disclosure is base64url JSON, [salt, name, value] for a
member and [salt, value] for an array element; the payload holds its digest in `_sd` or in
`{"...": digest}`. Everything §7.1 wants rejected is rejected, and error texts never echo a value
or a salt. Salts are passed in. The signature is the JWS's own (`protocols.jws`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from protocols import base64url, jws
from protocols.jws import Jws
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError
from schemas.fields import pointer_of

if TYPE_CHECKING:
    from schemas.fields import Path
    from schemas.strict_json import JsonValue

#: IANA "Named Information Hash Algorithm" name → the function; weak ones are not here.
HASHES: Mapping[str, Callable[[bytes], hashlib._Hash]] = MappingProxyType(
    {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}
)
HASH = "sha-256"
MAX_DISCLOSURES = 4096
MAX_DEPTH = 64
SALT_BYTES = 16  # RFC 9901 §9.3: at least 128 bits
_DIGESTS, _ELEMENT, _ALGORITHM = "_sd", "...", "_sd_alg"
_CONTAINERS = (dict, list)
_RESERVED = frozenset({_DIGESTS, _ELEMENT})
_NONE: list[JsonValue] = []

Salts: TypeAlias = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class SdJwt:
    """A parsed, not yet verified SD-JWT: disclosures as base64url texts, key binding or ""."""

    jws: Jws
    disclosures: tuple[str, ...] = field(default=(), repr=False)
    key_binding: str = field(default="", repr=False)

    @property
    def presented(self) -> str:
        """Everything up to and including the last tilde: what `sd_hash` covers (§4.3.1)."""
        return "~".join((self.jws.text, *self.disclosures, ""))

    @property
    def text(self) -> str:
        """The whole, as it travels."""
        return self.presented + self.key_binding


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One disclosure that found its place: JSON pointer in the claims, base64url text."""

    pointer: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revealed:
    """The claims with what was disclosed put in, and what is still concealed.

    disclosed: in the order of the payload; hidden: pointer of an object → members still concealed
    in it; elements: pointers of arrays with concealed or disclosed elements; hash: `_sd_alg`
    """

    claims: dict[str, JsonValue] = field(repr=False)
    disclosed: tuple[Disclosed, ...]
    hidden: Mapping[str, int]
    elements: frozenset[str]
    hash: str


def parse(text: str, *, typ: str | AbstractSet[str], max_bytes: int = jws.MAX_BYTES) -> SdJwt:
    """The SD-JWT, with or without key binding, whose JWS has (one of) `typ`.

    Raises MalformedError `sd_jwt_malformed`, TooLargeError, and what `jws.parse` raises.
    """
    if len(text) > max_bytes:
        raise TooLargeError("jws_too_large", f"more than {max_bytes} characters")
    if not text.isascii():
        raise MalformedError("sd_jwt_malformed", "an SD-JWT is ASCII")
    signed, *disclosures = text.split("~", MAX_DISCLOSURES + 2)
    if not disclosures:
        raise MalformedError("sd_jwt_malformed", "an SD-JWT has a tilde after its JWS")
    if len(disclosures) > MAX_DISCLOSURES + 1:
        raise TooLargeError("sd_jwt_too_many", f"more than {MAX_DISCLOSURES} disclosures")
    if not all(disclosures[:-1]):
        raise MalformedError("sd_jwt_malformed", "a disclosure is empty")
    parsed = jws.parse(signed, typ=typ, max_bytes=max_bytes)
    return SdJwt(parsed, tuple(disclosures[:-1]), disclosures[-1])


def digest_of(text: str, algorithm: str = HASH) -> str:
    """The base64url digest of an ASCII text: of a disclosure, or of what a holder presents."""
    return base64url.encode(HASHES[algorithm](text.encode("ascii")).digest())


def _digests(texts: Sequence[str], make: Callable[[bytes], hashlib._Hash]) -> list[str]:
    """`digest_of` each of these texts, none of which holds a tilde."""
    encoded = "~".join(texts).encode("ascii").split(b"~") if texts else []
    return base64url.encode_each([make(text).digest() for text in encoded])


class _Disclosures:
    """The disclosures of one presentation, read: [salt, name, value] or [salt, value] each.

    levels: how deep each nests at most, where none of them holds anything to open
    """

    __slots__ = ("items", "levels", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        data = base64url.decode_each(texts, pointer="disclosure")
        self.items = [_items(value) for value in strict_json.loads_each(data)]
        whole = b",".join(data)
        self.levels: list[int] | None = None
        # Without these names, however they may be escaped, no digest stands in any of them.
        if not any(mark in whole for mark in (b"_sd", b"...", b"\\")):
            self.levels = [one.count(b"[") + one.count(b"{") for one in data]


def _items(items: JsonValue) -> list[JsonValue]:
    if not isinstance(items, list) or len(items) not in (2, 3) or not isinstance(items[0], str):
        raise MalformedError("disclosure_malformed", "a disclosure is [salt, name, value]")
    if len(items) == 3 and (not isinstance(items[1], str) or items[1] in _RESERVED):
        raise MalformedError("disclosure_malformed", "a disclosure has a name that is not allowed")
    return items


def reveal(given: SdJwt) -> Revealed:
    """Put every disclosure in its place (§7.1); the signature is checked elsewhere.

    Raises MalformedError (`sd_jwt_malformed`, `disclosure_malformed`, json_*, base64url_malformed),
    RefusedError (`sd_alg_unknown`, `sd_digest_twice`, `disclosure_unreferenced`,
    `disclosure_name_exists`) or TooLargeError.
    """
    claims = strict_json.loads_object(given.jws.payload, max_bytes=jws.MAX_BYTES)
    algorithm = claims.pop(_ALGORITHM, HASH)
    if not isinstance(algorithm, str) or algorithm not in HASHES:
        raise RefusedError("sd_alg_unknown", "_sd_alg names no hash that is accepted here")
    digests = _digests(given.disclosures, HASHES[algorithm])
    if len(set(digests)) != len(digests):
        raise RefusedError("sd_digest_twice", "a disclosure stands twice")
    opening = _Opening(_Disclosures(given.disclosures), digests)
    opened = opening.open_object(claims, (), 0)
    if opening.left:
        raise RefusedError("disclosure_unreferenced", "the signed payload names no such digest")
    return Revealed(
        opened, tuple(opening.placed), opening.hidden, frozenset(opening.elements), algorithm
    )


class _Opening:
    """One walk through the payload; `left` holds the disclosures not placed yet, by digest.

    Places are paths, and pointers only where something is concealed: most members are not. Objects
    and arrays are opened where they stand: who calls has just read them.
    """

    __slots__ = ("elements", "given", "hidden", "left", "placed", "seen")

    def __init__(self, given: _Disclosures, digests: Sequence[str]) -> None:
        self.given = given
        self.left = {digest: number for number, digest in enumerate(digests)}
        self.seen: set[str] = set()
        self.placed: list[Disclosed] = []
        self.hidden: Counter[str] = Counter()
        self.elements: set[str] = set()

    def _take(self, digest: object) -> int | None:
        if not isinstance(digest, str):
            raise MalformedError("sd_jwt_malformed", "a digest is a text")
        if digest in self.seen:
            raise RefusedError("sd_digest_twice", "a digest stands in two places")
        self.seen.add(digest)
        return self.left.pop(digest, None)

    def _value(self, value: JsonValue, place: Path, depth: int) -> JsonValue:
        # Bounded like any JSON here: disclosures inside disclosures could nest without end.
        if depth > MAX_DEPTH:
            raise TooLargeError("json_too_deep", f"more than {MAX_DEPTH} nested levels")
        if isinstance(value, dict):
            return self.open_object(value, place, depth)
        return self._array(value, place, depth) if isinstance(value, list) else value

    def open_object(
        self, node: dict[str, JsonValue], place: Path, depth: int
    ) -> dict[str, JsonValue]:
        if _ELEMENT in node:
            raise MalformedError("sd_jwt_malformed", "'...' stands outside an array")
        digests = node.pop(_DIGESTS, _NONE)
        if not isinstance(digests, list):
            raise MalformedError("sd_jwt_malformed", "_sd is a list of digests")
        for name, value in node.items():
            if isinstance(value, _CONTAINERS) or depth >= MAX_DEPTH:
                node[name] = self._value(value, (place, name), depth + 1)
        for digest in digests:
            self._member(node, digest, place, depth)
        return node

    def _member(
        self, opened: dict[str, JsonValue], digest: object, place: Path, depth: int
    ) -> None:
        number = self._take(digest)
        if number is None:
            self.hidden[pointer_of(place)] += 1
            return
        items = self.given.items[number]
        name = items[1]
        if len(items) != 3 or not isinstance(name, str):
            raise MalformedError("disclosure_malformed", "a member's disclosure has three items")
        if name in opened:
            raise RefusedError("disclosure_name_exists", "the object has that member already")
        opened[name] = self._placed(number, items[2], (place, name), depth + 1)

    def _placed(self, number: int, value: JsonValue, place: Path, depth: int) -> JsonValue:
        """The disclosed value, opened in its turn unless it holds nothing to open."""
        self.placed.append(Disclosed(pointer_of(place), self.given.texts[number]))
        levels = self.given.levels
        if levels is not None and depth + levels[number] <= MAX_DEPTH:
            return value
        return self._value(value, place, depth)

    def _array(self, items: list[JsonValue], place: Path, depth: int) -> list[JsonValue]:
        opened = []
        for at, item in enumerate(items):
            if not isinstance(item, dict) or _ELEMENT not in item:
                opened.append(self._value(item, (place, at), depth + 1))
                continue
            if len(item) != 1:
                raise MalformedError("sd_jwt_malformed", "a concealed element has '...' only")
            self.elements.add(pointer_of(place))
            number = self._take(item[_ELEMENT])
            if number is None:
                continue
            disclosed = self.given.items[number]
            if len(disclosed) != 2:
                raise MalformedError("disclosure_malformed", "an element's has two items")
            opened.append(self._placed(number, disclosed[1], (place, at), depth + 1))
        return opened


def child(place: str, name: str) -> str:
    """The JSON pointer of member `name` of the object at `place` (RFC 6901)."""
    return f"{place}/{name.replace('~', '~0').replace('/', '~1')}"


def steps(pointer: str) -> list[str]:
    """The names and indices of a JSON pointer, unescaped."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def conceal(
    claims: Mapping[str, JsonValue], pointers: Iterable[str], salts: Salts
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """`claims` with the values at `pointers` replaced by digests, and the disclosures of these.

    salts: size → that many random bytes, called once per pointer. Raises RefusedError
    `sd_reserved_name` (the claims use `_sd` or `...` themselves), `disclosure_no_such_place`.
    """
    members = strict_json.loads_object(strict_json.canonical(claims))
    _require_unreserved(members)
    made: dict[str, str] = {}
    touched: list[list[JsonValue]] = []
    # The deepest first: a disclosure within a disclosure is concealed in its parent's value.
    ordered = list(dict.fromkeys(pointers))
    for pointer in sorted(ordered, key=lambda each: each.count("/"), reverse=True):
        made[pointer] = _conceal_one(members, steps(pointer), salts(SALT_BYTES), touched)
    for digests in touched:
        digests.sort(key=str)  # the order of the members is not told (§4.2.4.1)
    members[_ALGORITHM] = HASH
    return members, tuple(made[pointer] for pointer in ordered)


def _conceal_one(
    members: dict[str, JsonValue], path: list[str], salt: bytes, touched: list[list[JsonValue]]
) -> str:
    fault = RefusedError("disclosure_no_such_place", "the claims have nothing there to conceal")
    parent: JsonValue = members
    for step in path[:-1]:
        parent = _at(parent, step, fault)
    value = _at(parent, path[-1] if path else "", fault)
    named: list[JsonValue] = [path[-1]] if isinstance(parent, dict) else []
    text = base64url.encode(strict_json.canonical([base64url.encode(salt), *named, value]))
    if isinstance(parent, dict):
        del parent[path[-1]]
        digests = parent.setdefault(_DIGESTS, [])
        assert isinstance(digests, list)
        digests.append(digest_of(text))
        touched.append(digests)
    else:
        assert isinstance(parent, list)
        parent[int(path[-1])] = {_ELEMENT: digest_of(text)}
    return text


def _at(node: JsonValue, step: str, fault: RefusedError) -> JsonValue:
    if isinstance(node, dict) and step in node:
        return node[step]
    if isinstance(node, list) and step in {str(at) for at in range(len(node))}:
        return node[int(step)]
    raise fault


def _require_unreserved(value: JsonValue) -> None:
    if isinstance(value, dict):
        if not _RESERVED.isdisjoint(value):
            raise RefusedError("sd_reserved_name", "a member is called _sd or ...")
        for item in value.values():
            _require_unreserved(item)
    elif isinstance(value, list):
        for item in value:
            _require_unreserved(item)


def present(given: SdJwt, pointers: Iterable[str]) -> SdJwt:
    """Only the disclosures at, above or below `pointers`, which must each meet one.

    Raises RefusedError `sd_jwt_already_bound`, `disclosure_no_such_place`, and as `reveal`.
    """
    if given.key_binding:
        raise RefusedError("sd_jwt_already_bound", "a presentation bound to a verifier is final")
    placed = reveal(given).disclosed
    kept: set[str] = set()
    for pointer in pointers:
        met = {one.text for one in placed if _related(one.pointer, pointer)}
        if not met:
            raise RefusedError("disclosure_no_such_place", "nothing there can be disclosed")
        kept |= met
    return SdJwt(given.jws, tuple(text for text in given.disclosures if text in kept))


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")
