"""A received chain against what is known of the bill: new, further, the same again, or disputed.

Two texts with one payload are one statement, signed again (PS256 and ES256 signatures differ each
time); DUPE is about the payload of the last entry. A chain that leaves out, replaces or forks what
is known is a risk of double spending: DISE. Links are over whole texts, so a chain that goes on
must go on from the very texts that are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import TYPE_CHECKING

from protocols.pint import signed

if TYPE_CHECKING:
    from protocols.pint.chain import SignedEntry
    from protocols.pint.signed import Signed


@dataclass(frozen=True, slots=True)
class KnownChain:
    """The longest chain of a bill that this platform has accepted or made itself.

    texts: the entries, byte for byte; accepted: indexes of entries with which it took over a bill
    or a notice; ended: whether the chain ends with SACC, after which a new chain may begin
    """

    texts: tuple[str, ...]
    accepted: frozenset[int]
    ended: bool = False


class Relation(Enum):
    """How a received chain stands to the known one."""

    NEW = "new"
    FURTHER = "further"
    DUPLICATE = "duplicate"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The relation. accepted: for a duplicate, the last entry as accepted; at: where they part."""

    relation: Relation
    accepted: str | None = None
    at: int | None = None


def compare(known: KnownChain | None, chain: Sequence[Signed]) -> Comparison:
    """How `chain`, whose signatures hold, stands to what is known of the bill."""
    if known is None or not known.texts:
        return Comparison(Relation.NEW)
    held = [signed.parse(text) for text in known.texts]
    pairs = list(zip(held, chain, strict=False))
    parted = next((at for at, (ours, theirs) in enumerate(pairs) if _differ(ours, theirs)), None)
    if parted is not None:
        restarted = parted == 0 and known.ended
        return Comparison(Relation.NEW if restarted else Relation.DISPUTED, at=parted)
    last = len(chain) - 1
    if len(chain) <= len(held):
        if last in known.accepted:
            return Comparison(Relation.DUPLICATE, known.texts[last])
        return Comparison(Relation.DISPUTED, at=len(chain))
    if any(ours.text != theirs.text for ours, theirs in pairs):
        # It goes on from an entry that was signed again, which nobody here has accepted.
        at = next(at for at, (ours, theirs) in enumerate(pairs) if ours.text != theirs.text)
        return Comparison(Relation.DISPUTED, at=at)
    return Comparison(Relation.FURTHER, at=len(held))


def _differ(left: Signed, right: Signed) -> bool:
    return left.payload != right.payload


class Row(Enum):
    """How two entries at one place of two chains compare."""

    SAME = "same"
    SIGNED_AGAIN = "signed-again"
    DIFFERENT = "different"
    ONLY_LEFT = "only-left"
    ONLY_RIGHT = "only-right"


@dataclass(frozen=True, slots=True)
class Place:
    """One place of two chains side by side."""

    index: int
    row: Row
    left: SignedEntry | None
    right: SignedEntry | None


def side_by_side(left: Sequence[SignedEntry], right: Sequence[SignedEntry]) -> tuple[Place, ...]:
    """Both chains of a dispute, entry by entry."""
    pairs = zip_longest(left, right)
    return tuple(
        Place(index, _row(ours, theirs), ours, theirs) for index, (ours, theirs) in enumerate(pairs)
    )


def _row(left: SignedEntry | None, right: SignedEntry | None) -> Row:
    if right is None:
        return Row.ONLY_LEFT
    if left is None:
        return Row.ONLY_RIGHT
    if left.text == right.text:
        return Row.SAME
    return Row.DIFFERENT if _differ(left.jws, right.jws) else Row.SIGNED_AGAIN
