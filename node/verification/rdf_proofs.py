"""What the node brings to proofs over RDF: imported contexts, and canonical forms made with them.

Routes: /v1/contexts (operator). Nothing here fetches anything.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from node.http.helpers import json_response, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.verification.canonicaliser import Canonicaliser
from node.verification.contexts import MAX_BYTES, ContextStore, Pin
from protocols.credentials.canonical_forms import Rdf
from protocols.fields import Fields
from protocols.verify import foreign_steps
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aiohttp import web

    from protocols.verify import Case

_CODE = "context_pin_malformed"
_IMPORT = {
    "type": "object",
    "required": ["body"],
    "properties": {
        "body": {"type": "string", "contentEncoding": "base64"},
        "url": {"type": "string", "format": "uri"},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
}


class RdfProofs:
    """The contexts of one node, the processes that work with them, and the routes."""

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet."""
        self._folder = folder
        self.contexts = ContextStore(folder)
        self.canonicaliser = Canonicaliser()

    def open(self) -> None:
        """Read what was imported; SettingsError `context_damaged` when it is not that any more."""
        self.contexts = ContextStore.load(self._folder)

    async def close(self) -> None:
        """End the processes."""
        await self.canonicaliser.close()

    async def of(self, case: Case) -> Rdf:
        """What the case's file needs, within the limits."""
        inputs = foreign_steps.rdf_inputs(case)
        forms = await self.canonicaliser.forms(inputs, self.contexts)
        return Rdf(self.contexts.bodies, forms, self.contexts.resources)

    def routes(self) -> Sequence[Route]:
        """List, import and remove contexts."""
        one = Parameter("url", "of the context", required=True)
        return (
            Route("GET", "/v1/contexts", self._list, Auth.OPERATOR,
                  "The imported JSON-LD contexts", "verification",
                  responses={200: "URL, digest and title of each"}),
            Route("POST", "/v1/contexts", self._import, Auth.OPERATOR,
                  "Import a JSON-LD context", "verification", request={JSON: _IMPORT},
                  responses={200: "What was imported, pinned by its digest"},
                  max_body=2 * MAX_BYTES),
            Route("DELETE", "/v1/contexts", self._remove, Auth.OPERATOR,
                  "Remove an imported JSON-LD context", "verification", parameters=(one,),
                  responses={200: "The URL that is not known any more"}),
        )  # fmt: skip

    async def _list(self, _: web.Request) -> web.Response:
        return json_response({"contexts": [_told(pin) for pin in self.contexts.pins]})

    async def _import(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        try:
            text = fields.text("body", max_length=2 * MAX_BYTES)
            body = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            raise MalformedError(_CODE, "body is base64", pointer="/body") from None
        url, digest = fields.optional_text("url"), fields.optional_text("sha256")
        return json_response(_told(self.contexts.add(body, url, digest)))

    async def _remove(self, request: web.Request) -> web.Response:
        url = query_text(request, "url", limit=1100) or ""
        self.contexts.remove(url)
        return json_response({"url": url})


def _told(pin: Pin) -> dict[str, str]:
    return {"url": pin.url, "sha256": pin.sha256, "title": pin.title}
