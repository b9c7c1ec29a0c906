"""HTTP of the verification service."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from node.http.helpers import json_response, lang, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.verification import challenges
from node.verification.judging import Question
from node.verification.offline import opened_receipt
from protocols.credentials.credential import MAX_FILE_BYTES
from protocols.credentials.forms import MEDIA_TYPES
from protocols.credentials.key_binding import Challenge
from protocols.digest import from_hex
from protocols.fields import COUNTRY, Fields
from protocols.verify import Receipt
from schemas import strict_json
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

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
        "audience": {"type": "string"},
        "nonce": {"type": "string"},
        "timestamp": {"type": "string", "contentEncoding": "base64"},
        "receiptFile": {"type": "string", "contentEncoding": "base64"},
        "blocks": {"type": "array", "items": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
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

_WANTED = {
    "type": "object",
    "properties": {
        "audience": {"type": "string", "maxLength": 400},
        "seconds": {
            "type": "integer",
            "minimum": challenges.SECONDS[0],
            "maximum": challenges.SECONDS[1],
        },
    },
}
_ASKED = (
    Parameter("at", "another moment (RFC 3339): a historical report, where the body is the file"),
    Parameter("country", "the country that verifies, where the body is the file"),
    Parameter("audience", "with nonce: the holder must have signed for this verifier"),
    Parameter("nonce", "with audience: and for this challenge"),
)


#: Presentations, and the standard's objects that carry an envelope.
_SHOWN = ("vc", "vp", "vp+jwt", "vp+sd-jwt", "vp+cose")
_FILES = (*MEDIA_TYPES, *(f"application/{one}" for one in _SHOWN))


class VerificationHandlers:
    """The handlers, and the routes that lead to them."""

    def __init__(self, service: VerificationService) -> None:
        """Asks `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """POST /v1/verify, the file itself or a JSON object that holds it; POST /v1/challenges."""
        return (
            Route("POST", "/v1/verify", self._verify, Auth.OPERATOR, "Verify a document file",
                  "verification", request={JSON: _BODY} | {each: {} for each in _FILES},
                  responses={200: "The report, whatever its verdict"}, max_body=MAX_BODY,
                  parameters=_ASKED, deadline=30.0),
            Route("POST", "/v1/challenges", self._challenge, Auth.OPERATOR,
                  "A challenge that one presentation may answer, once", "verification",
                  request={JSON: _WANTED}, responses={201: "The nonce, audience and expiry"}),
        )  # fmt: skip

    async def _challenge(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), "challenge_malformed")
        audience = fields.optional_text("audience", max_length=400)
        low, high = challenges.SECONDS
        seconds = fields.integer("seconds", low, high) if fields.has("seconds") else None
        given = await self._service.challenge(audience, seconds)
        return json_response(given.to_json(), 201)

    async def _verify(self, request: web.Request) -> web.Response:
        judged = await self._service.answer(await _question(request))
        body = judged.report.to_json(lang(request))
        if judged.document is not None:
            body["document"] = judged.document.view.to_json()
        return json_response(body)


async def _question(request: web.Request) -> Question:
    if request.content_type != JSON:
        asked = Fields(dict(request.query), CODE)
        data = await request.read()
        if not data:
            raise MalformedError(CODE, "the body is empty")
        return Question(data, *_asked(asked), challenge=_challenge(asked))
    fields = Fields(strict_json.loads_object(await request.read(), max_bytes=MAX_BODY), CODE)
    receipt = fields.optional_child("receipt")
    given = None
    if receipt is not None:
        given = Receipt(_bytes(receipt, "entry"), receipt.text("proof", max_length=200_000))
    if fields.has("receiptFile"):
        given = opened_receipt(_bytes(fields, "receiptFile"))
    stamp = _bytes(fields, "timestamp") if fields.has("timestamp") else None
    blocks = frozenset(from_hex(text, pointer="/blocks") for text in fields.texts("blocks"))
    moment, country = _asked(fields)
    challenge = _challenge(fields)
    return Question(_bytes(fields, "file"), moment, country, given, challenge, stamp, blocks=blocks)


def _challenge(fields: Fields) -> Challenge | None:
    """What key binding is asked for: by the verifier, whatever the file holds (RFC 9901 §7.3)."""
    if not fields.has("audience") and not fields.has("nonce"):
        return None
    return Challenge(fields.text("audience", max_length=400), fields.text("nonce", max_length=400))


def _asked(fields: Fields) -> tuple[datetime | None, str | None]:
    return fields.optional_time("at"), fields.optional_text("country", pattern=COUNTRY)


def _bytes(fields: Fields, name: str) -> bytes:
    text = fields.text(name, max_length=MAX_BODY)
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise MalformedError(CODE, f"{name} is base64", pointer=fields.place(name)) from None
