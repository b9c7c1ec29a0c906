"""`node.exits`: what a holder takes away from a node: the exit file, the reliability report, a key.

The exit file is made of what is final and kept here, so it needs no arbiter to answer. A private
key is never part of it and never travels over HTTP: on an operator's express order the command
reads it from the home, and here it is only told, for good, that this was done (R20).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from sqlalchemy import select

from node.documents import documents
from node.http.helpers import json_response, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.pint import rows as pint_rows
from node.store import events
from node.title import exit_file, reliability, rows
from node.title.exit_file import ExitFile
from node.title.partners import freezes_of, members_of
from node.title.tables import bills
from node.trust import rows as trust_rows
from protocols import member_list
from protocols.fields import DID, Fields
from schemas import strict_json
from schemas.errors import ForbiddenError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.runtime import Node
    from schemas.findings import Report

MAX_LISTS = 10_000
_CODE = "title_request_malformed"
_REF = (Parameter("ref", "title id, or transport document reference", required=True),)


class ExitService:
    """Makes files from what the store holds."""

    name = "exits"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self.node = node

    def routes(self) -> Sequence[Route]:
        """/v1/title-exit and /v1/title-reliability."""
        where, tag = Auth.OPERATOR, "titles"
        key = {
            "type": "object",
            "required": ["title", "party"],
            "properties": {"title": {"type": "string"}, "party": {"type": "string"}},
        }
        return (
            Route("GET", "/v1/title-exit", self._exit, where,
                  "The file that proves a title without this node", tag, parameters=_REF,
                  responses={200: "The exit file; Px-Verdict says how it verifies"}),
            Route("POST", "/v1/title-exit/key", self._key, where,
                  "Tell that a hosted party was handed its own title key", tag,
                  request={JSON: key}, responses={200: "Which key"}),
            Route("GET", "/v1/title-reliability", self._reliability, where,
                  "What the laws ask of a title, line by line, with the evidence", tag,
                  parameters=_REF),
        )  # fmt: skip

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def export(self, reference: str) -> tuple[bytes, Report]:
        """The exit file of a title, and how it verifies under our own member list.

        reference: title id in hex, or the transport document's reference, of which the newest
        title counts. Raises NotFoundError `title_never_issued`, `title_exit_no_document`.
        """
        made: ExitFile = await self.node.store.read(self._made, reference)
        data = made.to_bytes()
        return data, exit_file.verify(data, [members_of(self.node)], freezes_of(self.node))

    def _made(self, conn: Connection, reference: str) -> ExitFile:
        title = title_of(conn, reference)
        bill, members = rows.bill(conn, title), members_of(self.node)
        document = self._document(conn, bill) if bill is not None else None
        if bill is None or document is None:
            raise NotFoundError("title_exit_no_document", "the bill itself is not held here")
        known = pint_rows.known_chain(conn, bill.checksum)
        told = strict_json.loads_object(self.node.title.follower.message(conn, title))
        lists = trust_rows.signed_lists(conn)[-MAX_LISTS:]
        return ExitFile(
            network=members.network,
            exporter=self.node.did,
            at=self.node.clock.now(),
            news=dict(told),
            document=document,
            lists=member_list.write_export(lists),
            chain=known.texts if known is not None else (),
        )

    @staticmethod
    def _document(conn: Connection, bill: rows.StoredBill) -> bytes | None:
        """The transport document as it was issued here, delivered here, or came by PINT."""
        if bill.document is not None:
            return documents.require(conn, bill.document).payload
        held = pint_rows.bill(conn, bill.checksum)
        return held.body.encode() if held is not None else None

    async def hand_key(self, title: bytes, party: str) -> dict[str, Any]:
        """Record that a party hosted here gets its own key; which file in the home it is in.

        Raises ForbiddenError `title_key_not_held`, NotFoundError `title_never_issued`.
        """
        held = await self.node.title.require(title)
        members = members_of(self.node)
        entry, signer = members.party(party), self.node.keys.parties().get(party)
        if entry is None or entry.host != self.node.did or signer is None:
            raise ForbiddenError("title_key_not_held", "no key of that party lies here")
        detail = {"title": title.hex(), "kid": signer.kid, "seq": held.state.seq}
        await self.node.store.write(self._told, party, detail)
        return detail

    def _told(self, conn: Connection, party: str, detail: dict[str, Any]) -> None:
        now = self.node.clock.now_ms()
        events.record(conn, kind="title-key-handed", at=now, actor=party, detail=detail)

    async def _exit(self, request: web.Request) -> web.Response:
        data, report = await self.export(query_text(request, "ref") or "")
        headers = {"Px-Verdict": report.verdict.value}
        return web.Response(body=data, content_type=JSON, headers=headers)

    async def _key(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        party = fields.text("party", pattern=DID)
        return json_response(await self.hand_key(fields.digest("title"), party))

    async def _reliability(self, request: web.Request) -> web.Response:
        return json_response(await self.judge(query_text(request, "ref") or ""))

    async def judge(self, reference: str) -> dict[str, Any]:
        """What the laws ask of a title, see `reliability.report`; raises as `export`."""
        data, report = await self.export(reference)
        file, members = exit_file.read(data), members_of(self.node)
        former = await self._former(bytes.fromhex(report.subject)) if report.subject else None
        return reliability.report(file, report, members, former)

    async def _former(self, title: bytes) -> reliability.Former | None:
        """The title that this one replaces, as far as it is held here."""
        held = await self.node.store.read(rows.find, title)
        if held is None or held.state.replaces is None:
            return None
        try:
            data, report = await self.export(held.state.replaces.hex())
        except NotFoundError:
            return None
        return reliability.Former(exit_file.read(data), report, members_of(self.node))


def title_of(conn: Connection, reference: str) -> bytes:
    """The title of that id, or the newest of that transport document reference.

    Raises NotFoundError `title_never_issued`.
    """
    if len(reference) == 64 and not set(reference) - set("0123456789abcdef"):
        found = [bytes.fromhex(reference)]
    else:
        query = select(bills.c.title).where(bills.c.reference == reference)
        newest = query.order_by(bills.c.created_at.desc()).limit(rows.MAX_TITLES)
        found = [bytes(title) for title in conn.execute(newest).scalars()]
    known = [title for title in found if rows.find(conn, title) is not None]
    if not known:
        raise NotFoundError("title_never_issued", "no final state of that title is known here")
    return known[0]
