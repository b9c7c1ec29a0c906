"""The log over HTTP: checkpoint and hash tiles for anybody, entries and proofs for peers.

Entries are not public: they are salted, but when somebody acted is nobody's business but the
network's (C2SP tlog-tiles serves the rest as static, cacheable files).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from ledger import checkpoints, hand_overs, log
from ledger.tiles import WIDTH, parse_path
from node.http.helpers import (
    hex_digest,
    json_response,
    query_int,
    query_text,
    read_json,
)
from node.http.routes import JSON, Auth, Parameter, Route
from protocols.log import cose_receipt, note
from protocols.log import proof as log_proof
from protocols.log.checkpoint import parse_body
from protocols.log.cose_receipt import MEDIA_TYPE as COSE
from protocols.log.entry_bundle import bundle
from schemas.errors import MalformedError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.log.leaf_receipts import LogReceipt
    from node.log.service import LogService

NOTE = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
PRIVATE_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
FRESH = {"Cache-Control": "no-cache"}
MAX_ENTRIES = 256
_MAX_INDEX = 2**53 - 1
_INTEGER = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
AUDIT_BUDGET = 3.0
AUDIT_DEADLINE = 30.0
RECOVER_DEADLINE = 300.0


def log_routes(service: LogService) -> list[Route]:
    """All routes of a `LogService`."""
    return [*_public(service), *_for_peers(service), *_for_operator(service)]


def _public(service: LogService) -> list[Route]:
    async def checkpoint(_request: web.Request) -> web.Response:
        text = await service.node.store.read(_newest_note)
        if text is None:
            raise NotFoundError("log_checkpoint_not_found", "nothing was signed yet")
        return web.Response(body=text.encode(), headers={**FRESH, "Content-Type": NOTE})

    async def tile(request: web.Request) -> web.Response:
        publisher = service.publisher
        if publisher is None:
            raise NotFoundError("log_tile_not_found", "this node has no log")
        data = publisher.folder.read(parse_path(request.match_info["path"]))
        return web.Response(body=data, headers={**FOR_EVER, "Content-Type": BYTES})

    return [
        Route(
            "GET", "/log/checkpoint", checkpoint, Auth.OPEN, "The log's newest checkpoint", "log"
        ),
        Route("GET", "/log/tile/{path:[0-9].*}", tile, Auth.OPEN, "A tile of hashes", "log"),
    ]


def _newest_note(conn: Connection) -> str | None:
    stored = checkpoints.newest(conn, signed=True)
    return None if stored is None else checkpoints.cosigned_note(conn, stored)


def _as_cose(service: LogService, receipt: LogReceipt) -> bytes:
    """The receipt for readers of SCITT's formats: the same proof, signed by the log alone."""
    assert service.publisher is not None
    identity = service.publisher.identity
    parsed = log_proof.parse(receipt.text)
    if receipt.origin != identity.origin:
        raise NotFoundError("log_leaf_not_found", "only the running log makes COSE receipts")
    head = parse_body(note.parse(parsed.checkpoint).text)
    return cose_receipt.issue(
        head.origin,
        identity.key.key_id,
        parsed.index,
        head.size,
        parsed.hashes,
        head.root,
        identity.sign,
    )


def _published_entries(conn: Connection, start: int, width: int) -> list[bytes]:
    """Entries below a signed checkpoint; raises NotFoundError `log_tile_not_found`."""
    signed = checkpoints.newest(conn, signed=True)
    if signed is None or start + width > signed.size:
        raise NotFoundError("log_tile_not_found", "no checkpoint covers these entries")
    return [leaf.entry for leaf in log.read(conn, start, start + width)]


