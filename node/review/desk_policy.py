"""The review policy in force at this desk: its own file, else the packaged one, which binds nobody.

A file that cannot be read is refused and never taken for none (R26).
"""

from __future__ import annotations

from os.path import lexists
from typing import TYPE_CHECKING

from protocols import review
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from node.runtime import Node
    from protocols.review import Policy

FILE = "review-policy.json"
MAX_BYTES = 1024 * 1024


def policy_of(node: Node) -> Policy:
    """The edition of now; raises RefusedError `review_policy_missing`."""
    return review.policy_at(node.clock.now(), _own(node))


def binding(node: Node) -> Policy | None:
    """The edition of now where it binds the signer; raises as `policy_of`."""
    own = _own(node)
    policy = None if own is None else review.policy_at(node.clock.now(), own)
    return policy if policy is not None and policy.binding else None


def _own(node: Node) -> bytes | None:
    """The file's bytes, read every time: it counts from the moment it was put there."""
    file = node.home.path / FILE
    try:
        with file.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except OSError as error:
        # A link that leads nowhere is a policy that cannot be read.
        if isinstance(error, FileNotFoundError) and not lexists(file):
            return None
        raise RefusedError(review.CODE, f"{FILE}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise RefusedError(review.CODE, f"{FILE} has more than {MAX_BYTES} bytes")
    return data
