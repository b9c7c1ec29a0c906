"""HTTP of the verification service."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from node.http.helpers import json_response, lang, read_json
from node.http.routes import JSON, Auth, Route
from protocols.credential import MAX_FILE_BYTES
from protocols.fields import COUNTRY, Fields
from protocols.verify import Receipt
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.verification.service import VerificationService

CODE = "verify_file_missing"
MAX_BODY = 2 * MAX_FILE_BYTES
_BODY = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "contentEncoding": "base64"},
        "at": {"type": "string", "format": "date-time"},
        "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "receipt": {
            "type": "object",
            "required": ["entry", "proof"],
            "properties": {
                "entry": {"type": "string", "contentEncoding": "base64"},
                "proof": {"type": "string"},
            },
        },
    },
}


class VerificationHandlers:
    """The handler, and the route that leads to it."""

    def __init__(self, service: VerificationService) -> None:
        """Asks `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """POST /v1/verify."""
        return (
            Route("POST", "/v1/verify", self._verify, Auth.OPERATOR, "Verify a document file",
                  "verification", request={JSON: _BODY}, max_body=MAX_BODY,
                  responses={200: "The report, whatever its verdict"}, deadline=30.0),
        )  # fmt: skip

    async def _verify(self, request: web.Request) -> web.Response:
        from node.verification.service import Question

        fields = Fields(await read_json(request), CODE)
        receipt = fields.optional_child("receipt")
        question = Question(
            file=_bytes(fields, "file"),
            at=fields.optional_time("at"),
            country=fields.optional_text("country", pattern=COUNTRY),
            receipt=Receipt(_bytes(receipt, "entry"), receipt.text("proof", max_length=200_000))
            if receipt
            else None,
        )
        judged = await self._service.answer(question)
        body = judged.report.to_json(lang(request))
        if judged.document is not None:
            body["document"] = judged.document.view.to_json()
        return json_response(body)


def _bytes(fields: Fields, name: str) -> bytes:
    text = fields.text(name, max_length=MAX_BODY)
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise MalformedError(CODE, f"{name} is base64", pointer=fields.place(name)) from None
