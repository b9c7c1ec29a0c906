"""The operator's routes for titles and hosted parties."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from node.http.helpers import hex_digest, json_response, query_int, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.title import making, rows
from node.title.making import IssueOrder, Order
from node.title.views import summary_json
from protocols.fields import DID, Fields
from protocols.title.machine import Ending, Kind
from protocols.title.operation import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.title.service import TitleService

    _Enum = TypeVar("_Enum", bound=StrEnum)

_CODE = "title_request_malformed"
_DEADLINE = 20.0
_TEXT = {"type": "string"}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object(required: Sequence[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


class TitleRoutes:
    """Reads requests strictly and answers in JSON; the work is the service's."""

    def __init__(self, service: TitleService) -> None:
        """Belongs to `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """All of them."""
        return [*self._writing(), *self._reading()]

    def _writing(self) -> list[Route]:
        decided: dict[int, str] = {
            202: "Handed in; not final yet",
            409: "Refused; the problem carries the signed refusal and the winner",
        }
        where, tag = Auth.OPERATOR, "titles"
        issue = _object(
            ["document", "holder"],
            document=_DIGEST,
            holder=_TEXT,
            endorsee=_TEXT,
            replaces=_DIGEST,
            arbiter=_TEXT,
            law=_TEXT,
        )
        operate = _object(
            [], kind=_TEXT, to=_TEXT, by=_TEXT, ending=_TEXT, entry=_DIGEST, operation=_TEXT
        )
        party = _object(["name"], name=_TEXT, did=_TEXT)
        return [
            Route(
                "POST",
                "/v1/titles",
                self._issue,
                where,
                "Issue the title of an own bill or negotiable multimodal document",
                tag,
                request={JSON: issue},
                responses={201: "The title, final"} | decided,
                deadline=_DEADLINE,
            ),
            Route(
                "POST",
                "/v1/titles/{title}/operations",
                self._operate,
                where,
                "Operate on a title for a party hosted here, or relay a signed operation",
                tag,
                request={JSON: operate},
                responses={200: "Final: state and proof"} | decided,
                deadline=_DEADLINE,
            ),
            Route(
                "POST",
                "/v1/parties",
                self._party,
                where,
                "Create the title key of a party hosted here",
                tag,
                request={JSON: party},
                responses={201: "The key, to be put into the member list"},
            ),
        ]

    def _reading(self) -> list[Route]:
        where, tag = Auth.OPERATOR, "titles"
        return [
            Route(
                "GET",
                "/v1/titles",
                self._list,
                where,
                "Titles known here, by their final state",
                tag,
                parameters=(
                    Parameter("state", "LIVE, SURRENDERED, …"),
                    Parameter("document", "digest of the document", _DIGEST),
                    Parameter("after", "cursor of the last page", _DIGEST),
                    Parameter("limit", "titles at most", {"type": "integer"}),
                ),
            ),
            Route(
                "GET",
                "/v1/titles/{title}",
                self._show,
                where,
                "One title: final state, proof, history, and what is not final",
                tag,
                parameters=(Parameter("refresh", "1: ask the registry first"),),
                deadline=_DEADLINE,
            ),
            Route(
                "GET",
                "/v1/parties",
                self._parties,
                where,
                "The parties hosted here and their title keys",
                tag,
            ),
        ]

    async def _issue(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        order = IssueOrder(
            document=fields.digest("document"),
            holder=fields.text("holder", pattern=DID),
            endorsee=fields.optional_text("endorsee", pattern=DID),
            replaces=fields.optional_digest("replaces"),
            arbiter=fields.optional_text("arbiter", max_length=300) or "",
            law=fields.optional_text("law", max_length=40) or "",
        )
        body = await self._service.issue(order)
        return json_response(body, 201 if body["outcome"] == "final" else 202)

    async def _operate(self, request: web.Request) -> web.Response:
        title = hex_digest(request.match_info["title"], "title")
        fields = Fields(await read_json(request), _CODE)
        if fields.has("operation"):
            text = fields.text("operation", max_length=MAX_TEXT)
            body = await self._service.relay(title, text)
        else:
            body = await self._service.ordered(title, _order(fields))
        return json_response(body, 200 if body["outcome"] == "final" else 202)

    async def _party(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        node, name = self._service.node, fields.text("name", max_length=64)
        did = fields.optional_text("did", pattern=DID) or f"{node.did}:party:{name}"
        signer = node.keys.create_party(name, did)
        return json_response(_key_json(did, signer.kid, dict(signer.public_jwk)), 201)

    async def _parties(self, _request: web.Request) -> web.Response:
        parties = self._service.node.keys.parties()
        keys = (_key_json(did, key.kid, dict(key.public_jwk)) for did, key in parties.items())
        return json_response({"parties": list(keys)})

    async def _list(self, request: web.Request) -> web.Response:
        store = self._service.node.store
        document = query_text(request, "document")
        if document is not None:
            found = await store.read(rows.of_document, hex_digest(document, "document"))
            return json_response({"titles": [summary_json(found)] if found else []})
        limit = query_int(request, "limit", 100, low=1, high=500)
        after, state = query_text(request, "after"), query_text(request, "state")
        cursor = hex_digest(after, "after") if after else None
        page = await store.read(rows.page, after=cursor, limit=limit, status=state)
        following = page[-1].title.hex() if len(page) == limit else None
        return json_response({"titles": [summary_json(item) for item in page], "after": following})

    async def _show(self, request: web.Request) -> web.Response:
        title = hex_digest(request.match_info["title"], "title")
        refresh = query_text(request, "refresh") == "1"
        return json_response(await self._service.show(title, refresh=refresh))


def _order(fields: Fields) -> Order:
    return Order(
        kind=_one_of(fields, "kind", Kind),
        to=fields.optional_text("to", pattern=DID),
        by=fields.optional_text("by", pattern=DID),
        ending=_one_of(fields, "ending", Ending) if fields.has("ending") else None,
        entry=fields.optional_digest("entry") or making.NOTHING,
    )


def _one_of(fields: Fields, name: str, values: type[_Enum]) -> _Enum:
    from protocols.title.json_forms import one_of

    return one_of(fields, name, values)


def _key_json(did: str, kid: str, jwk: dict[str, str]) -> dict[str, Any]:
    from protocols.keys import thumbprint

    return {"did": did, "kid": kid, "jwk": jwk, "thumbprint": thumbprint(jwk)}
