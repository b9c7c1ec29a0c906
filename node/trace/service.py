"""The trace service: everything this node knows of a document or a consignment, in order.

Events with their log leaves and the checkpoints that cover them, verdicts, title operations, each
with the reference under which its proof is found. Routes: /v1/trace/… (operator), as JSON, or as a
picture by Accept: image/svg+xml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from node.documents import documents
from node.http.helpers import hex_digest, json_response, lang
from node.http.routes import JSON, Auth, Route
from node.store import events
from node.trace import milestones, telling
from node.trace.picture import history_svg
from protocols import times
from protocols.trace import TraceEvent, ordered
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from node.store.events import Event
    from protocols.title.machine import Operation

MAX_EVENTS = 5_000
MAX_PROOFS = 500
SVG = "image/svg+xml"


class TraceService:
    """`node.trace`."""

    name = "trace"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """The trace of a document by digest, of a consignment by UCR."""
        operator, tag = Auth.OPERATOR, "trace"
        return (
            Route("GET", "/v1/trace/documents/{digest}", self._document, operator,
                  "The history of one document, each step with its proof", tag),
            Route("GET", "/v1/trace/consignments/{ucr}", self._consignment, operator,
                  "The history of a consignment, each step with its proof", tag),
            Route("GET", "/v1/consignments/{ucr}/milestones", self._milestones, operator,
                  "The way of each container against its plan; who is silent past it", tag),
            Route("POST", "/v1/consignments/{ucr}/events", self._tell, operator,
                  "Tell a logistics event: sign it, send it, decide anew what it changes", tag,
                  request={JSON: telling.SCHEMA}, responses={201: "Told"}),
        )  # fmt: skip

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def _document(self, request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"])
        return await self._answer(request, digest.hex(), document=digest)

    async def _consignment(self, request: web.Request) -> web.Response:
        ucr = request.match_info["ucr"][:100]
        return await self._answer(request, ucr, consignment=ucr)

    async def _milestones(self, request: web.Request) -> web.Response:
        ucr = request.match_info["ucr"][:100]
        now = self._node.clock.now()
        found = await self._node.store.read(milestones.read, ucr, now)
        if not found:
            raise NotFoundError("trace_nothing", "nothing of that is known here")
        return json_response({"consignment": ucr, "containers": found})

    async def _tell(self, request: web.Request) -> web.Response:
        ucr = request.match_info["ucr"][:100]
        order = await telling.read_telling(request)
        issued, unsure = await self._node.store.write(telling.tell, self._node, ucr, order)
        where = {"Location": f"/v1/documents/{issued.digest.hex()}"}
        body = issued.to_json()
        if unsure:
            body["warnings"] = [finding.to_json() for finding in unsure]
        return json_response(body, 201, headers=where)

    async def _answer(
        self,
        request: web.Request,
        subject: str,
        *,
        document: bytes | None = None,
        consignment: str | None = None,
    ) -> web.Response:
        stored, found = await self._node.store.read(self._read, document, consignment)
        if not stored and not found:
            raise NotFoundError("trace_nothing", "nothing of that is known here")
        traced = [self._traced(event, stored, lang(request)) for event in found]
        if SVG in request.headers.get("Accept", ""):
            return web.Response(text=history_svg(traced, lang(request)), content_type=SVG)
        body = {
            "subject": subject,
            "documents": [_document_json(each) for each in stored],
            "events": [event.to_json(lang(request)) for event in ordered(traced)],
            "proofs": await self._proofs(stored, found),
            "titles": await self._node.store.read(self._titles, [each.digest for each in stored]),
        }
        return json_response(body)

    def _read(
        self, conn: Connection, document: bytes | None, consignment: str | None
    ) -> tuple[list[StoredDocument], list[Event]]:
        if document is not None:
            one = documents.get(conn, document)
            stored = [one] if one else []
        else:
            stored = documents.find(conn, consignment=consignment)
        found: list[Event] = []
        while len(found) < MAX_EVENTS:
            cursor = found[-1].number if found else 0
            page = events.of(conn, document=document, consignment=consignment, cursor=cursor)
            found += page
            if not page:
                break
        return stored, found

    def _traced(self, event: Event, stored: list[StoredDocument], language: str) -> TraceEvent:
        about = next((each for each in stored if each.digest == event.document), None)
        named = event.detail.get("number") or (about.number if about else "")
        leaf = event.leaf.hex() if event.leaf else ""
        return TraceEvent(
            at=times.from_ms(event.at),
            actor=self._name(event.actor or self._node.did, language),
            kind=event.kind,
            lane=self._name(self._place(event), language),
            document=event.document.hex() if event.document else "",
            type=str(event.detail.get("type") or (about.type if about else "")),
            label=str(named or event.detail.get("container", "")),
            recipient=self._name(_recipient(event), language),
            leaf=leaf,
            proof=f"/log/proof?leaf={leaf}" if leaf else "",
            consignment=event.consignment or "",
            detail=event.detail,
            number=event.number,
        )

    def _place(self, event: Event) -> str | None:
        """At which node it happened: here, unless the event tells of what another one did."""
        if event.actor and (event.kind == "receipted" or event.detail.get("from") == "peer"):
            return event.actor
        members = self._node.members.current
        if event.actor and members and event.kind.startswith("title-"):
            party = members.party(event.actor)
            return party.host if party else event.actor
        return self._node.did

    def _name(self, did: str | None, language: str) -> str:
        """The name in the member list, in that language where it has one."""
        members = self._node.members.current
        if did is None:
            return ""
        entry = (members.node(did) or members.party(did)) if members else None
        if entry is None and did == self._node.did:
            return self._node.settings.node.name or did
        return entry.names.get(language, entry.name) if entry else did

    async def _proofs(
        self, stored: list[StoredDocument], found: list[Event]
    ) -> list[dict[str, Any]]:
        """Where each leaf stands in our log, and whether a quorum saw it there."""
        log = getattr(self._node, "log", None)
        leaves = [each.leaf for each in stored] + [event.leaf for event in found]
        known = [leaf for leaf in dict.fromkeys(leaves) if leaf is not None]
        proofs: list[dict[str, Any]] = []
        if log is None:
            return proofs
        for leaf in known[:MAX_PROOFS]:
            receipt = await log.receipt(leaf)
            if receipt is not None:
                proofs.append(
                    {
                        "leaf": leaf.hex(),
                        "log": receipt.origin,
                        "index": receipt.index,
                        "checkpoint": receipt.size,
                        "witnessed": receipt.witnessed,
                        "proof": f"/log/proof?leaf={leaf.hex()}",
                    }
                )
        return proofs

    def _titles(self, conn: Connection, digests: list[bytes]) -> list[dict[str, Any]]:
        """The titles of the documents with every signed operation, first to last."""
        from node.title import rows as title_rows
        from node.title.forms import reader

        members = self._node.members.current
        assert members is not None  # without a network there are no titles
        told = []
        for digest in digests:
            found = title_rows.of_document(conn, digest)
            if found is None:
                continue
            texts = title_rows.texts(conn, found.title)
            read = reader(conn, members, found.title)
            told.append(
                {
                    "title": found.title.hex(),
                    "document": digest.hex(),
                    "state": found.state.state.value,
                    "seq": found.state.seq,
                    "asOf": times.to_text(times.from_ms(found.at)),
                    "proof": f"/v1/titles/{found.title.hex()}",
                    "operations": [_operation_json(read(text)) for text in texts],
                }
            )
        return told


def _recipient(event: Event) -> str | None:
    to = event.detail.get("to") if event.kind.startswith("title-") else None
    return to if isinstance(to, str) else None


def _operation_json(operation: Operation) -> dict[str, Any]:
    return {
        "seq": operation.seq,
        "kind": operation.kind.value,
        "by": operation.sender.did,
        "to": operation.recipient.did if operation.recipient else None,
        "digest": operation.digest.hex(),
    }


def _document_json(stored: StoredDocument) -> dict[str, Any]:
    body = stored.to_json()
    report = orjson.loads(stored.report) if stored.report else None
    if report is not None:
        body["checks"] = [
            {"id": each["id"], "outcome": each["outcome"]} for each in report["checks"]
        ]
    return body
