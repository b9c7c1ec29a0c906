"""fsck notices every change of a record, of its leaf, of its order, and of a dispute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, update

from node import fsck
from node.tracking import client
from node.tracking.tables import disputes, openings, records
from tests.integration.tracking.tracking_network import bill, chain, last, running

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

CHANGES: tuple[Any, ...] = (
    update(records).where(records.c.number == 0).values(id=bytes(32)),
    update(records).where(records.c.number == 0).values(payload=bytes(32)),
    update(records).where(records.c.number == 0).values(leaf=bytes(32)),
    update(records).where(records.c.number == 0).values(text="a.b.c"),
    update(records).where(records.c.number == 1).values(number=7),
    delete(records).where(records.c.number == 0),
    delete(openings),
)


async def test_every_damage_of_the_register_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        home, away, keep = nodes["home"], nodes["away"], nodes["keep"]
        texts = chain(home)
        one = bill(home, texts)
        await client.intend(home, one, "AWAY", last(texts))
        await client.accept(away, one, last(texts))
        found: list[fsck.AreaResult] = await keep.store.read(damages, keep, None)
        assert [(result.count, result.examined) for result in found] == [(0, 2)]
        for change in CHANGES:
            (result,) = await keep.store.write(damages, keep, change)
            assert result.count, change
        broken = insert(disputes).values(
            id="x", ebl=bytes(32), platform="HOME", registry="", ours="[1]", theirs="[]",
            manifest="", status="open", reason="", opened_at=0,
        )  # fmt: skip
        (result,) = await keep.store.write(damages, keep, broken)
        assert result.damages == ["dispute x holds a chain that cannot be read"]


def damages(conn: Connection, node: Node, change: Any) -> list[fsck.AreaResult]:
    """What fsck says after a change, which is taken back."""
    context = fsck.Context(node.home, node.keys, node.members.current)
    if change is None:
        return [fsck.examine(conn, context, "FSCK-16")]
    with conn.begin_nested() as savepoint:
        conn.execute(change)
        found = fsck.examine(conn, context, "FSCK-16")
        savepoint.rollback()
    return [found]
