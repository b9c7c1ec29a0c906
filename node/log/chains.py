"""Every entry of one document in a log, for an auditor, and what is missing among them (R18).

Each leaf names the last leaf of its subject, so a history with something left out does not hang
together; and a receipt names its leaf, so a leaf that somebody has a receipt for and that is not
found was left out. The whole log is read for it and must give its signed root: only then is what
was not found not there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ledger import checkpoints, log
from ledger.tiles import WIDTH, Tile
from node.http.helpers import hex_digest, json_response, read_json
from node.http.routes import JSON, Auth, Route
from node.log import partners
from protocols.log import epochs as log_epochs
from protocols.log import leaf as leaves
from protocols.log import proof as log_proof
from protocols.log.checkpoint import Checkpoint
from protocols.log.entry_bundle import unbundle
from protocols.log.merkle import Frontier, leaf_hash
from schemas.errors import MalformedError, NotFoundError, TooLargeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from node.log.service import LogService
    from protocols.log.leaf import Located

BUDGET = 3.0
DEADLINE = 30.0
MAX_SCANS = 4
MAX_PINNED = 256
_OWN_STEP = 4096


@dataclass(slots=True)
class Scan:
    """How far the reading of a log for a subject is."""

    origin: str
    did: str | None
    subject: bytes
    goal: Checkpoint
    witnessed: bool
    frontier: Frontier = field(default_factory=Frontier)
    found: list[Located] = field(default_factory=list)

    def take(self, entries: Sequence[bytes]) -> None:
        """The next entries of the log."""
        for entry in entries:
            if leaves.subject_of(entry) == self.subject:
                place = leaves.Located(self.frontier.size, leaf_hash(entry), leaves.decode(entry))
                self.found.append(place)
            self.frontier.append(leaf_hash(entry))
        if len(self.found) > leaves.MAX_CHAIN:
            raise TooLargeError("log_chain_too_long", "a subject has too many leaves")

    @property
    def done(self) -> bool:
        """Whether everything below the checkpoint was read."""
        return self.frontier.size >= self.goal.size

    def report(self, pinned: Sequence[bytes]) -> dict[str, Any]:
        """What was found so far; only when it is done there are faults, or it is ok."""
        faults = leaves.gaps(self.found, pinned) if self.done else []
        if self.done and self.frontier.root() != self.goal.root:
            faults.insert(0, "the entries do not give the signed root")
        return {
            "origin": self.origin,
            "subject": self.subject.hex(),
            "read": self.frontier.size,
            "size": self.goal.size,
            "done": self.done,
            "witnessed": self.witnessed,
            "ok": self.done and not faults,
            "faults": faults,
            "leaves": [_json(item) for item in self.found],
        }


def _json(item: Located) -> dict[str, Any]:
    one = item.leaf
    return {
        "index": item.index,
        "hash": item.hash.hex(),
        "kind": one.kind.name.lower(),
        "prev": None if one.prev is None else one.prev.hex(),
        "at": one.at_ms,
    }


class ChainScanner:
    """The scans of one node that are not done yet, by log and subject."""

    def __init__(self, service: LogService) -> None:
        """`service` is the node's own log."""
        self._service = service
        self._node = service.node
        self._scans: dict[tuple[str, bytes], Scan] = {}

    def routes(self) -> list[Route]:
        """One operation, for the operator."""
        text = {"type": "string"}
        schema = {
            "type": "object",
            "required": ["subject"],
            "properties": {
                "subject": text,
                "origin": text,
                "pinned": {"type": "array", "items": text, "maxItems": MAX_PINNED},
            },
        }
        return [
            Route(
                "POST",
                "/v1/log/chain",
                self._chain,
                Auth.OPERATOR,
                "Read a log for all entries of a subject; call again until it is done",
                "log",
                request={JSON: schema},
                deadline=DEADLINE,
            )
        ]

    async def _chain(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        origin, subject = body.get("origin", self._service.origin), body.get("subject")
        pinned = body.get("pinned", [])
        if not isinstance(origin, str) or not isinstance(subject, str):
            raise MalformedError("log_request_malformed", "subject and origin are texts")
        if not isinstance(pinned, list) or len(pinned) > MAX_PINNED:
            raise MalformedError("log_request_malformed", "pinned is a list of leaf hashes")
        hashes = [hex_digest(str(item), "pinned") for item in pinned]
        scan = await self.advance(origin, hex_digest(subject, "subject"), budget=BUDGET)
        return json_response(scan.report(hashes))

    async def advance(self, origin: str, subject: bytes, *, budget: float) -> Scan:
        """Read on for about `budget` seconds.

        Raises NotFoundError `log_unknown`, UnavailableError when a partner does not answer.
        """
        key = (origin, subject)
        scan = self._scans.pop(key, None) or await self._begin(origin, subject)
        end = time.monotonic() + budget
        while not scan.done and time.monotonic() < end:
            entries = await self._next(scan)
            if not entries:
                raise NotFoundError("log_leaf_not_found", f"entry {scan.frontier.size} is missing")
            scan.take(entries)
        if not scan.done:
            while len(self._scans) >= MAX_SCANS:
                self._scans.pop(next(iter(self._scans)))
            self._scans[key] = scan
        return scan

    async def _begin(self, origin: str, subject: bytes) -> Scan:
        if origin == self._service.origin:
            newest = await self._node.store.read(checkpoints.newest, signed=True)
            if newest is None:
                raise NotFoundError("log_checkpoint_not_found", "nothing was signed yet")
            head = Checkpoint(origin, newest.size, newest.root)
            return Scan(origin, None, subject, head, newest.witnessed_at is not None)
        members = self._node.members.current
        entry = members.log(origin) if members else None
        if entry is None:
            raise NotFoundError("log_unknown", "no such log is in the member list")
        text = (await self._get(entry.did, "/log/checkpoint")).decode("utf-8", "replace")
        key, policy = partners.log_key_of(entry), partners.policy_of(entry)
        checked = log_proof.check_checkpoint(text, key, policy, strict=False, origin=origin)
        checked = log_epochs.recount(checked, policy, partners.counts(self._node))
        return Scan(origin, entry.did, subject, checked.checkpoint, checked.witnessed)

    async def _get(self, did: str, path: str) -> bytes:
        answer = await self._node.client.call(did, "GET", path)
        if answer.status != 200:
            raise UnavailableError("peer_unreachable", f"the partner answered {answer.status}")
        return answer.body

    async def _next(self, scan: Scan) -> list[bytes]:
        start, size = scan.frontier.size, scan.goal.size
        if scan.did is None:
            return await self._node.store.read(_entries, start, min(start + _OWN_STEP, size))
        tile = Tile(0, start // WIDTH, min(WIDTH, size - start))
        path = tile.path().removeprefix("0/")
        return unbundle(await self._get(scan.did, f"/log/tile/entries/{path}"))[: tile.width]


def _entries(conn: Connection, start: int, end: int) -> list[bytes]:
    return [leaf.entry for leaf in log.read(conn, start, end)]
