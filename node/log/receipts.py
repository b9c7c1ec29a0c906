"""Receipts as files: leaf, tlog-proof and anchor of a document held here, to be verified offline.

Route: GET /v1/documents/{digest}/receipt (operator). The anchor goes along where the member list
names its contract and our sender: to anybody else it could prove nothing (R5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from ledger import hand_overs
from node.documents import documents
from node.http.helpers import hex_digest
from node.http.routes import Auth, Route
from protocols.evm.proof import read_header
from protocols.log import note
from protocols.log import receipt as log_receipt
from protocols.log.receipt import ReceiptFile
from protocols.verify.receipt_steps import origin_of
from schemas.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.log.leaf_receipts import LogReceipt
    from node.runtime import Node
    from protocols.evm.anchor_proof import AnchorProof
    from protocols.log.epochs import HandOver
    from protocols.member_list import AnchorContractEntry
    from schemas.strict_json import JsonValue

Body = dict[str, "JsonValue"]
DEADLINE = 60.0


async def receipt_file(node: Node, digest: bytes) -> tuple[ReceiptFile, LogReceipt]:
    """The receipt of a document held here, and what it says of its place.

    Raises NotFoundError `document_not_here`, `log_leaf_not_found`.
    """
    stored = await node.store.read(documents.get, digest)
    if stored is None or stored.leaf is None:
        raise NotFoundError("document_not_here", "no such document is held here with a leaf")
    found = await node.log.receipt(stored.leaf)
    if found is None:
        raise NotFoundError("log_leaf_not_found", "no checkpoint covers that leaf yet")
    anchor = await anchor_of(node, found.size)
    changed = await node.store.read(hand_overs_up_to, node, found)
    return ReceiptFile(found.entry, found.text, anchor, hand_overs=changed), found


def hand_overs_up_to(conn: Connection, node: Node, found: LogReceipt) -> tuple[HandOver, ...]:
    """How our log's witnesses changed up to that checkpoint, as far as the list names them."""
    members, origin = node.members.current, origin_of(found.text)
    epochs = members.log_epochs(origin) if members is not None else ()
    known = hand_overs.all_of(conn, origin)
    return tuple(one for one in known if one.since <= found.size and one.names_listed(epochs))


async def anchor_of(node: Node, size: int, *, offline: bool = False) -> Body | None:
    """The JSON of the first final anchor over a checkpoint, with the headers that settle it.

    offline: only where a verifier without a network can settle it, who holds no block's hash
    """
    service, members = getattr(node, "anchor", None), node.members.current
    proof: AnchorProof | None = await service.proof(size) if service is not None else None
    if proof is None or members is None:
        return None
    entry = members.anchor_contract(proof.chain_id, proof.contract, proof.code_hash)
    if entry is None or proof.sender not in entry.senders_of(proof.origin):
        return None
    by_depth = entry.place.finality.startswith("depth:")
    if offline and entry.place.finality != "qbft" and not (by_depth and members.test):
        return None
    body: Body = proof.to_json()
    if by_depth:
        body["headers"] = await _headers(node, proof, entry)
    return body


async def _headers(node: Node, proof: AnchorProof, entry: AnchorContractEntry) -> list[JsonValue]:
    """The headers on top, as many as the list asks for; none when the chain does not answer."""
    depth = min(int(entry.place.finality.removeprefix("depth:")), log_receipt.MAX_HEADERS)
    number, client = read_header(proof.event.header).number, node.chain.client
    if client is None:
        return []
    try:
        blocks = [await client.block(number + above) for above in range(1, depth + 1)]
    except UnavailableError:
        return []
    return [note.encode64(block.header) for block in blocks]


def receipt_routes(node: Node) -> list[Route]:
    """The route, for the operator."""

    async def receipt(request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"], "digest")
        file, place = await receipt_file(node, digest)
        headers = {"Px-Witnessed": str(place.witnessed).lower()}
        return web.Response(
            body=file.to_bytes(), content_type=log_receipt.MEDIA_TYPE, headers=headers
        )

    return [
        Route(
            "GET",
            "/v1/documents/{digest}/receipt",
            receipt,
            Auth.OPERATOR,
            "The receipt of a document as one file, with its anchor where there is one",
            "log",
            responses={200: "The receipt file"},
            deadline=DEADLINE,
        )
    ]
