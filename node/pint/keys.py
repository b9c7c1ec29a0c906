"""The key with which this node signs as a platform, of purpose `platform` and no other (R1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.title import partners
from schemas.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from node.runtime import Node
    from protocols.keys import SoftwareSigner


def platform_code(node: Node) -> str:
    """This node's four-character code, as the member list has it.

    Raises NotFoundError `pint_not_a_platform`, UnavailableError `member_list_missing`.
    """
    entry = partners.members_of(node).node(node.did)
    if entry is None or entry.platform is None:
        raise NotFoundError("pint_not_a_platform", "the member list gives this node no code")
    return entry.platform


def platform_signer(node: Node) -> SoftwareSigner:
    """The newest platform key that the member list names and that stands now.

    Raises as `platform_code`, and UnavailableError `pint_key_not_listed` when none is.
    """
    platform_code(node)
    entry = partners.members_of(node).node(node.did)
    now = node.clock.now()
    listed = [
        key
        for key in (entry.keys if entry is not None else ())
        if key.purpose == "platform" and key.valid_at(now)
    ]
    for key in sorted(listed, key=lambda one: one.valid_from, reverse=True):
        try:
            return node.keys.signer_for(key.kid)
        except NotFoundError:
            continue
    raise UnavailableError("pint_key_not_listed", "no platform key of this node is listed")
