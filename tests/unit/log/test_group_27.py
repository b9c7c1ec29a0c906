"""Group 27: what is in a log tells nobody which document it is about, however few there can be."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from protocols.log import leaf
from protocols.log.leaf import Leaf, LeafKind

if TYPE_CHECKING:
    from collections.abc import Iterable

KIND = b"certificate-of-origin"
NUMBER = "CN-2026-482913"
SALT = sha256(b"32 random bytes that only the parties have").digest()
DOCUMENT = sha256(b"the signed payload").digest()
LEAF = leaf.encode(
    Leaf(
        LeafKind.ISSUE,
        leaf.subject(KIND.decode(), NUMBER, SALT),
        leaf.commit(SALT, DOCUMENT),
        None,
        1_763_000_000_000,
    )
)


def guessed(entry: bytes, salt: bytes, tried: Iterable[int] = range(1_000_000)) -> bytes | None:
    """The number whose subject stands in an entry, when all of a year are tried under one salt."""
    form = KIND + b"\0CN-2026-%06d\0" + salt.replace(b"%", b"%%")
    found = (number for number in tried if sha256(form % number).digest() in entry)
    return next((b"CN-2026-%06d" % number for number in found), None)


def test_group_27_a_million_numbers_tried_on_a_leaf_find_nothing_without_the_salt() -> None:
    assert guessed(LEAF, b"") is None


def test_group_27_whoever_has_the_document_has_its_salt_and_finds_it() -> None:
    assert guessed(LEAF, SALT, range(480_000, 490_000)) == NUMBER.encode()
    assert guessed(LEAF, bytes(32), range(480_000, 490_000)) is None


def test_group_27_the_document_alone_does_not_lead_to_its_leaf() -> None:
    found = leaf.decode(LEAF)
    for guess in (bytes(32), DOCUMENT):
        assert leaf.commit(guess, DOCUMENT) != found.commit
    assert DOCUMENT not in LEAF
    assert SALT not in LEAF
