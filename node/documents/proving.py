"""Our own documents in JSON form with a Data Integrity proof, for readers who know no JWS.

The same claims, signed once more by the node's credential key with the JCS suite that goes with it
(`protocols.credentials.data_integrity`). The document stays what it was: identity, log leaf and
status are those of the credential. Route: POST /v1/documents/{digest}/proof (operator).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from node.documents import documents, issuing, signing
from node.http.helpers import hex_digest
from node.http.routes import Auth, Route
from node.store import events
from protocols import times
from protocols.credentials import credential, data_integrity, foreign_credential
from schemas import strict_json
from schemas.errors import ForbiddenError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.runtime import Node

MEDIA_TYPE = "application/vc"


def prove(conn: Connection, node: Node, digest: bytes) -> bytes:
    """The document as JSON with our proof (RFC 8785 bytes); tells the event `proved`.

    Raises NotFoundError, ForbiddenError `not_the_issuer`, RefusedError `document_not_json`,
    `proof_generation_error` (a key without a suite), `own_key_not_listed`, TooLargeError.
    """
    document = documents.require(conn, digest)
    if document.issuer != node.did:
        raise ForbiddenError("not_the_issuer", "only the issuer proves its own document")
    opened = credential.open_file(document.file)
    if not opened.claims.payload.is_json:
        told = f"the document is {opened.claims.payload.media_type}"
        raise RefusedError("document_not_json", told)
    signer = signing.credential_signer(node, issuing.require_fresh(node))
    members = strict_json.loads_object(opened.jws.payload, max_bytes=credential.MAX_FILE_BYTES)
    now = node.clock.now_ms()
    proven = data_integrity.issue(members, signer, created=times.from_ms(now))
    body = strict_json.canonical(proven)
    if len(body) > foreign_credential.MAX_BYTES:
        raise TooLargeError("document_too_large", "too large for a JSON credential")
    events.record(
        conn,
        kind="proved",
        at=now,
        document=digest,
        consignment=document.consignment,
        actor=node.did,
        detail={"kid": signer.kid},
    )
    return body


class ProvingHandlers:
    """The handler, and its route."""

    def __init__(self, node: Node) -> None:
        """Signs with the node's newest credential key."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """See the module."""
        return (
            Route("POST", "/v1/documents/{digest}/proof", self._prove, Auth.OPERATOR,
                  "A document of ours as JSON with a Data Integrity proof", "documents",
                  responses={200: "The credential (application/vc)"}),
        )  # fmt: skip

    async def _prove(self, request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"])
        body = await self._node.store.write(prove, self._node, digest)
        return web.Response(body=body, content_type=MEDIA_TYPE)
