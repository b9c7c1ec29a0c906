"""`node.ships`: answers for the register of ship certificates kept here, and asks those of others.

A register is the list of what a node issued, by tracking number (IMO FAL.5/Circ.39/Rev.2 §4).
Anybody may ask it; the answer is signed, so it can be kept and shown. Another's register is asked
at the address that the member list names (R7). One that cannot be reached leaves the question open
(R23), except for a document that it has already said to know: that holds for good.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from node.documents import issuing, signing
from node.http.helpers import json_response, query_text
from node.http.routes import Auth, Parameter, Route
from node.ships import rows
from node.verification import judging
from protocols import ship_register, times
from protocols.fields import DID, Fields
from protocols.members.trust import CLOCK_SKEW
from protocols.ship_register import MEDIA_TYPE, NUMBER, RegisterAnswer
from schemas import strict_json
from schemas.documents.ship_certificate import TYPE
from schemas.errors import NotFoundError, RefusedError, TradeError
from schemas.fields import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.verify import Case

PATH = "/ship-register"
CODE = "ship_register_malformed"
SILENT = "ship_register_silent"
SECONDS = 6.0
MAX_ASKED = 50
_NUMBER = Parameter("number", "the unique tracking number (UTN)", required=True)


class ShipService:
    """The register and its questions."""

    name = "ships"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """/ship-register for everybody, /v1/ship-certificates for the operator."""
        register = Parameter("register", "DID of the register to ask; all that are listed if not")
        return (
            Route("GET", PATH, self._answer, Auth.OPEN,
                  "What was issued here under a ship certificate's tracking number", "ships",
                  parameters=(_NUMBER,), responses={200: "The answer, signed (JWS)"}),
            Route("GET", "/v1/ship-certificates", self._ask, Auth.OPERATOR,
                  "Ask registers about a tracking number, and what is held of it", "ships",
                  parameters=(_NUMBER, register), deadline=15.0),
        )  # fmt: skip

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    # -- the register here ---------------------------------------------------------------------

    async def own_answer(self, number: str) -> str:
        """What was issued here under the number, as a signed text.

        Raises RefusedError where no list or key is there to sign with.
        """
        members = issuing.require_fresh(self._node)
        signer = signing.credential_signer(self._node, members)
        answer: RegisterAnswer = await self._node.store.read(self._own, members.network, number)
        return ship_register.sign(answer, signer)

    def _own(self, conn: Connection, network: bytes, number: str) -> RegisterAnswer:
        found = tuple(rows.issued(conn, self._node.did, number))
        return RegisterAnswer(network, self._node.did, number, found, self._node.clock.now())

    # -- registers of others -------------------------------------------------------------------

    async def hear(self, case: Case) -> None:
        """Put the issuer's register's answer into an open case of a ship certificate."""
        if case.claims is None or case.jws is None or case.file is None:
            return
        if case.claims.document_type != TYPE.key:
            return
        digest = case.jws.payload_digest
        case.register = await self._node.store.read(rows.answer, digest)
        if case.register is not None:
            return
        try:
            number = text(_parsed(case), "trackingNumber") or ""
            answer = await self.ask(case.claims.issuer, number)
        except TradeError as error:
            case.register_fault = error.code if isinstance(error, RefusedError) else SILENT
            return
        case.register = answer.signed
        if digest in answer.documents:
            now = self._node.clock.now_ms()
            await self._node.store.write(rows.keep_answer, digest, answer.signed, now)

    async def ask(self, register: str, number: str) -> RegisterAnswer:
        """A register's verified answer.

        Raises NotFoundError `ship_register_unlisted`; UnavailableError when it cannot be reached;
        MalformedError or RefusedError for an answer that is none.
        """
        members = judging.members_of(self._node)
        if register == self._node.did:
            return ship_register.open_answer(await self.own_answer(number), members)
        entry = members.node(register)
        if entry is None:
            raise NotFoundError("ship_register_unlisted", register)
        url = f"{entry.endpoint}{PATH}?number={quote(number, safe='')}"
        body = await self._node.guarded.get(
            url, cap=ship_register.MAX_BYTES, deadline=SECONDS, accept=(MEDIA_TYPE,)
        )
        answer = ship_register.open_answer(body.decode("ascii", "replace").strip(), members)
        late = answer.at > self._node.clock.now() + CLOCK_SKEW
        if late or (answer.register, answer.number) != (register, number):
            raise RefusedError("ship_register_refused", "the answer is about something else")
        return answer

    def registers(self) -> list[str]:
        """Who may issue ship certificates by the member list, or by its role; this node first."""
        members = judging.members_of(self._node)
        listed = [entry.did for entry in members.issuers if entry.document_type == TYPE.key]
        roles = set(TYPE.issuer_roles)
        by_role = [node.did for node in members.nodes if not roles.isdisjoint(node.roles)]
        known = dict.fromkeys((self._node.did, *listed, *by_role))
        return [did for did in known if members.node(did) is not None][:MAX_ASKED]

    # -- HTTP ----------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.Response:
        signed = await self.own_answer(_number(request))
        return web.Response(text=signed, content_type=MEDIA_TYPE)

    async def _ask(self, request: web.Request) -> web.Response:
        number, named = _number(request), query_text(request, "register", limit=400)
        if named is not None:
            named = Fields({"register": named}, CODE).text("register", pattern=DID)
        asked = self.registers() if named is None else [named]
        answers = await asyncio.gather(*(self._told(did, number) for did in asked))
        held = await self._node.store.read(rows.held, number)
        shown = [
            {
                "document": one.digest.hex(),
                "number": one.number,
                "issuer": one.issuer,
                "origin": one.origin,
                **({"verdict": one.verdict} if one.verdict else {}),
                "revoked": one.revoked_at is not None,
            }
            for one in held
        ]
        return json_response({"trackingNumber": number, "registers": answers, "held": shown})

    async def _told(self, register: str, number: str) -> dict[str, Any]:
        """One register's line: known, unknown, or silent with the reason."""
        entry = judging.members_of(self._node).node(register)
        line = {"register": register, **({"name": entry.name} if entry else {})}
        try:
            answer = await self.ask(register, number)
        except TradeError as error:
            return line | {"says": "silent", "code": error.code}
        return line | {
            "says": "known" if answer.documents else "unknown",
            "documents": [each.hex() for each in answer.documents],
            "answeredAt": times.to_text(answer.at),
            "answer": answer.signed,
        }


def _number(request: web.Request) -> str:
    given = query_text(request, "number")
    return Fields({"number": given}, CODE).text("number", pattern=NUMBER)


def _parsed(case: Case) -> Any:
    if isinstance(case.document, dict):
        return case.document
    return strict_json.loads_object(case.file.payload if case.file else b"")
