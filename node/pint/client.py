"""Calls to other platforms (PINT 3.0.0): to a listed member, or to an address the operator gave.

The address is looked up by the platform's code, never taken out of a document (R7). What comes back
is judged by `protocols.pint.answers.read_answer`: only a signed word decides, whatever the HTTP
status says, and a call without an answer leaves the outcome unknown (R13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from node.ebl.switches import switches_of
from protocols.pint import answers, documents
from protocols.pint.answers import Unknown
from protocols.pint.words import API_MAJOR
from schemas import strict_json
from schemas.errors import NotFoundError, RefusedError, TradeError

if TYPE_CHECKING:
    from datetime import datetime

    from node.runtime import Node
    from protocols.pint.answers import Answer
    from protocols.pint.parties import IdentifyingCode
    from protocols.pint.platforms import Signatory
    from protocols.seams import Answer as HttpAnswer

CALL_DEADLINE = 20.0


@dataclass(frozen=True, slots=True)
class Question:
    """Whom an envelope goes to and what its answers must be about."""

    platform: str
    signatory: Signatory
    last_entry: str
    at: datetime


class PlatformClient:
    """The four operations of another platform, as its sender calls them."""

    def __init__(self, node: Node) -> None:
        """Calls through the node's own client."""
        self._node = node

    async def start(self, asked: Question, envelope: bytes) -> Answer:
        """POST /v3/envelopes."""
        return await self._ask(asked, "POST", documents.ENVELOPES, envelope)

    async def put_document(
        self, asked: Question, reference: str, checksum: bytes, content: bytes
    ) -> Answer:
        """PUT …/additional-documents/…"""
        path = documents.ADDITIONAL_DOCUMENT.format(
            envelopeReference=quote(reference, safe=""), documentChecksum=checksum.hex()
        )
        return await self._ask(asked, "PUT", path, documents.document_body(content))

    async def finish(self, asked: Question, reference: str) -> Answer:
        """PUT …/finish-transfer."""
        path = documents.FINISH.format(envelopeReference=quote(reference, safe=""))
        return await self._ask(asked, "PUT", path, b"")

    async def validate(self, platform: str, code: IdentifyingCode) -> str:
        """POST /v3/receiver-validation: the name behind a code, to be shown to whoever sends.

        Raises NotFoundError `pint_receiver_unknown`, UnavailableError.
        """
        body = strict_json.canonical(code.to_json())
        answer = await self._call(platform, "POST", documents.RECEIVER_VALIDATION, body)
        if answer.status != 200:
            raise NotFoundError("pint_receiver_unknown", f"{platform} answered {answer.status}")
        return documents.read_validation_response(answer.body).name

    async def _ask(self, asked: Question, method: str, path: str, body: bytes) -> Answer:
        try:
            answer = await self._call(asked.platform, method, path, body)
        except TradeError as error:
            return Unknown(0, error.code)
        return answers.read_answer(
            answer.status,
            answer.body,
            last_entry=asked.last_entry,
            receiver=asked.signatory,
            at=asked.at,
        )

    async def _call(self, platform: str, method: str, path: str, body: bytes) -> HttpAnswer:
        headers = {"API-Version": API_MAJOR, "Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        members, client = self._node.members.current, self._node.client
        peer = switches_of(self._node).peer(platform)
        if peer is not None and peer.url:
            headers |= peer.headers
            return await client.open_call(
                method, peer.url + path, body, headers=headers, deadline=CALL_DEADLINE
            )
        member = None if members is None else members.platform(platform)
        if member is not None:
            return await client.call(
                member.did, method, path, body, headers=headers, deadline=CALL_DEADLINE
            )
        address = addresses(self._node.settings.pint.addresses).get(platform)
        if address is None:
            raise RefusedError("pint_platform_unreachable", f"no address is known for {platform}")
        return await client.open_call(
            method, address.rstrip("/") + path, body, headers=headers, deadline=CALL_DEADLINE
        )


def addresses(settings: tuple[str, ...]) -> dict[str, str]:
    """`pint.addresses`, CODE=URL each, of platforms that are in the list by certificate alone."""
    pairs = (text.partition("=") for text in settings)
    return {code.strip(): url.strip() for code, _, url in pairs}
