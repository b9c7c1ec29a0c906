"""The inquiry service: verification requests and refused preference; the Parties-only view.

Routes: /v1/origin-inquiries, /v1/origin-certificates (operator), /px/1/origin-certificates (peers).
Messages: urn:pratique:origin-inquiry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from node.documents import documents
from node.documents.documents import ISSUED
from node.http.helpers import hex_digest, json_response, peer, query_int, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.inquiries import asking, rows
from node.inquiries.asking import TYPE, InquiryHandler
from node.verification import judging
from protocols.fields import Fields
from protocols.origin_inquiry import ANSWER_DAYS, ANSWERS, CODE, DETERMINATIONS, Kind
from schemas import strict_json
from schemas.documents.preferential_certificate_of_origin import PARTIES, RCEP
from schemas.errors import ForbiddenError, UnavailableError
from schemas.fields import member, objects, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.documents.documents import StoredDocument
    from node.runtime import Node

ROLES = frozenset({"customs", "issuer"})
VIEWED = ("preferential-certificate-of-origin", "back-to-back-certificate-of-origin")
SECONDS, MAX_PAGE = 3.0, 100
_ASK = {
    "type": "object",
    "required": ["kind", "certificate", "reasons"],
    "properties": {
        "kind": {"enum": [kind.value for kind in Kind]},
        "certificate": {"type": "string"},
        "declaration": {"type": "string"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "days": {"type": "integer", "minimum": ANSWER_DAYS[0], "maximum": ANSWER_DAYS[1]},
    },
}


def _said(outcomes: frozenset[str]) -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in ("text", "replacement")}
    outcome = {"enum": sorted(outcomes)}
    return {"type": "object", "required": ["outcome", "text"],
            "properties": {"outcome": outcome, **texts}}  # fmt: skip


_WHICH = (
    Parameter("number", "the certificate with this number"),
    Parameter("after", "`next` of the page before", {"type": "integer", "minimum": 0}),
)


class InquiryService:
    """`node.inquiries`."""

    name = "inquiries"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background: days run by themselves."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """See the module."""
        operator, tag, many = Auth.OPERATOR, "origin", "/v1/origin-inquiries"
        at = Parameter("at", "DID of the issuing body", required=True)
        about = Parameter("certificate", "only about this proof (digest)")
        return (
            Route("GET", many, self._list, operator,
                  "Verification requests and refused preferences, with their deadlines", tag,
                  parameters=(about,)),
            Route("POST", many, self._ask, operator,
                  "Ask the issuing body to verify a proof, or tell it of a refused preference",
                  tag, request={JSON: _ASK}, responses={201: "Put"}),
            Route("POST", many + "/{id}/answer", self._answer, operator,
                  "Answer what customs asked of us", tag, request={JSON: _said(ANSWERS)}),
            Route("POST", many + "/{id}/determination", self._determine, operator,
                  "Determine in writing, after the answer or when the days are over", tag,
                  request={JSON: _said(DETERMINATIONS)}),
            Route("GET", "/v1/origin-certificates", self._look, operator,
                  "What an issuing body shows the Parties of its certificates (RCEP 3.17(7))",
                  tag, parameters=(at, *_WHICH)),
            Route("GET", "/px/1/origin-certificates", self._show, Auth.PEER,
                  "The Parties-only view of certificates issued here (RCEP 3.17(7))", tag,
                  parameters=_WHICH),
        )  # fmt: skip

    async def start(self) -> None:
        """Takes part in the exchange."""
        self._node.exchange.on(TYPE, InquiryHandler(self._node))

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def _list(self, request: web.Request) -> web.Response:
        asked = query_text(request, "certificate")
        about = None if asked is None else hex_digest(asked, "certificate")
        found = await self._node.store.read(rows.listed, about)
        now = self._node.clock.now()
        return json_response({"items": [each.to_json(now) for each in found]})

    async def _ask(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        made = await self._node.store.write(asking.ask, self._node, fields)
        return json_response(made.to_json(self._node.clock.now()), 201)

    async def _answer(self, request: web.Request) -> web.Response:
        return await self._say(request, asking.answer)

    async def _determine(self, request: web.Request) -> web.Response:
        return await self._say(request, asking.determine)

    async def _say(self, request: web.Request, how: Any) -> web.Response:
        id_, fields = request.match_info["id"][:64], Fields(await read_json(request), CODE)
        made = await self._node.store.write(how, self._node, id_, fields)
        return json_response(made.to_json(self._node.clock.now()))

    # -- what the Parties see --------------------------------------------------------------------

    async def _show(self, request: web.Request) -> web.Response:
        """Only for customs and issuing bodies of the agreement's Parties, by the member list."""
        entry = judging.members_of(self._node).node(peer(request))
        country = entry.country if entry and not ROLES.isdisjoint(entry.roles) else None
        if country is None or not any(country in PARTIES[kind] for kind in RCEP):
            raise ForbiddenError("parties_only", "the view is for authorities of the Parties")
        number = query_text(request, "number")
        after = query_int(request, "after", 0, low=0, high=2**53)
        found = await self._node.store.read(_page, number, after)
        items = [told for each in found if (told := parties_view(each)) is not None]
        following = found[-1].n if len(found) == MAX_PAGE else None
        return json_response({"items": items, "next": following})

    async def _look(self, request: web.Request) -> web.Response:
        query = {name: query_text(request, name) for name in ("number", "after")}
        given = urlencode({name: value for name, value in query.items() if value is not None})
        path = "/px/1/origin-certificates" + (f"?{given}" if given else "")
        at = query_text(request, "at", limit=400) or ""
        got = await self._node.client.call(at, "GET", path, deadline=SECONDS)
        if got.status == 403:
            raise ForbiddenError("parties_only", "the issuing body does not show it to this node")
        if got.status != 200:
            raise UnavailableError("parties_view_unavailable", f"it answered {got.status}")
        return json_response({"at": at, **strict_json.loads_object(got.body)})


def _page(conn: Any, number: str | None, after: int) -> list[StoredDocument]:
    return sorted(
        (
            each
            for kind in VIEWED
            for each in documents.find(
                conn, type=kind, number=number, origin=ISSUED, after=after, limit=MAX_PAGE
            )
        ),
        key=lambda each: each.n,
    )[:MAX_PAGE]


def parties_view(stored: StoredDocument) -> dict[str, Any] | None:
    """The six fields of 3.17(7), and how the certificate stands; None where RCEP is not its law."""
    document = strict_json.loads_object(stored.payload)
    if text(document, "kind") not in RCEP:
        return None
    lines = [
        {
            "hs": text(line, "hs"),
            "description": text(line, "description"),
            "quantity": member(line, "quantity"),
        }
        for _, line in objects(document, "goods")
    ]
    return {
        "number": stored.number,
        "issueDate": text(document, "issueDate"),
        "exporter": text(document, "parties", "exporter", "name"),
        "goods": lines,
        "revoked": stored.revoked_at is not None,
        "suspended": stored.suspended_at is not None,
    }
