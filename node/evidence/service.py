"""The evidence service: exports what this node holds of a consignment as one proven file.

The statement over the bundle's index is appended to this node's log with the event in one
transaction; the bundle is written once the witnesses have seen that leaf, so its moment is theirs.
Route: POST /v1/evidence (operator).
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ledger import hand_overs, log
from node.documents import documents
from node.evidence.following import IssuedDocuments
from node.evidence.stamping import Stamping
from node.http.helpers import read_json
from node.http.routes import JSON, Auth, Route
from node.log.receipts import anchor_of
from node.store import events
from node.title.partners import freezes_of
from node.trust import rows as trust_rows
from node.verification import judging
from protocols import member_list, times
from protocols.evidence import contents
from protocols.evidence.contents import BundleContents, BundledDocument, Statement
from protocols.evidence.reading import check_documents
from protocols.evidence.verification import verify_bundle
from protocols.fields import Fields
from protocols.log import policy as log_policy
from protocols.title import registry_freeze
from protocols.title.operation import read_manifest
from schemas import strict_json
from schemas.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from protocols.member_list import MemberList
    from schemas.strict_json import JsonValue

WITNESS_SECONDS = 15.0
STATUS_SECONDS = 10.0
MAX_EVENTS = 10_000


def ends_of(node: Node, titles: Sequence[tuple[bytes, str]]) -> tuple[bytes, ...]:
    """The documents by which the arbiters of these titles ended or handed over (R21)."""
    members = judging.members_of(node)
    found = {
        document.digest: document.to_bytes()
        for _, issuance in titles
        for document in registry_freeze.leading_from(
            read_manifest(issuance)[1].arbiter, freezes_of(node)
        )
        # What roots of before have signed counts here, and proves nothing elsewhere.
        if document.counted(members) >= members.roots.threshold
    }
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the store holds of a consignment."""

    stored: list[StoredDocument]
    lists: list[bytes]
    titles: list[tuple[bytes, str]]
    history: list[events.Event]
    hand_overs: list[bytes]