def _for_peers(service: LogService) -> list[Route]:
    async def entries(request: web.Request) -> web.Response:
        start = query_int(request, "start", 0, low=0, high=_MAX_INDEX)
        limit = query_int(request, "limit", MAX_ENTRIES, low=1, high=MAX_ENTRIES)
        found = await service.node.store.read(log.read, start, start + limit)
        return web.Response(body=bundle([leaf.entry for leaf in found]), content_type=BYTES)

    async def tile_entries(request: web.Request) -> web.Response:
        tile = parse_path("0/" + request.match_info["path"])
        found = await service.node.store.read(_published_entries, tile.index * WIDTH, tile.width)
        return entry_bundle(found)

    async def proof(request: web.Request) -> web.Response:
        leaf = query_text(request, "leaf")
        if leaf is None:
            raise MalformedError("log_request_malformed", "leaf is a leaf hash in hexadecimal")
        receipt = await service.receipt(hex_digest(leaf, "leaf"))
        if receipt is None:
            raise NotFoundError("log_leaf_not_found", "no checkpoint covers that leaf")
        if query_text(request, "format") == "cose":
            return web.Response(body=_as_cose(service, receipt), content_type=COSE)
        headers = {"Content-Type": NOTE, "Px-Witnessed": str(receipt.witnessed).lower()}
        return web.Response(body=receipt.text.encode(), headers=headers)

    async def consistency(request: web.Request) -> web.Response:
        size = service.publisher.tree.size if service.publisher else 0
        new = query_int(request, "new", size, low=0, high=size)
        old = query_int(request, "old", 0, low=0, high=new)
        hashes = service.publisher.tree.consistency_proof(old, new) if service.publisher else ()
        return json_response([note.encode64(item) for item in hashes])

    async def changes(request: web.Request) -> web.Response:
        origin = query_text(request, "origin") or service.origin
        proven = await service.node.store.read(hand_overs.all_of, origin)
        return json_response([one.to_bytes().decode() for one in proven])

    return [
        Route(
            "GET",
            "/log/hand-overs",
            changes,
            Auth.PEER,
            "The proven changes of a log's witnesses that are known here, oldest first",
            "log",
            parameters=(Parameter("origin", "of which log; default: this node's", _TEXT),),
        ),
        Route(
            "GET",
            "/log/entries",
            entries,
            Auth.PEER,
            "Entries, each after its 16-bit length, at most 256",
            "log",
            parameters=(
                Parameter("start", "index of the first entry", _INTEGER),
                Parameter("limit", "entries at most", _INTEGER),
            ),
        ),
        Route(
            "GET",
            "/log/tile/entries/{path:.*}",
            tile_entries,
            Auth.PEER,
            "A bundle of 256 entries, or what there is of one (C2SP tlog-tiles)",
            "log",
        ),
        Route(
            "GET",
            "/log/proof",
            proof,
            Auth.PEER,
            "The receipt of a leaf (tlog-proof)",
            "log",
            parameters=(
                Parameter("leaf", "leaf hash in hexadecimal", _TEXT, required=True),
                Parameter("format", "`cose`: as a COSE receipt (RFC 9942), without witnesses"),
            ),
        ),
        Route(
            "GET",
            "/log/consistency",
            consistency,
            Auth.PEER,
            "The proof that a smaller tree is part of a larger one",
            "log",
            parameters=(
                Parameter("old", "size of the smaller tree", _INTEGER),
                Parameter("new", "size of the larger tree", _INTEGER),
            ),
        ),
    ]


def entry_bundle(entries: list[bytes]) -> web.Response:
    """A bundle for somebody who was let in: never changed, but not for caches that others share."""
    response = web.Response(
        body=bundle(entries), headers={**PRIVATE_FOR_EVER, "Content-Type": BYTES}
    )
    response.enable_compression()
    return response


def _for_operator(service: LogService) -> list[Route]:
    async def show(_request: web.Request) -> web.Response:
        return json_response(await service.show())

    async def audit(request: web.Request) -> web.Response:
        from node.log.audit import Auditor

        body = await read_json(request)
        origin, genesis = body.get("origin", service.origin), body.get("genesis", False)
        if not isinstance(origin, str) or not isinstance(genesis, bool):
            raise MalformedError("log_request_malformed", "origin is a text, genesis true or false")
        auditor = Auditor(service.node, service)
        progress = await auditor.advance(origin, genesis=genesis, budget=AUDIT_BUDGET)
        return json_response(progress.to_json())

    async def recover(request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body.get("newLog", False), bool):
            raise MalformedError("log_request_malformed", "newLog is true or false")
        if body.get("newLog", False):
            return json_response(await service.recovering.open_next())
        found = await service.recovering.attempt()
        return json_response({"entries": found.entries, "moved": found.moved})

    return [
        Route(
            "POST",
            "/v1/log/recover",
            recover,
            Auth.OPERATOR,
            "Take a sealed log back to the last state that partners hold, or open the next log",
            "log",
            request={
                JSON: {"type": "object", "properties": {"newLog": {"type": "boolean"}}},
            },
            deadline=RECOVER_DEADLINE,
        ),
        Route("GET", "/v1/log", show, Auth.OPERATOR, "The node's log at a glance", "log"),
        Route(
            "POST",
            "/v1/log/audit",
            audit,
            Auth.OPERATOR,
            "Verify a log from its entries; call again until it is done",
            "log",
            request={
                JSON: {
                    "type": "object",
                    "properties": {"origin": {"type": "string"}, "genesis": {"type": "boolean"}},
                }
            },
            deadline=AUDIT_DEADLINE,
        ),
    ]
