"""The AEO service: what an authorisation gives now or gave then, lanes, and changes of status."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.aeo import granting, history, rows
from node.http.helpers import json_response, lang, query_int, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.verification import judging
from protocols import times
from protocols.aeo import TRANSITIONS
from protocols.fields import COUNTRY, Fields
from schemas import aeo_programmes
from schemas.errors import MalformedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from node.runtime import Node
    from protocols.aeo import AeoEvent, Answer

CODE = "aeo_request_malformed"
STATUS_SECONDS = 1.5
_STATUS = {
    "type": "object",
    "properties": {
        "status": {"enum": sorted(name for name in TRANSITIONS if name)},
        "reason": {"type": "string"},
        "effective": {"type": "string", "format": "date"},
        "consent": {"type": "boolean"},
    },
}
_AT = (
    Parameter("at", "the past moment asked about (RFC 3339); the answer is for reading only"),
    Parameter("by", "the country that would give the benefit; this node's by default"),
)


class AeoService:
    """`node.aeo`."""

    name = "aeo"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background: events come as documents."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """Operator routes."""
        operator, tag = Auth.OPERATOR, "aeo"
        role = Parameter("role", "IMPORTER, EXPORTER, …: the role in which it would benefit")
        after = Parameter("after", "the last code of the page before")
        limit = Parameter("limit", "how many at most", {"type": "integer"})
        return (
            Route("GET", "/v1/aeo", self._list, operator, "Authorisations of which events are here",
                  tag, parameters=(after, limit)),
            Route("GET", "/v1/aeo-programmes", self._programmes, operator,
                  "Programmes, code forms and classes, with the digest of their data", tag),
            Route("GET", "/v1/aeo-lanes/{ucr}", self._lanes, operator,
                  "The lane a consignment gets here, and why", tag, parameters=_AT),
            Route("GET", "/v1/aeo/{code}", self._show, operator,
                  "Does an authorisation give a benefit, now or then, and why not", tag,
                  parameters=(*_AT, role)),
            Route("POST", "/v1/aeo/{code}/status", self._change, operator,
                  "Issue the next status event and send it to all who got one", tag,
                  request={JSON: _STATUS}, responses={201: "Issued"}),
        )  # fmt: skip

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def benefits(self, codes: Sequence[str], by: str) -> list[Answer]:
        """What each authorisation gives in that country now, its status as fresh as can be had."""
        await self._refresh(codes)
        return await self._node.store.read(history.ask_all, self._node, codes, by=by)

    async def _list(self, request: web.Request) -> web.Response:
        after = query_text(request, "after") or ""
        limit = query_int(request, "limit", 100, low=1, high=rows.MAX_PAGE)
        found = await self._node.store.read(rows.listed, after, limit)
        items = [
            {"code": each.code, "seq": each.seq}
            | ({"knownAt": times.to_text(times.from_ms(each.known_at))} if each.known_at else {})
            for each in found
        ]
        following = found[-1].code if len(found) == limit else None
        return json_response({"items": items, "next": following})

    async def _programmes(self, _request: web.Request) -> web.Response:
        listed = [each.to_json() for each in aeo_programmes.programmes()]
        return json_response({"programmes": listed, "digest": aeo_programmes.digest()})

    async def _show(self, request: web.Request) -> web.Response:
        code = request.match_info["code"][:40]
        by, at = self._by(request), _at(request, self._node.clock.now())
        role = (query_text(request, "role") or "").upper()[:20]
        if at is None:
            await self._refresh([code])

        def read(conn: Any) -> Answer:
            return history.ask(conn, self._node, code, by=by, role=role, at=at)

        found = await self._node.store.read(read)
        if not found.events and not await self._node.store.read(rows.known, code):
            raise NotFoundError("aeo_code_unknown", code)
        body = found.to_json(lang(request)) | _historical(at)
        body["events"] = [_event_json(each) for each in found.events]
        return json_response(body)

    async def _lanes(self, request: web.Request) -> web.Response:
        ucr = request.match_info["ucr"][:100]
        by, at = self._by(request), _at(request, self._node.clock.now())

        def codes(conn: Any) -> list[str]:
            from node.documents import documents

            stored = documents.find_all(conn, type="aeo-status", consignment=ucr)
            return history.codes_of(stored, conn)

        if at is None:
            await self._refresh(await self._node.store.read(codes))

        def read(conn: Any) -> tuple[Any, list[Answer]]:
            return history.lanes(conn, self._node, ucr, by=by, at=at)

        lane, answers = await self._node.store.read(read)
        told = [each.to_json(lang(request)) for each in answers]
        body = {"consignment": ucr, "lane": lane.value, "holds": False, "operators": told}
        return json_response(body | _historical(at))

    async def _change(self, request: web.Request) -> web.Response:
        code = request.match_info["code"][:40]
        order = read_change(await read_json(request))
        issued = await self._node.store.write(granting.change, self._node, code, order)
        where = {"Location": f"/v1/documents/{issued.digest.hex()}"}
        return json_response(issued.to_json(), 201, headers=where)

    def _by(self, request: web.Request) -> str:
        by = query_text(request, "by") or judging.country_of(self._node) or ""
        if by and not COUNTRY.fullmatch(by):
            raise MalformedError(CODE, "a country has two capital letters", name="by")
        return by

    async def _refresh(self, codes: Sequence[str]) -> None:
        """Fetch what status lists are stale; those that cannot be had stay what they are."""
        pairs = await self._node.store.read(history.dependencies, codes)
        calls = [self._node.documents.status_for(issuer, url) for issuer, url in pairs]
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                await asyncio.gather(*calls)
        except TimeoutError:
            self._node.telemetry.log.info("aeo.status_slow", lists=len(pairs))


def _at(request: web.Request, now: datetime) -> datetime | None:
    text = query_text(request, "at")
    if text is None:
        return None
    at = times.from_text(text, pointer="/at")
    if at > now:
        raise MalformedError(CODE, "that moment is still to come", name="at")
    return at


def _historical(at: datetime | None) -> dict[str, Any]:
    return {} if at is None else {"historical": True}


def _event_json(event: AeoEvent) -> dict[str, Any]:
    body = {
        "seq": event.seq,
        "status": event.status,
        "effective": event.effective.isoformat(),
        "knownAt": times.to_text(event.known_at),
        "class": event.authorisation,
        "roles": list(event.roles),
        "consent": event.consent,
        "issuer": event.issuer,
        "document": event.document,
        "standing": event.standing or "good",
    }
    return body | ({"revokedAt": times.to_text(event.gone_at)} if event.gone_at else {})


def read_change(body: dict[str, Any]) -> granting.StatusOrder:
    """POST …/status; raises MalformedError `aeo_request_malformed`."""
    fields = Fields(body, CODE)
    status = fields.optional_text("status", max_length=20)
    if status is not None and status not in TRANSITIONS:
        raise fields.fault("status", "ACTIVE, SUSPENDED, REVOKED or EXPIRED")
    effective = fields.optional_text("effective", max_length=10)
    try:
        day = date.fromisoformat(effective) if effective else None
    except ValueError:
        raise fields.fault("effective", "effective is a date, YYYY-MM-DD") from None
    return granting.StatusOrder(
        status=status,
        reason=fields.optional_text("reason", max_length=500) or "",
        effective=day,
        consent=fields.boolean("consent") if fields.has("consent") else None,
    )