class EvidenceService:
    """`node.evidence`."""

    name = "evidence"

    def __init__(self, node: Node) -> None:
        """Stamps what is issued in the background, where a server is configured."""
        self._node = node
        self.stamping = Stamping(node)
        self._issued = IssuedDocuments(node, self.stamping)

    def routes(self) -> Sequence[Route]:
        """POST /v1/evidence, and those of `node.evidence.stamping`."""
        body = {
            "type": "object",
            "required": ["consignment"],
            "properties": {"consignment": {"type": "string"}},
        }
        return (
            *self.stamping.routes(),
            Route("POST", "/v1/evidence", self._export, Auth.OPERATOR,
                  "Export the evidence of a consignment as one file", "evidence",
                  request={JSON: body}, responses={200: "The bundle (zip)"}, deadline=60.0),
        )  # fmt: skip

    async def start(self) -> None:
        """Begin to have issued documents stamped."""
        await self._issued.start()

    async def stop(self) -> None:
        """End that."""
        await self._issued.stop()

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def _export(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), contents.CODE)
        consignment = fields.text("consignment", max_length=100)
        bundle, verdict = await self.export(consignment)
        name = "".join(each if each.isalnum() else "-" for each in consignment)
        headers = {
            "Content-Disposition": f'attachment; filename="evidence-{name}.zip"',
            "Px-Verdict": verdict,
        }
        return web.Response(body=bundle, content_type="application/zip", headers=headers)

    async def export(self, consignment: str) -> tuple[bytes, str]:
        """The bundle and the verdict of verifying it under our own list.

        Raises NotFoundError `evidence_nothing_held`, UnavailableError `evidence_unwitnessed` when
        there is a witness policy and its quorum does not answer within 15 s.
        """
        members = judging.members_of(self._node)
        gathered = await self._node.store.read(self._gather, consignment, members)
        if not gathered.stored:
            raise NotFoundError("evidence_nothing_held", "no document of that consignment is here")
        statuses = await self._statuses(gathered.stored)
        bundled = [await self._bundled(each) for each in gathered.stored]
        made = BundleContents(
            network=members.network,
            subject=consignment,
            documents=tuple(bundled),
            lists=tuple(
                (version, signed)
                for signed in gathered.lists
                if (version := member_list.peek_version(signed)) <= members.version
            ),
            statuses=statuses,
            titles=tuple(gathered.titles),
            hand_overs=tuple(gathered.hand_overs),
            freezes=ends_of(self._node, gathered.titles),
            history=tuple(
                self._told(event)
                for event in sorted(gathered.history, key=lambda event: (event.at, event.number))
            ),
        )
        prepared = contents.prepare(self._reported(made))
        statement = self._statement(prepared.index_digest, consignment)
        leaf_hash = await self._node.store.write(self._append, statement)
        proof = await self._proof(leaf_hash)
        signed = contents.sign_statement(statement, self._node.keys.signer("exchange"))
        bundle = contents.assemble(prepared, signed, proof)
        return bundle, verify_bundle(bundle, members).verdict.value

    def _gather(self, conn: Connection, consignment: str, members: MemberList) -> Gathered:
        from node.title import rows as title_rows

        stored = documents.find_all(conn, consignment=consignment)
        titles = []
        for each in stored:
            for found in title_rows.all_of_document(conn, each.digest):
                bill = title_rows.bill(conn, found.title)
                if bill is not None:
                    titles.append((found.proof.encode(), bill.issuance))
        history: list[events.Event] = []
        while len(history) < MAX_EVENTS:
            cursor = history[-1].number if history else 0
            page = events.of(conn, consignment=consignment, cursor=cursor)
            history += page
            if not page:
                break
        changed = [
            each.to_bytes()
            for each in hand_overs.all_of(conn)
            if each.names_listed(members.log_epochs(each.origin))
        ]
        return Gathered(stored, trust_rows.signed_lists(conn), titles, history, changed)

    async def _statuses(self, stored: list[StoredDocument]) -> tuple[str, ...]:
        """Every status list the documents depend on, as fresh as can be had.

        One that is held and nearly stale would be stale when the witnesses have seen the export.
        """
        pairs = dict.fromkeys((each.issuer, url) for each in stored for url in each.status_lists)
        status_for = self._node.documents.status_for
        calls = [status_for(issuer, url, refresh=True) for issuer, url in pairs]
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                answers = await asyncio.gather(*calls)
        except TimeoutError:
            raise UnavailableError("status_unreachable", "a status list was not answered") from None
        return tuple(answer.held.signed for answer in answers if answer.held is not None)

    async def _bundled(self, stored: StoredDocument) -> BundledDocument:
        found = await self._node.log.receipt(stored.leaf) if stored.leaf else None
        stamp = await self.stamping.ensure(stored.digest, stored.file)
        if found is None:
            return BundledDocument(stored.type, stored.file, timestamp=stamp)
        body = await anchor_of(self._node, found.size, offline=True)
        anchor = b"" if body is None else strict_json.canonical(body)
        return BundledDocument(
            stored.type, stored.file, found.entry, found.text, timestamp=stamp, anchor=anchor
        )

    def _told(self, event: events.Event) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = dict(event.to_json())
        body["at"] = times.to_text(times.from_ms(event.at))
        return {name: value for name, value in body.items() if value is not None}

    def _reported(self, made: BundleContents) -> BundleContents:
        """With the report on each document, as a verifier of the bundle will find it."""
        members, now = judging.members_of(self._node), self._node.clock.now()
        checked = check_documents(contents.prepare(made).members, members, now)
        told: list[JsonValue] = [
            {"digest": each.digest, "verdict": each.verdict, "report": each.report.to_json()}
            for each in checked
        ]
        report: dict[str, JsonValue] = {
            "at": times.to_text(now),
            "exporter": self._node.did,
            "documents": told,
        }
        return replace(made, report=report)

    def _statement(self, index: bytes, consignment: str) -> Statement:
        members = judging.members_of(self._node)
        return Statement(
            network=members.network,
            exporter=self._node.did,
            subject=consignment,
            index=index,
            list_version=members.version,
            list_digest=members.digest,
            at=times.from_ms(self._node.clock.now_ms()),
            salt=secrets.token_bytes(32),
        )

    def _append(self, conn: Connection, statement: Statement) -> bytes:
        now_ms = self._node.clock.now_ms()
        # Its subject is salted afresh with every export: no leaf before it could be named (R18).
        added = log.append(conn, statement.entry(), now_ms)
        events.record(
            conn,
            kind="exported",
            at=now_ms,
            consignment=statement.subject,
            actor=self._node.did,
            leaf=added.hash,
            detail={"index": statement.index.hex()},
        )
        return added.hash

    async def _proof(self, leaf_hash: bytes) -> str:
        found: Any = await self._node.log.wait_for(leaf_hash, WITNESS_SECONDS)
        quorum = self._node.log.policy.quorum != log_policy.NONE
        if found is None or (quorum and not found.witnessed):
            raise UnavailableError("evidence_unwitnessed", "no quorum answered in time")
        text: str = found.text
        return text
