"""Making further keys: for a rotation with overlap, or for a second signature (ML-DSA).

A new key signs nothing until the member list has it: `pratique trust ask` asks the roots (R1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.http.helpers import json_response, read_json
from node.http.routes import JSON, Auth, Route
from protocols.fields import Fields
from schemas.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.runtime import Node

#: Purposes that a node gives keys of its own; roots have a command of their own.
PURPOSES = frozenset(
    {
        "credential",
        "exchange",
        "title",
        "release",
        "approval",
        "platform",
        "registry",
        "witness",
        "registry-witness",
    }
)
#: Purposes of which a node has one key. An arbiter is its key (R19); a witness cosigns with its
#: newest key only, and a policy that names an older one would wait for it in vain (R16): another
#: one follows only where the list has ended the one that is here, which has no vote any more.
ONCE = frozenset({"registry", "witness", "registry-witness"})
WITNESSING = frozenset({"witness", "registry-witness"})


class KeyHandlers:
    """POST /v1/keys."""

    def __init__(self, node: Node) -> None:
        """Makes keys in the node's own key store."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """See the class."""
        body = {
            "type": "object",
            "required": ["purpose"],
            "properties": {"purpose": {"type": "string"}, "algorithm": {"type": "string"}},
        }
        return (
            Route("POST", "/v1/keys", self._create, Auth.OPERATOR,
                  "Make another key here; it counts when the member list names it", "trust",
                  request={JSON: body}, responses={201: "Its id and public key"}),
        )  # fmt: skip

    async def _create(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), "key_order_malformed")
        purpose = fields.text("purpose", max_length=40)
        if purpose not in PURPOSES:
            raise fields.fault("purpose", f"purpose is one of {', '.join(sorted(PURPOSES))}")
        if purpose in ONCE and self._node.keys.has(purpose) and not self._has_ended(purpose):
            raise ConflictError("key_is_the_only_one", f"this node has a {purpose} key")
        algorithm = fields.optional_text("algorithm", max_length=40)
        key = self._node.keys.create(purpose, algorithm)
        body = {"kid": key.kid, "algorithm": key.algorithm, "jwk": dict(key.public_jwk)}
        return json_response(body, 201)

    def _has_ended(self, purpose: str) -> bool:
        """Whether the list has ended our newest key for witnessing."""
        members = self._node.members.current
        if purpose not in WITNESSING or members is None:
            return False
        listed = members.key(self._node.keys.signer(purpose).kid)
        return listed is not None and not listed.valid_at(self._node.clock.now())
