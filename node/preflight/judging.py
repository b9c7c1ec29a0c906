"""A consignment's documents as they are held here, judged for a destination's country."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from node.documents import documents
from protocols.preflight.verdicts import Judgement
from schemas.documents.pre_advice import TYPE
from schemas.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node

MAX_DOCUMENTS = 500
AT_ONCE = 8


def held(conn: Connection, consignment: str, advised: Iterable[str] = ()) -> list[StoredDocument]:
    """What is judged: the consignment's documents but pre-advices, and nothing revoked.

    advised: digests (hex) that a pre-advice judged; those count also when revoked since
    Raises TooLargeError `documents_too_many`.
    """
    wanted = frozenset(advised)
    found = [
        each
        for each in documents.find_all(conn, consignment=consignment)
        if each.type != TYPE.key and (each.revoked_at is None or each.digest.hex() in wanted)
    ]
    if len(found) > MAX_DOCUMENTS:
        raise TooLargeError("documents_too_many", f"more than {MAX_DOCUMENTS} documents")
    return found


async def judge(node: Node, stored: list[StoredDocument], country: str) -> list[Judgement]:
    """Each document's report for that country now, with statuses as fresh as can be had."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(each: StoredDocument) -> Judgement:
        async with turns:
            told = await node.verification.judge(each.file, refresh=True, country=country)
        return Judgement(
            each.digest.hex(), each.type, each.number, told.report, told.document, told.verified
        )

    return list(await asyncio.gather(*map(one, stored)))
