"""The four endpoints of a receiving platform (PINT 3.0.0), and the operator's view of what came.

PINT leaves it to the platforms how calls are authenticated. Here every word that counts is signed
by its platform, so anybody may call; a transfer is known by a reference that cannot be guessed.
Receiver validation alone tells something to whoever asks: `pint.validation_open = false` closes it
to all but members and the counterparts that the operator wrote down.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.ebl.counterparts import Counterparts
from node.http.helpers import hex_digest, json_response, query_int, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.pint import platforms, replies, rows, views
from node.pint.rows import Account
from protocols.fields import DID, Fields
from protocols.pint import documents
from protocols.pint.documents import MAX_BODY, ReceiverValidationResponse
from protocols.pint.envelope import MAX_ENVELOPE
from protocols.pint.parties import MAX_NAME, read_code
from protocols.pint.reading import TRIMMED
from protocols.pint.words import API_MAJOR
from schemas.errors import MalformedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.pint.service import PintService
    from node.runtime import Node
    from protocols.pint.parties import IdentifyingCode

CODE = "pint_request_malformed"
DEADLINE = 20.0
MAX_QUESTION = 64 * 1024
OCTETS = "application/octet-stream"
_CHECKSUM = re.compile(r"(?a:[0-9a-f]{64})")
_TEXT = {"type": "string"}
_ACCOUNT = {
    "type": "object",
    "required": ["code", "name"],
    "properties": {
        "code": {
            "type": "object",
            "required": ["codeListProvider", "partyCode"],
            "properties": dict.fromkeys(("codeListProvider", "partyCode", "codeListName"), _TEXT),
        },
        "name": _TEXT,
        "did": _TEXT,
        "active": {"type": "boolean"},
    },
}
_SIGNED = "A signed EnvelopeTransferFinishedResponse, as a JSON string"


class PintRoutes:
    """Reads paths and bodies; the work is the service's."""

    def __init__(self, service: PintService) -> None:
        """Belongs to `service`; raises SettingsError as `Counterparts`."""
        self._service = service
        is_open = self._node.settings.pint.validation_open
        self._callers = None if is_open else Counterparts(self._node)

    @property
    def _node(self) -> Node:
        return self._service.node

    def routes(self) -> Sequence[Route]:
        """All of them."""
        return (*self._platform(), *self._operator())

    def _platform(self) -> Sequence[Route]:
        refusal = partial(replies.refusal, clock=self._node.clock)
        tag = "pint"
        decided: dict[int, str] = {
            200: f"RECE or DUPE. {_SIGNED}",
            409: f"DISE, MDOC or INCD. {_SIGNED}",
            422: f"BENV or BSIG. {_SIGNED}",
            503: "Nothing is known yet; ask again",
        }
        return (
            Route("POST", documents.ENVELOPES, self._start, Auth.OPEN,
                  "Take over a bill of lading from another platform (PINT 3.0.0)", tag,
                  request={JSON: {"type": "object"}}, max_body=MAX_ENVELOPE, deadline=DEADLINE,
                  responses=decided | {201: "Active; these documents are missing"},
                  refusal=refusal),
            Route("PUT", documents.ADDITIONAL_DOCUMENT, self._document, Auth.OPEN,
                  "Send an additional document of a transfer", tag,
                  request={JSON: {"type": "string", "format": "byte"}}, max_body=MAX_BODY,
                  responses={204: "Taken", 409: decided[409], 422: decided[422]},
                  deadline=DEADLINE, refusal=refusal),
            Route("PUT", documents.FINISH, self._finish, Auth.OPEN,
                  "Finish a transfer once its documents are sent", tag,
                  responses=decided, deadline=DEADLINE, refusal=refusal),
            Route("POST", documents.RECEIVER_VALIDATION, self._validate, Auth.OPEN,
                  "Whom an identifying code names at this platform", tag,
                  request={JSON: {"type": "object"}}, max_body=MAX_QUESTION,
                  responses={200: "The party's name", 404: "No active account by that code",
                             401: "With `pint.validation_open = false`: nobody known here asks"},
                  refusal=refusal),
        )  # fmt: skip

    def _operator(self) -> Sequence[Route]:
        tag, operator = "bills", Auth.OPERATOR
        return (
            Route("GET", "/v1/ebl/received", self._list, operator,
                  "Bills known to this platform by transfers", tag,
                  parameters=(
                      Parameter("reference", "a transport document reference"),
                      Parameter("status", "here, sent, surrendered or ended"),
                      Parameter("after", "cursor of the last page"),
                      Parameter("limit", "bills at most", {"type": "integer"}),
                  )),
            Route("GET", "/v1/ebl/received/{document}", self._show, operator,
                  "A bill: its document, chain, state and the report of its receipt", tag),
            Route("GET", "/v1/ebl/received/{document}/documents/{checksum}", self._content,
                  operator, "An additional document, as it came", tag,
                  responses={200: {"description": "Its bytes", "content": {OCTETS: {}}}}),
            Route("GET", "/v1/ebl/incoming", self._incoming, operator,
                  "Transfers to this platform that are not finished", tag),
            Route("GET", "/v1/ebl/accounts", self._accounts, operator,
                  "Parties with an account here beside those of the member list", tag),
            Route("POST", "/v1/ebl/accounts", self._account, operator,
                  "Let a code name a party with an account here, or no more", tag,
                  request={JSON: _ACCOUNT}, responses={201: "Kept"}),
        )  # fmt: skip

    # -- the platform's ------------------------------------------------------------------------

    async def _start(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return (await self._service.receiving.start(body)).response()

    async def _document(self, request: web.Request) -> web.Response:
        checksum = request.match_info["documentChecksum"]
        if _CHECKSUM.fullmatch(checksum) is None:
            raise MalformedError(CODE, "a checksum is 64 lower-case hex digits")
        reference, body = _reference(request), await _body(request)
        receiving = self._service.receiving
        return (await receiving.document(reference, bytes.fromhex(checksum), body)).response()

    async def _finish(self, request: web.Request) -> web.Response:
        _require_version(request)
        return (await self._service.receiving.finish(_reference(request))).response()

    async def _validate(self, request: web.Request) -> web.Response:
        asked = documents.read_validation_request(await _body(request))
        if self._callers is not None:
            await self._callers.admit(request)
        account = await self._node.store.read(self._find, asked.code)
        if account is None:
            # One answer for whatever is the matter: it must tell nothing about who is here.
            raise NotFoundError("pint_receiver_unknown", "the code names no receiver here")
        return replies.unsigned(ReceiverValidationResponse(account.name).to_json(), 200).response()

    def _find(self, conn: Connection, code: IdentifyingCode) -> Account | None:
        return platforms.account_of(conn, self._node, (code,))

    # -- the operator's ------------------------------------------------------------------------

    async def _list(self, request: web.Request) -> web.Response:
        limit = query_int(request, "limit", 100, low=1, high=500)
        after = query_text(request, "after")
        page = await self._node.store.read(
            rows.bills_page,
            after=hex_digest(after, "after") if after else None,
            limit=limit,
            reference=query_text(request, "reference"),
            status=query_text(request, "status"),
        )
        following = page[-1].document.hex() if len(page) == limit else None
        bills = [views.bill_summary(bill) for bill in page]
        return json_response({"bills": bills, "after": following})

    async def _show(self, request: web.Request) -> web.Response:
        document = hex_digest(request.match_info["document"], "document")
        return json_response(await self._node.store.read(_shown, document))

    async def _content(self, request: web.Request) -> web.Response:
        document = hex_digest(request.match_info["document"], "document")
        checksum = hex_digest(request.match_info["checksum"], "checksum")
        content = await self._node.store.read(rows.document_content, document, checksum)
        if content is None:
            raise NotFoundError("pint_document_unknown", "no such document of that bill is here")
        # A stranger's file: it is handed out as bytes, whatever its sender called it.
        return web.Response(
            body=content, content_type=OCTETS, headers={"Content-Disposition": "attachment"}
        )

    async def _incoming(self, _request: web.Request) -> web.Response:
        found = await self._node.store.read(rows.open_transfers)
        return json_response({"transfers": [views.transfer_json(one) for one in found]})

    async def _accounts(self, _request: web.Request) -> web.Response:
        found = await self._node.store.read(rows.accounts_page)
        return json_response({"accounts": found})

    async def _account(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        code = read_code(fields.child("code"))
        account = Account(
            fields.text("name", pattern=TRIMMED, max_length=MAX_NAME),
            fields.optional_text("did", pattern=DID),
            fields.members.get("active", True) is True,
        )
        await self._node.store.write(rows.put_account, code, account, self._node.clock.now_ms())
        return json_response({"code": code.to_json(), "name": account.name}, 201)


def _shown(conn: Connection, document: bytes) -> dict[str, Any]:
    bill = rows.bill(conn, document)
    if bill is None:
        raise NotFoundError("pint_bill_unknown", "no bill here has that checksum")
    transfers = rows.received_of(conn, document)
    return views.bill_json(bill, rows.known_chain(conn, document), transfers)


def _require_version(request: web.Request) -> None:
    """API-Version is optional and names the major version alone (PINT 3.0.0)."""
    asked = request.headers.get(replies.VERSION_HEADER, API_MAJOR).strip()
    if asked.partition(".")[0] != API_MAJOR:
        raise MalformedError("pint_version_unknown", "version 3 of the API is served here")


async def _body(request: web.Request) -> bytes:
    _require_version(request)
    if request.headers.get("Content-Type") and request.content_type != JSON:
        raise web.HTTPUnsupportedMediaType
    return await request.read()


def _reference(request: web.Request) -> str:
    reference = request.match_info["envelopeReference"]
    if len(reference) > 100:
        raise MalformedError(CODE, "an envelope reference has at most 100 characters")
    return reference
