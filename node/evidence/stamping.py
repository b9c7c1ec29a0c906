"""Time-stamps of RFC 3161: fetched from the configured server, kept beside the store.

The server is one that the member list names (R7); the guarded client calls it, and its answer is
verified before anybody relies on it. What is stamped is never sent, only its SHA-256. The stamps of
held documents lie in `timestamps/<digest>.tsr` of the home; the earliest one is worth the most, so
one that verifies is never replaced.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from node.documents import documents
from node.home import write_private
from node.http.helpers import hex_digest, json_response, read_json
from node.http.routes import JSON, Auth, Route
from node.verification import judging
from protocols import times, timestamp
from protocols.credentials import forms
from protocols.fields import Fields
from protocols.members import anchors
from protocols.verify.certificate_steps import verify_stamp
from schemas.errors import ConflictError, MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node.runtime import Node
    from protocols.timestamp import TimeStamp

SECONDS = 15.0
MAX_DATA = 64 * 1024
CODE = "timestamp_malformed"


class Stamping:
    """Asks the time-stamp server, and keeps the stamps of documents. Part of `node.evidence`."""

    def __init__(self, node: Node) -> None:
        """Calls nothing yet."""
        self._node = node
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> Sequence[Route]:
        """POST /v1/timestamps, POST /v1/documents/{digest}/timestamp."""
        data = {"type": "string", "contentEncoding": "base64"}
        return (
            Route("POST", "/v1/timestamps", self._stamp, Auth.OPERATOR,
                  "Have bytes stamped by the configured server; only their digest is sent",
                  "evidence", request={JSON: {"type": "object", "properties": {"data": data}}},
                  responses={200: "The RFC 3161 response"}, deadline=30.0),
            Route("POST", "/v1/documents/{digest}/timestamp", self._stamp_document, Auth.OPERATOR,
                  "Have a held document stamped, or keep a stamp that was got elsewhere",
                  "evidence", request={JSON: {"type": "object", "properties": {"token": data}}},
                  deadline=30.0),
        )  # fmt: skip

    async def stamp(self, data: bytes) -> bytes:
        """A verified response over `data`.

        Raises ConflictError `tsa_not_configured`, RefusedError `tsa_not_listed`, what the guarded
        client raises, and tsa_* and certificate_* for an answer that proves nothing.
        """
        url = self._node.settings.timestamp.url
        if not url:
            raise ConflictError("tsa_not_configured", "timestamp.url is not set")
        members = judging.members_of(self._node)
        now = self._node.clock.now()
        if not members.anchors_for(anchors.TIMESTAMP, url, now):
            raise RefusedError("tsa_not_listed", "the member list does not name that server")
        nonce = 1 + secrets.randbelow((1 << 64) - 1)
        answer = await self._node.guarded.post(
            url,
            timestamp.request(data, nonce),
            content_type=timestamp.MEDIA_TYPE_QUERY,
            cap=timestamp.MAX_BYTES,
            deadline=SECONDS,
            accept=(timestamp.MEDIA_TYPE_REPLY,),
        )
        listed = [entry for entry in members.anchors if entry.subject == url]
        verify_stamp(answer, data, listed, judged=self._node.clock.now(), nonce=nonce)
        return answer

    def held(self, digest: bytes) -> bytes:
        """The kept stamp of a document, b"" where there is none."""
        file = self._file(digest)
        return file.read_bytes()[: timestamp.MAX_BYTES] if file.is_file() else b""

    def _file(self, digest: bytes) -> Path:
        return self._node.home.timestamps / f"{digest.hex()}.tsr"

    async def ensure(self, digest: bytes, file: bytes) -> bytes:
        """The stamp of a document: the kept one, else a new one where a server is configured."""
        async with self._one_at_a_time:
            found = self.held(digest)
            if found or not self._node.settings.timestamp.url:
                return found
            return self._keep(digest, await self.stamp(stamped_of(file)))

    def _keep(self, digest: bytes, response: bytes) -> bytes:
        held = self.held(digest)
        if held and timestamp.read(held).made <= timestamp.read(response).made:
            return held
        self._node.home.timestamps.mkdir(mode=0o700, exist_ok=True)
        write_private(self._file(digest), response)
        return response

    def take(self, digest: bytes, file: bytes, response: bytes) -> bytes:
        """Verify and keep a stamp that came from elsewhere; the earlier of two is kept."""
        members = judging.members_of(self._node)
        verify_stamp(response, stamped_of(file), members.anchors, judged=self._node.clock.now())
        return self._keep(digest, response)

    async def _stamp(self, request: web.Request) -> web.Response:
        data = _bytes(Fields(await read_json(request), CODE), "data")
        answer = await self.stamp(data)
        return web.Response(body=answer, content_type=timestamp.MEDIA_TYPE_REPLY)

    async def _stamp_document(self, request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"], "digest")
        fields = Fields(await read_json(request), CODE)
        held = await self._node.store.read(documents.require, digest)
        if fields.has("token"):
            kept = self.take(digest, held.file, _bytes(fields, "token"))
        else:
            kept = await self.ensure(digest, held.file)
            if not kept:
                raise ConflictError("tsa_not_configured", "timestamp.url is not set")
        return json_response(told(timestamp.read(kept), digest))


def told(stamp: TimeStamp, digest: bytes) -> dict[str, str]:
    """What is said of a kept stamp."""
    encoded = base64.b64encode(stamp.response).decode("ascii")
    return {"digest": digest.hex(), "time": times.to_text(stamp.made), "token": encoded}


def stamped_of(file: bytes) -> bytes:
    """The bytes of a document file that a stamp is over: the issuer's compact JWS."""
    return forms.parse_signature(file).text.encode("ascii")


def _bytes(fields: Fields, name: str) -> bytes:
    text = fields.text(name, max_length=2 * MAX_DATA)
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise MalformedError(CODE, f"{name} is base64", pointer=fields.place(name)) from None
