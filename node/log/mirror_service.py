"""Storing partners' logs: C2SP tlog-mirror, for every log that this node witnesses.

The witness's last checkpoint is the pending one, so both share the prefix ``/witness/1``; what is
stored is served below ``/mirror/1/<origin hash>``, hashes to anybody, entries to listed nodes. The
ticket is the checkpoint itself under the log's signature and ours: nothing else has to be kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from ledger import mirror, witness
from ledger.mirror import MirrorFolder, MirrorState
from ledger.tiles import parse_path
from node.http.routes import Auth, Route
from node.log import partners
from node.log.routes import BYTES, FOR_EVER, FRESH, NOTE, entry_bundle
from protocols.log import checkpoint, cosignature, merkle_subtree, mirror_protocol, note
from protocols.log.merkle import Tree, leaf_hash
from protocols.log.mirror_protocol import INFO_MEDIA_TYPE, MirrorInfo, Package, Upload
from schemas.errors import MalformedError, NotFoundError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ledger.witness import Cosigner
    from node.http.routes import Handler
    from node.log.witness_service import Watched, WitnessService
    from protocols.log.checkpoint import SignedCheckpoint

MAX_BODY = 16 * 1024 * 1024
DEADLINE = 60.0
MAX_EXCESS = mirror_protocol.PACKAGE * mirror_protocol.MAX_PACKAGES
_HASH = "{origin_hash:[0-9a-f]{64}}"


@dataclass(slots=True)
class _Work:
    """One upload on its way."""

    upload: Upload
    goal: SignedCheckpoint
    folder: MirrorFolder
    held: MirrorState
    taken: int = 0


class MirrorService:
    """The mirror of a node; a part of `node.witness`."""

    def __init__(self, service: WitnessService) -> None:
        """Knows which logs the witness watches."""
        self._service = service
        self._node = service.node
        self._locks: dict[str, asyncio.Lock] = {}

    def routes(self) -> Sequence[Route]:
        """``add-entries``, and the stored logs as tlog-tiles."""
        return [
            Route(
                "POST",
                "/witness/1/add-entries",
                self._add_entries,
                Auth.PEER,
                "Hand over entries of a log to its mirror (C2SP tlog-mirror)",
                "witness",
                request={mirror_protocol.MEDIA_TYPE: {}},
                responses={
                    200: "The mirror's cosignature",
                    202: "Stored in part; where to go on",
                    409: "Where the mirror stands",
                    422: "The entries are not in the log",
                },
                max_body=MAX_BODY,
                deadline=DEADLINE,
            ),
            self._get("checkpoint", self._checkpoint, Auth.OPEN, "What is mirrored of a log"),
            self._get("tile/{path:[0-9].*}", self._tile, Auth.OPEN, "A mirrored tile of hashes"),
            self._get(
                "tile/entries/{path:.*}", self._entries, Auth.PEER, "A mirrored bundle of entries"
            ),
        ]

    def _get(self, rest: str, handler: Handler, auth: Auth, summary: str) -> Route:
        return Route("GET", f"/mirror/1/{_HASH}/{rest}", handler, auth, summary, "witness")

    def cosigner(self) -> Cosigner:
        """The mirror's key and name."""
        return self._service.keys().mirror

    def folder(self, origin: str) -> Path:
        """Where a log is stored."""
        return self._node.home.path / "mirrors" / partners.origin_hash(origin)

    # -- taking entries ------------------------------------------------------------------------

    async def _add_entries(self, request: web.Request) -> web.Response:
        data = await request.read()
        upload, at = mirror_protocol.parse_upload(data)
        watched = self._service.watched(upload.origin)
        async with self._locks.setdefault(upload.origin, asyncio.Lock()):
            held = await self._node.store.read(mirror.state, upload.origin)
            pending = await self._node.store.read(witness.state, upload.origin)
            if pending is None:
                raise RefusedError("mirror_without_checkpoint", "no checkpoint was cosigned yet")
            goal = self._goal(upload, watched, (pending.note, held.note))
            if goal is None or not _fits(upload, held):
                return _info(409, MirrorInfo(pending.size, held.next_entry, pending.note.encode()))
            folder = MirrorFolder(self.folder(upload.origin), held.next_entry)
            work = _Work(upload, goal, folder, held)
            try:
                await asyncio.to_thread(_take, work, data, at)
            finally:
                await self._advance(work)
            return await self._finish(work)

    def _goal(
        self, upload: Upload, watched: Watched, held: Sequence[str]
    ) -> SignedCheckpoint | None:
        """The checkpoint of the upload's end, if it is one that this node has cosigned."""
        ticket = upload.ticket.decode("utf-8", "replace")
        for text in filter(None, (*held, ticket)):
            try:
                opened = checkpoint.open_checkpoint(text, watched.key, origin=upload.origin)
                if opened.checkpoint.size == upload.end and self._ours(opened, watched):
                    return opened
            except TradeError:
                continue  # a ticket that says anything else than what we gave says nothing
        return None

    def _ours(self, opened: SignedCheckpoint, watched: Watched) -> bool:
        for key in (watched.cosigner.key, self.cosigner().key):
            for line in opened.note.signatures:
                if line.names(key):
                    cosignature.verify(opened.note.text, line, key)
                    return True
        return False

    async def _advance(self, work: _Work) -> None:
        if work.folder.stored > work.held.next_entry:
            now = self._node.clock.now_ms()
            await self._node.store.write(
                mirror.advance, work.upload.origin, work.folder.stored, now
            )

    async def _finish(self, work: _Work) -> web.Response:
        upload, stored = work.upload, work.folder.stored
        if upload.start < upload.end and not work.taken:
            raise MalformedError("mirror_request_malformed", "the request holds no whole package")
        if stored < upload.end:
            ticket = work.goal.note.to_text().encode()
            return _info(202, MirrorInfo(upload.end, stored, ticket))
        await asyncio.to_thread(work.folder.complete, work.held.size, work.goal.checkpoint)
        text, line = self._signed(work.goal)
        now = self._node.clock.now_ms()
        await self._node.store.write(mirror.commit, upload.origin, upload.end, text, now)
        return web.Response(body=line.to_text().encode(), headers={"Content-Type": NOTE})

    def _signed(self, goal: SignedCheckpoint) -> tuple[str, note.Signature]:
        """The mirror checkpoint: the log's signature and the mirror's, nobody else's."""
        cosigner, now = self.cosigner(), self._node.clock.now_ms() // 1000
        line = cosignature.sign(goal.note.text, now, cosigner.key, cosigner.sign)
        kept = [item for item in goal.note.signatures if not item.names(cosigner.key)]
        return note.Note(goal.note.text, (*kept, line)).to_text(), line

    # -- serving -------------------------------------------------------------------------------

    async def _stored(self, request: web.Request) -> tuple[str, MirrorState]:
        origin_hash = request.match_info["origin_hash"]
        for origin, state in await self._node.store.read(mirror.states):
            if partners.origin_hash(origin) == origin_hash:
                return origin, state
        raise NotFoundError("witness_unknown_log", "no such log is mirrored here")

    async def _checkpoint(self, request: web.Request) -> web.Response:
        _, state = await self._stored(request)
        if not state.note:
            raise NotFoundError("log_checkpoint_not_found", "nothing is mirrored completely yet")
        return web.Response(body=state.note.encode(), headers={**FRESH, "Content-Type": NOTE})

    async def _tile(self, request: web.Request) -> web.Response:
        origin, state = await self._stored(request)
        tile = parse_path(request.match_info["path"])
        folder = MirrorFolder(self.folder(origin), state.next_entry)
        data = await asyncio.to_thread(folder.read, tile)
        return web.Response(body=data, headers={**FOR_EVER, "Content-Type": BYTES})

    async def _entries(self, request: web.Request) -> web.Response:
        origin, state = await self._stored(request)
        tile = parse_path("0/" + request.match_info["path"])
        folder = MirrorFolder(self.folder(origin), state.next_entry)
        found = await asyncio.to_thread(folder.entries, tile.index, tile.width)
        return entry_bundle(found)

    async def entries(self, origin: str, index: int, width: int) -> list[bytes]:
        """A stored bundle, for this node's own use."""
        state = await self._node.store.read(mirror.state, origin)
        folder = MirrorFolder(self.folder(origin), state.next_entry)
        return await asyncio.to_thread(folder.entries, index, width)


def _fits(upload: Upload, held: MirrorState) -> bool:
    excess = min(upload.end, held.next_entry) - upload.start
    return upload.end >= held.size and upload.start <= held.next_entry and excess <= MAX_EXCESS


def _info(status: int, info: MirrorInfo) -> web.Response:
    headers = {"Content-Type": INFO_MEDIA_TYPE}
    return web.Response(status=status, body=info.to_text().encode(), headers=headers)


def _take(work: _Work, data: bytes, at: int) -> None:
    """Store package after package, each proven; what is cut off at the end is left out."""
    for package in work.upload.packages():
        try:
            entries, proof, at = package.read(data, at)
        except MalformedError:
            return
        whole = [*_before(work.folder, package), *entries]
        head = work.goal.checkpoint
        tree = Tree(leaf_hash(entry) for entry in whole)
        merkle_subtree.verify_consistency(
            package.low, package.end, head.size, tree.root(), head.root, proof
        )
        work.folder.put(package.low, whole)
        work.taken += 1


def _before(folder: MirrorFolder, package: Package) -> list[bytes]:
    """The entries of the package's bundle that the upload leaves out, because they are here."""
    count = package.start - package.low
    return folder.entries(package.low // mirror_protocol.PACKAGE, count) if count else []
